//! The names a function body, class body or module binds itself, by whatever statement: assignment,
//! `for`, `with`, `except`, `match`, `import`, `def`, `class`, `del`, the walrus (also from inside a
//! comprehension). Bodies of nested definitions are not entered.

use std::collections::{HashMap, HashSet};

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    Comprehension, ExceptHandler, Expr, ExprContext, Parameters, Pattern, Stmt, TypeParams,
};

use crate::spine::{DEPTH, operands};

/// Where an import statement's name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) level: u32,
    pub(crate) module: String,
    pub(crate) name: Option<String>,
}

/// What one scope binds.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) names: HashSet<String>,
    pub(crate) globals: HashSet<String>,
    pub(crate) nonlocals: HashSet<String>,
    pub(crate) imports: HashMap<String, Imported>,
    /// Modules whose every name is imported, in order.
    pub(crate) stars: Vec<(u32, String)>,
    depth: usize,
}

impl Bound {
    pub(crate) fn of_body(body: &[Stmt]) -> Self {
        let mut bound = Self::default();
        bound.visit_body(body);
        bound
    }

    pub(crate) fn of_stmt(stmt: &Stmt) -> Self {
        let mut bound = Self::default();
        bound.visit_stmt(stmt);
        bound
    }

    /// The names that the walrus binds in an expression.
    pub(crate) fn walruses(&mut self, expr: &Expr) {
        self.visit_expr(expr);
    }

    pub(crate) fn add_parameters(&mut self, parameters: &Parameters) {
        for one in parameters.iter_non_variadic_params() {
            self.add(&one.parameter.name);
        }
        for one in [&parameters.vararg, &parameters.kwarg].into_iter().flatten() {
            self.add(&one.name);
        }
    }

    pub(crate) fn add_type_params(&mut self, params: Option<&TypeParams>) {
        for param in params.map(|params| params.type_params.as_slice()).unwrap_or_default() {
            self.add(param.name());
        }
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// Whether the name is this scope's own.
    pub(crate) fn owns(&self, name: &str) -> bool {
        self.names.contains(name) && !self.globals.contains(name) && !self.nonlocals.contains(name)
    }

    fn import(&mut self, name: &str, imported: Imported) {
        self.add(name);
        self.imports.insert(name.to_owned(), imported);
    }
}

impl<'a> Visitor<'a> for Bound {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(one) => {
                self.add(&one.name);
                one.decorator_list.iter().for_each(|it| self.visit_expr(&it.expression));
            }
            Stmt::ClassDef(one) => {
                self.add(&one.name);
                one.decorator_list.iter().for_each(|it| self.visit_expr(&it.expression));
            }
            Stmt::Global(one) => {
                self.globals.extend(one.names.iter().map(|name| name.to_string()));
            }
            Stmt::Nonlocal(one) => {
                self.nonlocals.extend(one.names.iter().map(|name| name.to_string()));
            }
            Stmt::Import(one) => {
                for alias in &one.names {
                    let full = alias.name.as_str();
                    let first = full.split('.').next().unwrap_or_default().to_owned();
                    // `import a.b` binds `a`, `import a.b as c` binds the module `a.b`.
                    let (name, module) = match &alias.asname {
                        Some(name) => (name.to_string(), full.to_owned()),
                        None => (first.clone(), first),
                    };
                    self.import(&name, Imported { level: 0, module, name: None });
                }
            }
            Stmt::ImportFrom(one) => {
                let module = one.module.as_ref().map(ToString::to_string).unwrap_or_default();
                for alias in &one.names {
                    if alias.name.as_str() == "*" {
                        self.stars.push((one.level, module.clone()));
                        continue;
                    }
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
                    let imported = Imported {
                        level: one.level,
                        module: module.clone(),
                        name: Some(alias.name.to_string()),
                    };
                    self.import(&name, imported);
                }
            }
            _ => visitor::walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        // What is nested more deeply is refused by the encoder.
        if self.depth > DEPTH {
            return;
        }
        self.depth += 1;
        match expr {
            Expr::Name(name) => {
                if !matches!(name.ctx, ExprContext::Load) {
                    self.add(&name.id);
                }
            }
            Expr::Lambda(_) => {}
            Expr::BinOp(one) => operands(one).for_each(|it| self.visit_expr(it)),
            _ => visitor::walk_expr(self, expr),
        }
        self.depth -= 1;
    }

    fn visit_annotation(&mut self, _expr: &'a Expr) {}

    fn visit_comprehension(&mut self, one: &'a Comprehension) {
        self.visit_expr(&one.iter);
        one.ifs.iter().for_each(|expr| self.visit_expr(expr));
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(one) = handler;
        if let Some(name) = &one.name {
            self.add(name);
        }
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(one) => one.name.as_ref(),
            Pattern::MatchStar(one) => one.name.as_ref(),
            Pattern::MatchMapping(one) => one.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.add(name);
        }
        visitor::walk_pattern(self, pattern);
    }
}
