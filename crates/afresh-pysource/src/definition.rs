//! What is known of one definition after reading its source. Plain data: no syntax tree, no
//! reference into the text.

/// One function, lambda, class, module or group of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// BLAKE3 of the canonical form `src1`.
    pub digest: [u8; 32],
    /// The names it reaches outside itself, sorted.
    pub references: Vec<Reference>,
    /// Uses of names that are computed at run time, in order of appearance.
    pub dynamic: Vec<Dynamic>,
    /// The first line, decorators included, counted from one.
    pub first_line: u32,
    /// The last line.
    pub last_line: u32,
    /// The text as written.
    pub text: String,
    /// The parameters in order; empty for what is not a function.
    pub parameters: Vec<Parameter>,
    /// The dotted name of each decorator (without its arguments), outermost first; empty text where
    /// it is not a plain name.
    pub decorators: Vec<String>,
}

/// One parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The text of its default value, if it has one.
    pub default: Option<String>,
}

/// A name reached outside the definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Where the first name comes from.
    pub origin: Origin,
    /// The name and the attributes taken of it, as far as they are written out: `mod.pkg.f` is
    /// `["mod", "pkg", "f"]`. For an import the path starts below what was imported and may be empty.
    pub path: Vec<String>,
    /// The object is only changed (`seen.append(x)`, `count += 1`, `table[k] = v`), its value is never used.
    pub written_only: bool,
}

/// Where the first name of a reference comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// An enclosing function, the module, or the builtins.
    Free,
    /// An import statement within the definition.
    Import {
        /// The number of leading dots.
        level: u32,
        /// The module as written, without the dots.
        module: String,
        /// The name after `from … import`, if that is the form.
        name: Option<String>,
    },
}

/// A use of names that are computed at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// The function that does it, such as `getattr`.
    pub what: String,
    /// The line.
    pub line: u32,
}

/// What counts as meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Decorators whose first name is one of these say nothing about the answer.
    pub ignored_decorators: Vec<String>,
    /// The definition as it is written, with its own decorators, default values and methods; otherwise
    /// those are left to the caller, who sees the objects they became.
    pub whole: bool,
}
