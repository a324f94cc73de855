//! Statements. `elif` is `else: if`, an annotated local is a plain assignment, and a body is the
//! statements in it that do something.

use ruff_python_ast::{
    Alias, ElifElseClause, ExceptHandler, Expr, Stmt, StmtAnnAssign, StmtIf, StmtImportFrom,
};

use crate::encode::Encoder;
use crate::error::{Error, Result};

impl Encoder<'_> {
    pub(crate) fn body(&mut self, body: &[Stmt]) -> Result<()> {
        let kept = self.meaningful(body, self.annotated);
        self.writer.list(kept.len());
        kept.into_iter().try_for_each(|stmt| self.stmt(stmt))
    }

    pub(crate) fn stmt(&mut self, stmt: &Stmt) -> Result<()> {
        self.deeper(|encoder| encoder.stmt_inner(stmt))
    }

    fn keyword(&mut self, kind: &str, is_async: bool) {
        self.writer.node(kind);
        self.writer.flag(is_async);
    }

    fn names<'n>(&mut self, kind: &str, names: impl Iterator<Item = &'n str>) {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        self.writer.node(kind);
        self.writer.list(names.len());
        names.into_iter().for_each(|name| self.writer.name(name));
    }

    fn aliases(&mut self, aliases: &[Alias]) {
        self.writer.list(aliases.len());
        for alias in aliases {
            self.writer.name(&alias.name);
            match &alias.asname {
                Some(name) => self.writer.name(name),
                None => self.writer.absent(),
            }
        }
    }

    fn import_from(&mut self, import: &StmtImportFrom) {
        self.writer.node("from");
        self.writer.int(&import.level.to_le_bytes());
        self.writer.name(import.module.as_ref().map(|name| name.as_str()).unwrap_or_default());
        self.aliases(&import.names);
    }

    /// `if` with what is left of its `elif` and `else` clauses.
    fn choice(&mut self, test: &Expr, body: &[Stmt], clauses: &[ElifElseClause]) -> Result<()> {
        self.writer.node("if");
        self.expr(test)?;
        self.body(body)?;
        match clauses.split_first() {
            None => {
                self.writer.list(0);
                Ok(())
            }
            Some((ElifElseClause { test: Some(test), body, .. }, rest)) => {
                self.writer.list(1);
                self.deeper(|encoder| encoder.choice(test, body, rest))
            }
            Some((ElifElseClause { test: None, body, .. }, _)) => self.body(body),
        }
    }

    fn annotated_assignment(&mut self, one: &StmtAnnAssign) -> Result<()> {
        if self.annotated {
            self.writer.node("declare");
            self.expr(&one.target)?;
            self.expr(&one.annotation)?;
            return self.optional(one.value.as_deref());
        }
        match &one.value {
            Some(value) => {
                self.writer.node("assign");
                self.writer.list(1);
                self.expr(&one.target)?;
                self.expr(value)
            }
            None => {
                self.writer.node("touch");
                self.expr(&one.target)
            }
        }
    }

    fn handler(&mut self, handler: &ExceptHandler) -> Result<()> {
        let ExceptHandler::ExceptHandler(one) = handler;
        self.optional(one.type_.as_deref())?;
        match &one.name {
            Some(name) => self.writer.name(name),
            None => self.writer.absent(),
        }
        self.body(&one.body)
    }

    fn stmt_inner(&mut self, stmt: &Stmt) -> Result<()> {
        match stmt {
            Stmt::FunctionDef(one) => self.function(one, true, true),
            Stmt::ClassDef(one) => self.class(one, false),
            Stmt::Return(one) => {
                self.writer.node("return");
                self.optional(one.value.as_deref())
            }
            Stmt::Delete(one) => {
                self.writer.node("del");
                self.exprs(&one.targets)
            }
            Stmt::TypeAlias(one) => {
                self.writer.node("type");
                self.expr(&one.name)?;
                self.type_params(one.type_params.as_deref())?;
                self.expr(&one.value)
            }
            Stmt::Assign(one) => {
                self.writer.node("assign");
                self.exprs(&one.targets)?;
                self.expr(&one.value)
            }
            Stmt::AugAssign(one) => {
                self.writer.node("augment");
                self.writer.name(one.op.as_str());
                self.expr(&one.target)?;
                self.expr(&one.value)
            }
            Stmt::AnnAssign(one) => self.annotated_assignment(one),
            Stmt::For(one) => {
                self.keyword("for", one.is_async);
                self.expr(&one.target)?;
                self.expr(&one.iter)?;
                self.body(&one.body)?;
                self.body(&one.orelse)
            }
            Stmt::While(one) => {
                self.writer.node("while");
                self.expr(&one.test)?;
                self.body(&one.body)?;
                self.body(&one.orelse)
            }
            Stmt::If(StmtIf { test, body, elif_else_clauses, .. }) => {
                self.choice(test, body, elif_else_clauses)
            }
            Stmt::With(one) => {
                self.keyword("with", one.is_async);
                self.writer.list(one.items.len());
                for item in &one.items {
                    self.expr(&item.context_expr)?;
                    self.optional(item.optional_vars.as_deref())?;
                }
                self.body(&one.body)
            }
            Stmt::Match(one) => {
                self.writer.node("match");
                self.expr(&one.subject)?;
                self.writer.list(one.cases.len());
                one.cases.iter().try_for_each(|case| {
                    self.pattern(&case.pattern)?;
                    self.optional(case.guard.as_deref())?;
                    self.body(&case.body)
                })
            }
            Stmt::Raise(one) => {
                self.writer.node("raise");
                self.optional(one.exc.as_deref())?;
                self.optional(one.cause.as_deref())
            }
            Stmt::Try(one) => {
                self.writer.node(if one.is_star { "try-star" } else { "try" });
                self.body(&one.body)?;
                self.writer.list(one.handlers.len());
                one.handlers.iter().try_for_each(|handler| self.handler(handler))?;
                self.body(&one.orelse)?;
                self.body(&one.finalbody)
            }
            Stmt::Assert(one) => {
                self.writer.node("assert");
                self.expr(&one.test)?;
                self.optional(one.msg.as_deref())
            }
            Stmt::Import(one) => {
                self.writer.node("import");
                self.aliases(&one.names);
                Ok(())
            }
            Stmt::ImportFrom(one) => {
                self.import_from(one);
                Ok(())
            }
            Stmt::Global(one) => {
                self.names("global", one.names.iter().map(|name| name.as_str()));
                Ok(())
            }
            Stmt::Nonlocal(one) => {
                self.names("nonlocal", one.names.iter().map(|name| name.as_str()));
                Ok(())
            }
            Stmt::Expr(one) => {
                self.writer.node("do");
                self.expr(&one.value)
            }
            Stmt::Pass(_) => {
                self.writer.node("pass");
                Ok(())
            }
            Stmt::Break(_) => {
                self.writer.node("break");
                Ok(())
            }
            Stmt::Continue(_) => {
                self.writer.node("continue");
                Ok(())
            }
            Stmt::IpyEscapeCommand(_) => Err(Error::Unsupported("an IPython command")),
        }
    }
}
