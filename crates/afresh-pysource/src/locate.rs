//! Finding a definition in a file from what a code object knows: its name and first line, for a lambda
//! also its parameters and, where the interpreter recorded them, the columns of its body.

use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{Expr, ExprLambda, Stmt, StmtClassDef, StmtFunctionDef};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::spine::{DEPTH, operands};

/// Turns offsets into lines and back.
pub(crate) struct Lines {
    starts: Vec<TextSize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let mut starts = vec![TextSize::new(0)];
        let bytes = text.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            let ends = match byte {
                b'\n' => true,
                b'\r' => bytes.get(index + 1) != Some(&b'\n'),
                _ => false,
            };
            if ends && let Ok(next) = TextSize::try_from(index + 1) {
                starts.push(next);
            }
        }
        Self { starts }
    }

    /// The line of an offset, counted from one.
    pub(crate) fn line(&self, offset: TextSize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// The offset where a line begins.
    pub(crate) fn start(&self, line: u32) -> Option<TextSize> {
        self.starts.get(usize::try_from(line.checked_sub(1)?).ok()?).copied()
    }

    /// The offset of a line and a column in bytes.
    pub(crate) fn offset(&self, line: u32, column: u32) -> Option<TextSize> {
        self.start(line)?.checked_add(TextSize::new(column))
    }

    /// The first and last line of a range.
    pub(crate) fn span(&self, range: TextRange) -> (u32, u32) {
        (self.line(range.start()), self.line(range.end()))
    }
}

/// The function of this name that starts on this line, decorators included.
pub(crate) fn function<'a>(
    body: &'a [Stmt],
    lines: &Lines,
    name: &str,
    line: u32,
) -> Vec<&'a StmtFunctionDef> {
    let mut search = Functions { lines, name, line, found: Vec::new() };
    search.visit_body(body);
    search.found
}

struct Functions<'a, 's> {
    lines: &'s Lines,
    name: &'s str,
    line: u32,
    found: Vec<&'a StmtFunctionDef>,
}

impl<'a> Visitor<'a> for Functions<'a, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let (first, last) = self.lines.span(stmt.range());
        if !(first..=last).contains(&self.line) {
            return;
        }
        if let Stmt::FunctionDef(def) = stmt
            && def.name.as_str() == self.name
            && self.line <= self.lines.line(def.name.start())
        {
            self.found.push(def);
        }
        visitor::walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, _expr: &'a Expr) {}
}

/// The functions of this qualified name (`f`, `C.f`, `make.<locals>.f`), in order.
pub(crate) fn functions<'a>(body: &'a [Stmt], qualname: &str) -> Vec<&'a StmtFunctionDef> {
    let mut search = Named::new(qualname);
    search.visit_body(body);
    search.functions
}

/// The lambdas that start on this line; all of them where there is none.
pub(crate) fn lambdas<'a>(
    body: &'a [Stmt],
    lines: &Lines,
    line: Option<u32>,
) -> Vec<&'a ExprLambda> {
    let mut search = Lambdas { lines, line, depth: 0, found: Vec::new() };
    search.visit_body(body);
    search.found
}

struct Lambdas<'a, 's> {
    lines: &'s Lines,
    line: Option<u32>,
    depth: usize,
    found: Vec<&'a ExprLambda>,
}

impl<'a> Visitor<'a> for Lambdas<'a, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let (first, last) = self.lines.span(stmt.range());
        if self.line.is_none_or(|line| (first..=last).contains(&line)) {
            visitor::walk_stmt(self, stmt);
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Lambda(lambda) = expr
            && self.line.is_none_or(|line| self.lines.line(lambda.start()) == line)
        {
            self.found.push(lambda);
        }
        if self.depth > DEPTH {
            return;
        }
        self.depth += 1;
        match expr {
            Expr::BinOp(one) => operands(one).for_each(|it| self.visit_expr(it)),
            _ => visitor::walk_expr(self, expr),
        }
        self.depth -= 1;
    }
}

/// The classes of this qualified name (`Outer.Inner`, `make.<locals>.Inner`).
pub(crate) fn classes<'a>(body: &'a [Stmt], qualname: &str) -> Vec<&'a StmtClassDef> {
    let mut search = Named::new(qualname);
    search.visit_body(body);
    search.classes
}

struct Named<'a, 's> {
    wanted: Vec<&'s str>,
    path: Vec<&'a str>,
    functions: Vec<&'a StmtFunctionDef>,
    classes: Vec<&'a StmtClassDef>,
}

impl<'s> Named<'_, 's> {
    fn new(qualname: &'s str) -> Self {
        let wanted = qualname.split('.').filter(|part| *part != "<locals>").collect();
        Self { wanted, path: Vec::new(), functions: Vec::new(), classes: Vec::new() }
    }
}

impl<'a> Visitor<'a> for Named<'a, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let name = match stmt {
            Stmt::FunctionDef(def) => def.name.as_str(),
            Stmt::ClassDef(class) => class.name.as_str(),
            _ => return visitor::walk_stmt(self, stmt),
        };
        self.path.push(name);
        if self.wanted.starts_with(&self.path) {
            match stmt {
                _ if self.path.len() < self.wanted.len() => visitor::walk_stmt(self, stmt),
                Stmt::FunctionDef(def) => self.functions.push(def),
                Stmt::ClassDef(class) => self.classes.push(class),
                _ => {}
            }
        }
        self.path.pop();
    }

    fn visit_expr(&mut self, _expr: &'a Expr) {}
}
