//! The patterns of `match` statements.

use ruff_python_ast::{Pattern, Singleton};

use crate::encode::Encoder;
use crate::error::Result;

impl Encoder<'_> {
    pub(crate) fn pattern(&mut self, pattern: &Pattern) -> Result<()> {
        self.deeper(|encoder| encoder.pattern_inner(pattern))
    }

    fn patterns<'p>(&mut self, list: impl ExactSizeIterator<Item = &'p Pattern>) -> Result<()> {
        self.writer.list(list.len());
        for pattern in list {
            self.pattern(pattern)?;
        }
        Ok(())
    }

    fn optional_name(&mut self, name: Option<&str>) {
        match name {
            Some(name) => self.writer.name(name),
            None => self.writer.absent(),
        }
    }

    fn pattern_inner(&mut self, pattern: &Pattern) -> Result<()> {
        match pattern {
            Pattern::MatchValue(one) => {
                self.writer.node("p-value");
                self.expr(&one.value)
            }
            Pattern::MatchSingleton(one) => {
                self.writer.node("p-singleton");
                self.writer.name(match one.value {
                    Singleton::None => "None",
                    Singleton::True => "True",
                    Singleton::False => "False",
                });
                Ok(())
            }
            Pattern::MatchSequence(one) => {
                self.writer.node("p-sequence");
                self.patterns(one.patterns.iter())
            }
            Pattern::MatchMapping(one) => {
                self.writer.node("p-mapping");
                self.writer.list(one.keys.len());
                one.keys.iter().try_for_each(|key| self.expr(key))?;
                self.patterns(one.patterns.iter())?;
                self.optional_name(one.rest.as_ref().map(|name| name.as_str()));
                Ok(())
            }
            Pattern::MatchClass(one) => {
                self.writer.node("p-class");
                self.expr(&one.cls)?;
                self.patterns(one.arguments.patterns.iter())?;
                self.writer.list(one.arguments.keywords.len());
                one.arguments.keywords.iter().try_for_each(|keyword| {
                    self.writer.name(&keyword.attr);
                    self.pattern(&keyword.pattern)
                })
            }
            Pattern::MatchStar(one) => {
                self.writer.node("p-star");
                self.optional_name(one.name.as_ref().map(|name| name.as_str()));
                Ok(())
            }
            Pattern::MatchAs(one) => {
                self.writer.node("p-as");
                match &one.pattern {
                    Some(inner) => self.pattern(inner)?,
                    None => self.writer.absent(),
                }
                self.optional_name(one.name.as_ref().map(|name| name.as_str()));
                Ok(())
            }
            Pattern::MatchOr(one) => {
                self.writer.node("p-or");
                self.patterns(one.patterns.iter())
            }
        }
    }
}
