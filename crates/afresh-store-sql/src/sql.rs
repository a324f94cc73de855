//! Statements as both servers take them, and the few words in which they differ.
//!
//! A template has `{p}` before the name of each table, `{now}` for the server's clock in milliseconds, and `?` for
//! values. `IN ?` takes a list. All values are numbers of 64 bits and bytes; nothing of the user's is ever text in a
//! statement.

use afresh_core::Bytes;

use crate::config::{Clock, Server};

/// A value of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(Option<i64>),
    Bytes(Option<Bytes>),
    List(Vec<Bytes>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl From<Option<Bytes>> for Value {
    fn from(bytes: Option<Bytes>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<Bytes>> for Value {
    fn from(list: Vec<Bytes>) -> Self {
        Self::List(list)
    }
}

impl Value {
    /// About how many bytes it is on the wire.
    fn len(&self) -> usize {
        match self {
            Self::Int(_) | Self::Bytes(None) => 8,
            Self::Bytes(Some(bytes)) => bytes.len(),
            Self::List(list) => list.iter().map(|bytes| bytes.len() + 8).sum(),
        }
    }
}

/// A statement with its values.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.values.iter().map(Value::len).sum::<usize>()
    }

    /// How long its longest list of values is.
    pub(crate) fn given(&self) -> usize {
        let many = |value: &Value| match value {
            Value::List(list) => list.len(),
            Value::Int(_) | Value::Bytes(_) => 1,
        };
        self.values.iter().map(many).max().unwrap_or(0)
    }
}

/// What statements are made with.
#[derive(Clone)]
pub(crate) struct Sql {
    pub(crate) server: Server,
    /// What the names of tables begin with, the version of the schema included.
    pub(crate) tables: String,
    pub(crate) clock: Option<Clock>,
}

impl Sql {
    /// The word that suits the server.
    pub(crate) fn pick<'a>(&self, postgres: &'a str, mysql: &'a str) -> &'a str {
        match self.server {
            Server::Postgres => postgres,
            Server::Mysql => mysql,
        }
    }

    /// A template as the server wants it.
    pub(crate) fn text(&self, template: &str) -> String {
        let text = template.replace("{p}", &self.tables);
        if !text.contains("{now}") {
            return text;
        }
        match &self.clock {
            Some(clock) => text.replace("{now}", &format!("{}", clock().as_millis())),
            // Both are the time at which the statement began, so that an index on a time can be used.
            None => text.replace(
                "{now}",
                self.pick(
                    "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)",
                    "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
                ),
            ),
        }
    }

    /// A statement of a template.
    pub(crate) fn with(&self, template: &str, values: Vec<Value>) -> Statement {
        Statement { text: self.text(template), values }
    }

    /// A statement without values.
    pub(crate) fn plain(&self, template: &str) -> Statement {
        self.with(template, Vec::new())
    }

    pub(crate) fn begin(&self) -> Statement {
        self.plain(self.pick("BEGIN ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"))
    }

    pub(crate) fn commit(&self) -> Statement {
        self.plain("COMMIT")
    }
}
