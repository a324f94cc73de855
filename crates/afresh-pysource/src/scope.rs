//! The names a definition reaches outside itself: a walk with a stack of scopes that follows Python's
//! rules (class scopes are invisible from the functions in them, comprehensions have a scope of their
//! own, `global` and `nonlocal` redirect, a class body falls back to outer names until it binds them).
//!
//! The longest written-out chain of attributes is kept (`mod.pkg.f`). A use that only changes an object
//! and drops the outcome (`seen.append(x)`, `count += 1`, `table[k] = v`, `del table[k]`) is told apart
//! from one that takes its value. Annotations that nobody evaluates are not visited.

use std::collections::BTreeMap;

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    Comprehension, ExceptHandler, Expr, ExprCall, ExprContext, ExprLambda, Parameters, Stmt,
    StmtClassDef, StmtFunctionDef,
};
use ruff_text_size::{Ranged, TextSize};

use crate::bound::{Bound, Imported};
use crate::definition::{Origin, Reference};
use crate::spine::{DEPTH, operands};

/// Methods of the builtin containers that change them; the caller checks that it is one of those.
const MUTATORS: [&str; 24] = [
    "add",
    "append",
    "appendleft",
    "clear",
    "discard",
    "extend",
    "extendleft",
    "insert",
    "move_to_end",
    "pop",
    "popitem",
    "popleft",
    "put",
    "put_nowait",
    "remove",
    "reverse",
    "rotate",
    "setdefault",
    "sort",
    "subtract",
    "update",
    "difference_update",
    "intersection_update",
    "symmetric_difference_update",
];

/// Calls whose result depends on names that only exist at run time.
const DYNAMIC: [&str; 9] = [
    "__import__",
    "compile",
    "eval",
    "exec",
    "getattr",
    "globals",
    "import_module",
    "locals",
    "vars",
];

enum Kind {
    Function,
    Class,
}

struct Scope {
    kind: Kind,
    bound: Bound,
}

enum Found {
    Local,
    Free,
    Import(Imported),
}

/// Collects references.
pub(crate) struct Walker<'a> {
    scopes: Vec<Scope>,
    found: BTreeMap<(Origin, Vec<String>), bool>,
    pub(crate) dynamic: Vec<(String, TextSize)>,
    pub(crate) too_deep: bool,
    depth: usize,
    ignored: &'a dyn Fn(&Expr) -> bool,
}

impl<'a> Walker<'a> {
    /// `ignored` says which decorators are not to be looked at.
    pub(crate) fn new(ignored: &'a dyn Fn(&Expr) -> bool) -> Self {
        Self {
            scopes: Vec::new(),
            found: BTreeMap::new(),
            dynamic: Vec::new(),
            too_deep: false,
            depth: 0,
            ignored,
        }
    }

    pub(crate) fn references(&self) -> Vec<Reference> {
        self.found
            .iter()
            .map(|((origin, path), read)| Reference {
                origin: origin.clone(),
                path: path.clone(),
                written_only: !read,
            })
            .collect()
    }

    fn resolve(&self, name: &str) -> Found {
        for (distance, scope) in self.scopes.iter().rev().enumerate() {
            if matches!(scope.kind, Kind::Class) && distance > 0 {
                continue;
            }
            if scope.bound.globals.contains(name) {
                return Found::Free;
            }
            if scope.bound.owns(name) {
                return match scope.bound.imports.get(name) {
                    Some(imported) => Found::Import(imported.clone()),
                    None => Found::Local,
                };
            }
        }
        Found::Free
    }

    /// Whether this scope declares the name `global` or `nonlocal`.
    fn redirects(&self, name: &str) -> bool {
        self.scopes.last().is_some_and(|Scope { bound, .. }| {
            bound.globals.contains(name) || bound.nonlocals.contains(name)
        })
    }

    fn emit(&mut self, root: &str, attributes: &[&str], read: bool) {
        let (origin, first) = match self.resolve(root) {
            Found::Local => return,
            Found::Free => (Origin::Free, Some(root)),
            Found::Import(Imported { level, module, name }) => {
                (Origin::Import { level, module, name }, None)
            }
        };
        let path = first.iter().chain(attributes).map(ToString::to_string).collect();
        *self.found.entry((origin, path)).or_insert(false) |= read;
    }

    fn within(&mut self, kind: Kind, bound: Bound, inner: impl FnOnce(&mut Self)) {
        self.scopes.push(Scope { kind, bound });
        inner(self);
        self.scopes.pop();
    }

    /// A function; `outside` says whether decorators and default values are part of it.
    pub(crate) fn function(&mut self, def: &'a StmtFunctionDef, outside: bool, annotations: bool) {
        if outside {
            for decorator in &def.decorator_list {
                if !(self.ignored)(&decorator.expression) {
                    self.visit_expr(&decorator.expression);
                }
            }
            self.defaults(&def.parameters);
        }
        if annotations {
            self.annotations(def);
        }
        let mut bound = Bound::of_body(&def.body);
        bound.add_parameters(&def.parameters);
        bound.add_type_params(def.type_params.as_deref());
        self.within(Kind::Function, bound, |walker| walker.visit_body(&def.body));
    }

