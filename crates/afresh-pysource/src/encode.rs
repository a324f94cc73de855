//! The encoder: walks a definition and writes its canonical form. This module holds the state and the
//! definitions (functions, classes, parameters); [`crate::stmt`], [`crate::expr`], [`crate::pattern`]
//! and [`crate::constant`] hold the rest of the grammar.
//!
//! Its invariant: two definitions are written alike only if Python runs them alike. What is left out is
//! what cannot matter: positions, comments, docstrings, statements that do nothing, and annotations
//! that nobody evaluates.

use ruff_python_ast::{
    Decorator, Expr, ExprLambda, Parameters, Stmt, StmtClassDef, StmtFunctionDef, TypeParam,
    TypeParams,
};

use crate::definition::Style;
use crate::error::{Error, Result};
use crate::spine::DEPTH;
use crate::writer::Writer;

pub(crate) struct Encoder<'a> {
    pub(crate) writer: Writer,
    pub(crate) source: &'a str,
    pub(crate) style: &'a Style,
    /// Somewhere in the file docstrings, annotations or the source itself are read.
    introspects: Introspects,
    depth: usize,
    /// The class or module level: annotations are evaluated and kept there.
    pub(crate) annotated: bool,
}

/// What the file reads about its own definitions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Introspects {
    pub(crate) docstrings: bool,
    pub(crate) annotations: bool,
    pub(crate) text: bool,
}

impl Introspects {
    pub(crate) fn of(source: &str) -> Self {
        let any = |names: &[&str]| names.iter().any(|name| source.contains(name));
        let annotations = ["__annotations__", "get_type_hints", "get_annotations"];
        let signatures = ["inspect.signature", "import signature", "getfullargspec"];
        Self {
            docstrings: any(&["__doc__", "getdoc"]),
            annotations: any(&annotations) || any(&signatures),
            text: any(&["getsource", "findsource"]),
        }
    }
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(source: &'a str, style: &'a Style, introspects: Introspects) -> Self {
        Self { writer: Writer::new(), source, style, introspects, depth: 0, annotated: false }
    }

