//! Expressions. Parentheses, quotes and spelling are gone already; what remains is written field by field.

use ruff_python_ast::{Arguments, Comprehension, Expr, ExprBinOp};

use crate::encode::Encoder;
use crate::error::{Error, Result};
use crate::spine::spine;

impl Encoder<'_> {
    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<()> {
        self.deeper(|encoder| encoder.expr_inner(expr))
    }

    pub(crate) fn optional(&mut self, expr: Option<&Expr>) -> Result<()> {
        match expr {
            Some(expr) => self.expr(expr),
            None => {
                self.writer.absent();
                Ok(())
            }
        }
    }

    pub(crate) fn exprs(&mut self, list: &[Expr]) -> Result<()> {
        self.writer.list(list.len());
        list.iter().try_for_each(|expr| self.expr(expr))
    }

    pub(crate) fn arguments(&mut self, arguments: &Arguments) -> Result<()> {
        self.exprs(&arguments.args)?;
        self.writer.list(arguments.keywords.len());
        for keyword in &arguments.keywords {
            match &keyword.arg {
                Some(name) => self.writer.name(name),
                None => self.writer.absent(),
            }
            self.expr(&keyword.value)?;
        }
        Ok(())
    }

    pub(crate) fn no_arguments(&mut self) {
        self.writer.list(0);
        self.writer.list(0);
    }

    fn generators(&mut self, generators: &[Comprehension]) -> Result<()> {
        self.writer.list(generators.len());
        for one in generators {
            self.writer.flag(one.is_async);
            self.expr(&one.target)?;
            self.expr(&one.iter)?;
            self.exprs(&one.ifs)?;
        }
        Ok(())
    }

    fn binary(&mut self, last: &ExprBinOp) -> Result<()> {
        let (chain, first) = spine(last);
        for one in &chain {
            self.writer.node("binary");
            self.writer.name(one.op.as_str());
        }
        self.expr(first)?;
        chain.iter().rev().try_for_each(|one| self.expr(&one.right))
    }

    fn expr_inner(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::BoolOp(one) => {
                self.writer.node("bool");
                self.writer.name(one.op.as_str());
                self.exprs(&one.values)
            }
            Expr::Named(one) => {
                self.writer.node("walrus");
                self.expr(&one.target)?;
                self.expr(&one.value)
            }
            Expr::BinOp(one) => self.binary(one),
            Expr::UnaryOp(one) => {
                self.writer.node("unary");
                self.writer.name(one.op.as_str());
                self.expr(&one.operand)
            }
            Expr::Lambda(one) => {
                self.writer.node("lambda");
                match &one.parameters {
                    Some(parameters) => self.parameters(parameters, false, true)?,
                    None => self.parameters(&Default::default(), false, true)?,
                }
                self.expr(&one.body)
            }
            Expr::If(one) => {
                self.writer.node("choose");
                self.expr(&one.test)?;
                self.expr(&one.body)?;
                self.expr(&one.orelse)
            }
            Expr::Dict(one) => {
                self.writer.node("dict");
                self.writer.list(one.items.len());
                one.items.iter().try_for_each(|item| {
                    self.optional(item.key.as_ref())?;
                    self.expr(&item.value)
                })
            }
            Expr::Set(one) => {
                self.writer.node("set");
                self.exprs(&one.elts)
            }
            Expr::ListComp(one) => {
                self.writer.node("list-of");
                self.expr(&one.elt)?;
                self.generators(&one.generators)
            }
            Expr::SetComp(one) => {
                self.writer.node("set-of");
                self.expr(&one.elt)?;
                self.generators(&one.generators)
            }
            Expr::DictComp(one) => {
                self.writer.node("dict-of");
                self.optional(one.key.as_deref())?;
                self.expr(&one.value)?;
                self.generators(&one.generators)
            }
            Expr::Generator(one) => {
                self.writer.node("each-of");
                self.expr(&one.elt)?;
                self.generators(&one.generators)
            }
            Expr::Await(one) => {
                self.writer.node("await");
                self.expr(&one.value)
            }
            Expr::Yield(one) => {
                self.writer.node("yield");
                self.optional(one.value.as_deref())
            }
            Expr::YieldFrom(one) => {
                self.writer.node("yield-from");
                self.expr(&one.value)
            }
            Expr::Compare(one) => {
                self.writer.node("compare");
                self.expr(&one.left)?;
                self.writer.list(one.ops.len());
                one.ops.iter().for_each(|op| self.writer.name(op.as_str()));
                self.exprs(&one.comparators)
            }
            Expr::Call(one) => {
                self.writer.node("call");
                self.expr(&one.func)?;
                self.arguments(&one.arguments)
            }
            Expr::FString(one) => self.f_string(one),
            Expr::TString(one) => self.t_string(one),
            Expr::StringLiteral(one) => {
                self.string(one);
                Ok(())
            }
            Expr::BytesLiteral(one) => {
                self.byte_string(one);
                Ok(())
            }
            Expr::NumberLiteral(one) => self.number(&one.value),
            Expr::BooleanLiteral(one) => {
                self.writer.flag(one.value);
                Ok(())
            }
            Expr::NoneLiteral(_) => {
                self.writer.node("none");
                Ok(())
            }
            Expr::EllipsisLiteral(_) => {
                self.writer.node("ellipsis");
                Ok(())
            }
            Expr::Attribute(one) => {
                self.writer.node("attribute");
                self.writer.name(&one.attr);
                self.expr(&one.value)
            }
            Expr::Subscript(one) => {
                self.writer.node("subscript");
                self.expr(&one.value)?;
                self.expr(&one.slice)
            }
            Expr::Starred(one) => {
                self.writer.node("star");
                self.expr(&one.value)
            }
            Expr::Name(one) => {
                self.writer.name(&one.id);
                Ok(())
            }
            Expr::List(one) => {
                self.writer.node("list");
                self.exprs(&one.elts)
            }
            Expr::Tuple(one) => {
                self.writer.node("tuple");
                self.exprs(&one.elts)
            }
            Expr::Slice(one) => {
                self.writer.node("slice");
                self.optional(one.lower.as_deref())?;
                self.optional(one.upper.as_deref())?;
                self.optional(one.step.as_deref())
            }
            Expr::IpyEscapeCommand(_) => Err(Error::Unsupported("an IPython command")),
        }
    }
}