    fn annotations(&mut self, def: &'a StmtFunctionDef) {
        let parameters = &def.parameters;
        let plain = parameters.iter_non_variadic_params().map(|one| &one.parameter);
        let starred =
            [&parameters.vararg, &parameters.kwarg].into_iter().flatten().map(|one| &**one);
        let mut bound = Bound::default();
        bound.add_type_params(def.type_params.as_deref());
        self.within(Kind::Function, bound, |walker| {
            for one in plain.chain(starred) {
                one.annotation.iter().for_each(|expr| walker.visit_expr(expr));
            }
            def.returns.iter().for_each(|expr| walker.visit_expr(expr));
        });
    }

    fn defaults(&mut self, parameters: &'a Parameters) {
        for one in parameters.iter_non_variadic_params() {
            one.default.iter().for_each(|expr| self.visit_expr(expr));
        }
    }

    pub(crate) fn lambda(&mut self, lambda: &'a ExprLambda, outside: bool) {
        let mut bound = Bound::default();
        if let Some(parameters) = &lambda.parameters {
            if outside {
                self.defaults(parameters);
            }
            bound.add_parameters(parameters);
        }
        bound.walruses(&lambda.body);
        self.within(Kind::Function, bound, |walker| walker.visit_expr(&lambda.body));
    }

    /// Statements of a module: whatever they bind, at any place, is the module's own.
    pub(crate) fn module(&mut self, list: &[&'a Stmt]) {
        self.within(Kind::Function, Bound::default(), |walker| {
            for stmt in list {
                walker.visit_stmt(stmt);
            }
        });
    }

    /// A class; of a shell the methods' bodies are left out.
    pub(crate) fn class(&mut self, class: &'a StmtClassDef, shell: bool) {
        for decorator in &class.decorator_list {
            if !(self.ignored)(&decorator.expression) {
                self.visit_expr(&decorator.expression);
            }
        }
        let mut outer = Bound::default();
        outer.add_type_params(class.type_params.as_deref());
        self.within(Kind::Function, outer, |walker| {
            if let Some(arguments) = &class.arguments {
                walker.visit_arguments(arguments);
            }
            walker.within(Kind::Class, Bound::default(), |walker| {
                for stmt in &class.body {
                    match stmt {
                        Stmt::FunctionDef(def) if shell => {
                            for decorator in &def.decorator_list {
                                if !(walker.ignored)(&decorator.expression) {
                                    walker.visit_expr(&decorator.expression);
                                }
                            }
                            walker.bind(Bound::of_stmt(stmt));
                        }
                        _ => walker.visit_stmt(stmt),
                    }
                }
            });
        });
    }

    /// In a class body a name is bound from its statement on.
    fn bind(&mut self, more: Bound) {
        if let Some(Scope { kind: Kind::Class, bound }) = self.scopes.last_mut() {
            bound.names.extend(more.names);
            bound.globals.extend(more.globals);
            bound.nonlocals.extend(more.nonlocals);
            bound.imports.extend(more.imports);
        }
    }

    fn comprehension(&mut self, generators: &'a [Comprehension], elements: &[&'a Expr]) {
        // The first iterable is evaluated outside.
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        let mut bound = Bound::default();
        generators.iter().for_each(|one| bound.walruses(&one.target));
        self.within(Kind::Function, bound, |walker| {
            for (index, one) in generators.iter().enumerate() {
                if index > 0 {
                    walker.visit_expr(&one.iter);
                }
                walker.visit_expr(&one.target);
                one.ifs.iter().for_each(|expr| walker.visit_expr(expr));
            }
            elements.iter().for_each(|expr| walker.visit_expr(expr));
        });
    }

    /// An object that is changed in place: what is under the subscripts and attributes.
    fn written(&mut self, mut expr: &'a Expr) {
        loop {
            match expr {
                Expr::Subscript(one) => {
                    self.visit_expr(&one.slice);
                    expr = &one.value;
                }
                Expr::Attribute(one) => match chain(expr) {
                    Some((root, attributes)) => return self.emit(root, &attributes, false),
                    None => expr = &one.value,
                },
                Expr::Name(one) => return self.emit(&one.id, &[], false),
                other => return self.visit_expr(other),
            }
        }
    }

    /// `seen.append(x)` as a statement.
    fn mutation(&mut self, call: &'a ExprCall) -> bool {
        let Expr::Attribute(method) = &*call.func else { return false };
        if !MUTATORS.contains(&method.attr.as_str()) || !is_place(&method.value) {
            return false;
        }
        self.written(&method.value);
        self.visit_arguments(&call.arguments);
        true
    }

