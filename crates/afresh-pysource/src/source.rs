//! One parsed file, and the definitions it can hand out.

use std::fmt;

use ruff_python_ast::{
    Expr, ExprLambda, ModModule, Parameters, Stmt, StmtClassDef, StmtFunctionDef,
};
use ruff_python_parser::{Parsed, parse_module};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::binding::{Binding, Statements, binders, single_value};
use crate::bound::Bound;
use crate::definition::{Definition, Dynamic, Parameter, Style};
use crate::encode::{Encoder, Introspects, decorator_path};
use crate::error::{Error, Result};
use crate::locate::{self, Lines};
use crate::parts::Parts;
use crate::scope::Walker;

/// One parsed file, cell or snippet.
pub struct Source {
    text: String,
    parsed: Parsed<ModModule>,
    lines: Lines,
    introspects: Introspects,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

/// What a definition is made from.
enum Piece<'a> {
    Function(&'a StmtFunctionDef),
    Lambda(&'a ExprLambda),
    Class(&'a StmtClassDef),
    Statements(Vec<&'a Stmt>),
}

impl Source {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Self> {
        // Offsets are 32 bits wide.
        if u32::try_from(text.len()).is_err() {
            return Err(Error::Unsupported("a file of more than 4 GiB"));
        }
        let parsed = parse_module(text).map_err(|error| Error::Syntax(error.to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            parsed,
            lines: Lines::of(text),
            introspects: Introspects::of(text),
        })
    }

    fn body(&self) -> &[Stmt] {
        &self.parsed.syntax().body
    }

    /// The function of this name whose first line (decorators included) is this one.
    pub fn function(&self, name: &str, line: u32, style: &Style) -> Result<Definition> {
        let found = locate::function(self.body(), &self.lines, name, line);
        self.only(found.into_iter().map(Piece::Function), style)
    }

    /// The lambda that starts on this line and has these parameters; where several do, the one whose
    /// body begins at `column` (in bytes) of `body_line`, or that equals all the others.
    pub fn lambda(
        &self,
        line: u32,
        parameters: &[&str],
        body_start: Option<(u32, u32)>,
        style: &Style,
    ) -> Result<Definition> {
        let mut found = locate::lambdas(self.body(), &self.lines, Some(line));
        found.retain(|one| {
            let names = one.parameters.as_deref().map(parameter_names).unwrap_or_default();
            names == parameters
        });
        if found.len() > 1
            && let Some((line, column)) = body_start
            && let Some(offset) = self.lines.offset(line, column)
        {
            found.retain(|one| one.body.range().contains_inclusive(offset));
            // A lambda within the body of another holds the offset as well: the innermost is meant.
            let smallest = found.iter().map(|one| one.body.range().len()).min();
            found.retain(|one| Some(one.body.range().len()) == smallest);
        }
        self.only(found.into_iter().map(Piece::Lambda), style)
    }

    /// The class of this qualified name; `line`, if known, is its first line or one within it.
    pub fn class(&self, qualname: &str, line: Option<u32>, style: &Style) -> Result<Definition> {
        let mut found = locate::classes(self.body(), qualname);
        if let Some(line) = line {
            found.retain(|class| {
                let (first, last) = self.lines.span(class.range());
                (first..=last).contains(&line)
            });
        }
        self.only(found.into_iter().map(Piece::Class), style)
    }

    /// The class of this qualified name, taken apart.
    pub fn class_parts(&self, qualname: &str) -> Result<Parts> {
        match locate::classes(self.body(), qualname).as_slice() {
            [class] => Ok(Parts::of(class, &self.text)),
            [] => Err(Error::NotFound),
            _ => Err(Error::Ambiguous),
        }
    }

    /// Every function of this qualified name (`f`, `C.f`, `make.<locals>.f`), wherever it is: several where it is
    /// defined under a condition, or as getter and setter.
    pub fn functions(&self, qualname: &str, style: &Style) -> Result<Vec<Definition>> {
        let found = locate::functions(self.body(), qualname);
        found.into_iter().map(|def| self.definition(&Piece::Function(def), style)).collect()
    }

    /// Every lambda, in order.
    pub fn lambdas(&self, style: &Style) -> Result<Vec<Definition>> {
        let found = locate::lambdas(self.body(), &self.lines, None);
        found.into_iter().map(|lambda| self.definition(&Piece::Lambda(lambda), style)).collect()
    }

    /// The digest of everything, as [`module`](Self::module) has it, without the rest.
    pub fn digest(&self, style: &Style) -> Result<[u8; 32]> {
        let mut encoder = Encoder::new(&self.text, style, self.introspects);
        encoder.statements(&self.body().iter().collect::<Vec<_>>())?;
        Ok(encoder.writer.finish())
    }

    /// Everything: the whole module as statements.
    pub fn module(&self, style: &Style) -> Result<Definition> {
        self.definition(&Piece::Statements(self.body().iter().collect()), style)
    }

    /// What the module binds a name to, if it does.
    pub fn binding(&self, name: &str, style: &Style) -> Result<Option<Binding>> {
        let binders = binders(self.body(), name);
        Ok(Some(match binders.as_slice() {
            [] => return Ok(None),
            [Stmt::FunctionDef(def)] => Binding::Function(self.lines.line(def.start())),
            [Stmt::ClassDef(class)] => Binding::Class(self.lines.line(class.start())),
            [stmt @ (Stmt::Import(_) | Stmt::ImportFrom(_))] => {
                match Bound::of_stmt(stmt).imports.remove(name) {
                    Some(one) => {
                        Binding::Import { level: one.level, module: one.module, name: one.name }
                    }
                    None => return Ok(None),
                }
            }
            several => {
                let value = single_value(several)
                    .and_then(|range| self.text.get(range.to_std_range()))
                    .map(str::to_owned);
                let piece = Piece::Statements(several.to_vec());
                let definition = self.definition(&piece, style)?;
                Binding::Value(Box::new(Statements { definition, value }))
            }
        }))
    }

    /// The modules of which every name is imported at module level: leading dots and name.
    pub fn star_imports(&self) -> Vec<(u32, String)> {
        Bound::of_body(self.body()).stars
    }

    /// The text that documents the module.
    pub fn documentation(&self) -> Option<String> {
        match self.body().first() {
            Some(Stmt::Expr(first)) => match first.value.as_ref() {
                Expr::StringLiteral(text) => Some(text.value.to_str().to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The names bound at module level, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Bound::of_body(self.body()).names.into_iter().collect();
        names.sort_unstable();
        names
    }

    /// The one definition found, or one of several that are equal.
    fn only<'a>(
        &self,
        found: impl Iterator<Item = Piece<'a>>,
        style: &Style,
    ) -> Result<Definition> {
        let mut first: Option<Definition> = None;
        for piece in found {
            let next = self.definition(&piece, style)?;
            match &first {
                Some(known) if known.digest != next.digest => return Err(Error::Ambiguous),
                Some(_) => {}
                None => first = Some(next),
            }
        }
        first.ok_or(Error::NotFound)
    }

    fn definition(&self, piece: &Piece<'_>, style: &Style) -> Result<Definition> {
        let mut encoder = Encoder::new(&self.text, style, self.introspects);
        let is_ignored = |expr: &Expr| is_ignored(expr, style);
        let mut walker = Walker::new(&is_ignored);
        let mut parameters = Vec::new();
        let mut decorators = Vec::new();
        let range = match piece {
            Piece::Function(def) => {
                encoder.top_function(def)?;
                walker.function(def, style.whole, encoder.keeps_annotations(def));
                parameters = self.parameters(&def.parameters);
                decorators =
                    def.decorator_list.iter().map(|one| decorator_path(one).join(".")).collect();
                def.range()
            }
            Piece::Lambda(lambda) => {
                encoder.top_lambda(lambda)?;
                walker.lambda(lambda, style.whole);
                if let Some(list) = &lambda.parameters {
                    parameters = self.parameters(list);
                }
                lambda.range()
            }
            Piece::Class(class) => {
                encoder.class(class, !style.whole)?;
                walker.class(class, !style.whole);
                decorators =
                    class.decorator_list.iter().map(|one| decorator_path(one).join(".")).collect();
                class.range()
            }
            Piece::Statements(list) => {
                encoder.statements(list)?;
                walker.module(list);
                match (list.first(), list.last()) {
                    (Some(first), Some(last)) => first.range().cover(last.range()),
                    _ => TextRange::default(),
                }
            }
        };
        if walker.too_deep {
            return Err(Error::TooDeep);
        }
        let (first_line, last_line) = self.lines.span(range);
        if self.introspects.text {
            let start = self.lines.start(first_line).unwrap_or(range.start());
            let end = self.lines.start(last_line + 1).unwrap_or(TextSize::of(self.text.as_str()));
            let lines = self.text.get(TextRange::new(start, end).to_std_range());
            encoder.writer.node("written");
            encoder.writer.text(lines.unwrap_or_default());
        }
        Ok(Definition {
            digest: encoder.writer.finish(),
            references: walker.references(),
            dynamic: self.dynamic(walker.dynamic),
            first_line,
            last_line,
            text: self.excerpt(range),
            parameters,
            decorators,
        })
    }

    fn dynamic(&self, found: Vec<(String, TextSize)>) -> Vec<Dynamic> {
        let place = |(what, at)| Dynamic { what, line: self.lines.line(at) };
        found.into_iter().map(place).collect()
    }

    /// The text of a range with the indentation of its first line, so that it can be shown as it stands.
    fn excerpt(&self, range: TextRange) -> String {
        let start = self.lines.start(self.lines.line(range.start())).unwrap_or(range.start());
        let lead = self.text.get(TextRange::new(start, range.start()).to_std_range());
        let text = self.text.get(range.to_std_range()).unwrap_or_default();
        match lead {
            Some(lead) if lead.chars().all(char::is_whitespace) => format!("{lead}{text}"),
            _ => text.to_owned(),
        }
    }

    fn parameters(&self, list: &Parameters) -> Vec<Parameter> {
        let plain = list.iter_non_variadic_params().map(|one| Parameter {
            name: one.parameter.name.to_string(),
            default: one.default.as_ref().map(|default| {
                self.text.get(default.range().to_std_range()).unwrap_or_default().to_owned()
            }),
        });
        let starred = [&list.vararg, &list.kwarg].into_iter().flatten();
        let starred = starred.map(|one| Parameter { name: one.name.to_string(), default: None });
        plain.chain(starred).collect()
    }
}

fn is_ignored(expr: &Expr, style: &Style) -> bool {
    let mut expr = expr;
    loop {
        match expr {
            Expr::Call(call) => expr = &call.func,
            Expr::Attribute(one) => expr = &one.value,
            Expr::Name(name) => {
                return style.ignored_decorators.iter().any(|one| one == name.id.as_str());
            }
            _ => return false,
        }
    }
}

/// The names in the order of `co_varnames`: plain, keyword-only, then the starred ones.
fn parameter_names(list: &Parameters) -> Vec<&str> {
    let plain = list.iter_non_variadic_params().map(|one| one.parameter.name.as_str());
    let starred = [&list.vararg, &list.kwarg].into_iter().flatten().map(|one| one.name.as_str());
    plain.chain(starred).collect()
}