    /// Runs `inner` one level further down.
    pub(crate) fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.depth >= DEPTH {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// A function that was asked for. Its decorators and default values became objects, which the
    /// caller sees, unless the style says `whole`.
    pub(crate) fn top_function(&mut self, def: &StmtFunctionDef) -> Result<()> {
        let whole = self.style.whole;
        self.function(def, whole, whole)
    }

    /// A lambda that was asked for.
    pub(crate) fn top_lambda(&mut self, lambda: &ExprLambda) -> Result<()> {
        self.writer.node("lambda");
        let none = Parameters::default();
        let parameters = lambda.parameters.as_deref().unwrap_or(&none);
        self.parameters(parameters, false, self.style.whole)?;
        self.expr(&lambda.body)
    }

    /// A module, or some of its statements.
    pub(crate) fn statements(&mut self, list: &[&Stmt]) -> Result<()> {
        self.writer.node("module");
        self.annotated = true;
        let kept: Vec<&&Stmt> = list.iter().filter(|stmt| !self.does_nothing(stmt, true)).collect();
        self.writer.list(kept.len());
        kept.into_iter().try_for_each(|stmt| self.stmt(stmt))
    }

    pub(crate) fn function(
        &mut self,
        def: &StmtFunctionDef,
        decorators: bool,
        defaults: bool,
    ) -> Result<()> {
        let annotations = self.keeps_annotations(def);
        self.writer.node("def");
        self.writer.name(&def.name);
        self.writer.flag(def.is_async);
        if decorators {
            self.decorators(&def.decorator_list)?;
        } else {
            self.writer.list(0);
        }
        self.parameters(&def.parameters, annotations, defaults)?;
        match (&def.returns, annotations) {
            (Some(returns), true) => self.expr(returns)?,
            _ => self.writer.absent(),
        }
        self.type_params(if annotations { def.type_params.as_deref() } else { None })?;
        let outer = std::mem::replace(&mut self.annotated, false);
        let result = self.definition_body(&def.body);
        self.annotated = outer;
        result
    }

    /// Annotations of a function do nothing unless somebody reads them: a decorator we do not know
    /// may (validators, dispatchers, command lines), and so may a file that mentions the means.
    pub(crate) fn keeps_annotations(&self, def: &StmtFunctionDef) -> bool {
        const HARMLESS: [&str; 22] = [
            "abstractmethod",
            "asynccontextmanager",
            "cache",
            "cached_property",
            "classmethod",
            "contextmanager",
            "deleter",
            "final",
            "fixture",
            "getter",
            "jit",
            "lru_cache",
            "memo",
            "njit",
            "overload",
            "override",
            "property",
            "setter",
            "staticmethod",
            "total_ordering",
            "wraps",
            "deprecated",
        ];
        self.introspects.annotations
            || def.decorator_list.iter().any(|decorator| {
                let path = decorator_path(decorator);
                let last = path.last().copied().unwrap_or_default();
                !HARMLESS.contains(&last) && !self.is_ignored(decorator)
            })
    }

    pub(crate) fn is_ignored(&self, decorator: &Decorator) -> bool {
        let path = decorator_path(decorator);
        path.first()
            .is_some_and(|root| self.style.ignored_decorators.iter().any(|name| name == root))
    }

    pub(crate) fn decorators(&mut self, list: &[Decorator]) -> Result<()> {
        let kept: Vec<&Decorator> = list.iter().filter(|one| !self.is_ignored(one)).collect();
        self.writer.list(kept.len());
        kept.into_iter().try_for_each(|decorator| self.expr(&decorator.expression))
    }

    pub(crate) fn parameters(
        &mut self,
        parameters: &Parameters,
        annotations: bool,
        defaults: bool,
    ) -> Result<()> {
        self.writer.node("parameters");
        for group in [&parameters.posonlyargs, &parameters.args, &parameters.kwonlyargs] {
            self.writer.list(group.len());
            for one in group {
                self.writer.name(&one.parameter.name);
                self.annotation(one.parameter.annotation.as_deref(), annotations)?;
                match (&one.default, defaults) {
                    (Some(default), true) => self.expr(default)?,
                    (Some(_), false) => self.writer.flag(true),
                    (None, _) => self.writer.absent(),
                }
            }
        }
        for one in [&parameters.vararg, &parameters.kwarg] {
            match one {
                Some(parameter) => {
                    self.writer.name(&parameter.name);
                    self.annotation(parameter.annotation.as_deref(), annotations)?;
                }
                None => self.writer.absent(),
            }
        }
        Ok(())
    }

    fn annotation(&mut self, annotation: Option<&Expr>, kept: bool) -> Result<()> {
        match annotation {
            Some(expr) if kept => self.expr(expr),
            _ => {
                self.writer.absent();
                Ok(())
            }
        }
    }

    pub(crate) fn type_params(&mut self, params: Option<&TypeParams>) -> Result<()> {
        let list = params.map(|params| params.type_params.as_slice()).unwrap_or_default();
        self.writer.list(list.len());
        for param in list {
            let (kind, bound) = match param {
                TypeParam::TypeVar(one) => ("typevar", one.bound.as_deref()),
                TypeParam::ParamSpec(_) => ("paramspec", None),
                TypeParam::TypeVarTuple(_) => ("typevartuple", None),
            };
            self.writer.node(kind);
            self.writer.name(param.name());
            self.optional(bound)?;
            self.optional(param.default())?;
        }
        Ok(())
    }

    /// A class. Of one that was asked for, methods are headers only (name and decorators, in any order)
    /// unless the style says `whole`: the caller sees the functions they became.
    pub(crate) fn class(&mut self, class: &StmtClassDef, shell: bool) -> Result<()> {
        self.writer.node(if shell { "class-shell" } else { "class" });
        self.writer.name(&class.name);
        self.decorators(&class.decorator_list)?;
        self.type_params(class.type_params.as_deref())?;
        match &class.arguments {
            Some(arguments) => self.arguments(arguments)?,
            None => self.no_arguments(),
        }
        let outer = std::mem::replace(&mut self.annotated, true);
        let result =
            if shell { self.shell(&class.body) } else { self.definition_body(&class.body) };
        self.annotated = outer;
        result
    }

    fn shell(&mut self, body: &[Stmt]) -> Result<()> {
        self.docstring(body);
        let mut methods: Vec<&StmtFunctionDef> = Vec::new();
        let mut rest: Vec<&Stmt> = Vec::new();
        for stmt in self.meaningful(body, true) {
            match stmt {
                Stmt::FunctionDef(def) => methods.push(def),
                // A nested class is an attribute that the caller sees as well.
                other => rest.push(other),
            }
        }
        methods.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
        self.writer.list(methods.len());
        for method in methods {
            self.writer.name(&method.name);
            self.decorators(&method.decorator_list)?;
        }
        self.writer.list(rest.len());
        rest.into_iter().try_for_each(|stmt| self.stmt(stmt))
    }

    /// The body of a function, class or module: the docstring is kept only where docstrings are read.
    pub(crate) fn definition_body(&mut self, body: &[Stmt]) -> Result<()> {
        self.docstring(body);
        self.body(body)
    }

    fn docstring(&mut self, body: &[Stmt]) {
        if self.introspects.docstrings
            && let Some(Stmt::Expr(first)) = body.first()
            && let Expr::StringLiteral(doc) = &*first.value
        {
            self.writer.node("doc");
            self.string(doc);
        }
    }

    /// The statements of a body that do something.
    pub(crate) fn meaningful<'s>(&self, body: &'s [Stmt], class: bool) -> Vec<&'s Stmt> {
        body.iter().filter(|stmt| !self.does_nothing(stmt, class)).collect()
    }

    fn does_nothing(&self, stmt: &Stmt, class: bool) -> bool {
        match stmt {
            Stmt::Pass(_) => true,
            Stmt::Expr(one) => Self::is_idle(&one.value),
            // Declares a local and evaluates nothing.
            Stmt::AnnAssign(one) => {
                !class && one.value.is_none() && matches!(&*one.target, Expr::Name(_))
            }
            _ => false,
        }
    }
}

/// The dotted name of a decorator, without its arguments; empty where it is anything else.
pub(crate) fn decorator_path(decorator: &Decorator) -> Vec<&str> {
    let mut expr = &decorator.expression;
    let mut path = Vec::new();
    loop {
        match expr {
            Expr::Call(call) if path.is_empty() => expr = &call.func,
            Expr::Attribute(attribute) => {
                path.push(attribute.attr.as_str());
                expr = &attribute.value;
            }
            Expr::Name(name) => {
                path.push(name.id.as_str());
                path.reverse();
                return path;
            }
            _ => return Vec::new(),
        }
    }
}