    /// Calls that look up names at run time; those with a literal name are ordinary references.
    /// Says whether the first argument is dealt with.
    fn dynamic_call(&mut self, call: &'a ExprCall) -> bool {
        let (name, free) = match &*call.func {
            Expr::Name(one) => {
                (one.id.as_str(), matches!(self.resolve(&one.id), Found::Free | Found::Import(_)))
            }
            Expr::Attribute(one) => (one.attr.as_str(), one.attr.as_str() == "import_module"),
            _ => return false,
        };
        if !free || !DYNAMIC.contains(&name) {
            return false;
        }
        let literal = |index: usize| match call.arguments.args.get(index) {
            Some(Expr::StringLiteral(text)) => Some(text.value.to_str()),
            _ => None,
        };
        match name {
            "getattr" => {
                if let (Some(object), Some(attribute)) = (call.arguments.args.first(), literal(1))
                    && let Some((root, mut attributes)) = chain(object)
                {
                    attributes.push(attribute);
                    self.emit(root, &attributes, true);
                    return true;
                }
            }
            "import_module" | "__import__" => {
                if let Some(module) = literal(0)
                    && !module.starts_with('.')
                {
                    let module = module.to_owned();
                    let origin = Origin::Import { level: 0, module, name: None };
                    self.found.insert((origin, Vec::new()), true);
                    return false;
                }
            }
            _ => {}
        }
        self.dynamic.push((name.to_owned(), call.range().start()));
        false
    }
}

/// `a.b.c` as its root and attributes.
fn chain(mut expr: &Expr) -> Option<(&str, Vec<&str>)> {
    let mut attributes = Vec::new();
    loop {
        match expr {
            Expr::Attribute(one) => {
                attributes.push(one.attr.as_str());
                expr = &one.value;
            }
            Expr::Name(one) => {
                attributes.reverse();
                return Some((one.id.as_str(), attributes));
            }
            _ => return None,
        }
    }
}

/// Whether an expression names a place: a name with attributes and subscripts.
fn is_place(mut expr: &Expr) -> bool {
    loop {
        match expr {
            Expr::Name(_) => return true,
            Expr::Attribute(one) => expr = &one.value,
            Expr::Subscript(one) => expr = &one.value,
            _ => return false,
        }
    }
}

impl<'a> Visitor<'a> for Walker<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let in_class = matches!(self.scopes.last(), Some(Scope { kind: Kind::Class, .. }));
        match stmt {
            Stmt::FunctionDef(def) => self.function(def, true, in_class),
            Stmt::ClassDef(class) => self.class(class, false),
            Stmt::Expr(one) => match &*one.value {
                Expr::Call(call) if self.mutation(call) => {}
                other => self.visit_expr(other),
            },
            Stmt::AnnAssign(one) if !in_class => {
                one.value.iter().for_each(|expr| self.visit_expr(expr));
                self.visit_expr(&one.target);
            }
            _ => visitor::walk_stmt(self, stmt),
        }
        if in_class {
            self.bind(Bound::of_stmt(stmt));
        }
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        visitor::walk_except_handler(self, handler);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if self.depth > DEPTH {
            self.too_deep = true;
            return;
        }
        self.depth += 1;
        match expr {
            Expr::Name(one) => match one.ctx {
                ExprContext::Load => self.emit(&one.id, &[], true),
                _ if self.redirects(&one.id) => self.emit(&one.id, &[], false),
                _ => {}
            },
            Expr::Attribute(one) if matches!(one.ctx, ExprContext::Load) => match chain(expr) {
                Some((root, attributes)) => self.emit(root, &attributes, true),
                None => self.visit_expr(&one.value),
            },
            Expr::Attribute(one) => self.written(&one.value),
            Expr::Subscript(one) if !matches!(one.ctx, ExprContext::Load) => {
                self.visit_expr(&one.slice);
                self.written(&one.value);
            }
            Expr::BinOp(one) => operands(one).for_each(|it| self.visit_expr(it)),
            Expr::Lambda(one) => self.lambda(one, true),
            Expr::ListComp(one) => self.comprehension(&one.generators, &[&one.elt]),
            Expr::SetComp(one) => self.comprehension(&one.generators, &[&one.elt]),
            Expr::Generator(one) => self.comprehension(&one.generators, &[&one.elt]),
            Expr::DictComp(one) => {
                let mut elements: Vec<&Expr> = vec![&one.value];
                elements.extend(one.key.as_deref());
                self.comprehension(&one.generators, &elements);
            }
            Expr::Call(call) => {
                let skipped = usize::from(self.dynamic_call(call));
                self.visit_expr(&call.func);
                call.arguments.args.iter().skip(skipped).for_each(|it| self.visit_expr(it));
                call.arguments.keywords.iter().for_each(|it| self.visit_expr(&it.value));
            }
            _ => visitor::walk_expr(self, expr),
        }
        self.depth -= 1;
    }
}
