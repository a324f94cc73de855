//! One connection, whatever the server: statements go in together, rows come out.

use afresh_core::{Bytes, Error, Kind, Result};
use async_trait::async_trait;

use crate::sql::Statement;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Bytes(Bytes),
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells(pub(crate) Vec<Cell>);

impl Cells {
    /// The bytes of a column; `None` where it is null.
    pub(crate) fn bytes(&self, column: usize) -> Option<Bytes> {
        match self.0.get(column) {
            Some(Cell::Bytes(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The number of a column; `None` where it is null.
    pub(crate) fn int(&self, column: usize) -> Option<i64> {
        match self.0.get(column)? {
            Cell::Null => None,
            Cell::Int(number) => Some(*number),
            // The text protocol of MySQL has digits.
            Cell::Bytes(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        }
    }

    /// The number of a column that is never null.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] where it is.
    pub(crate) fn number(&self, column: usize) -> Result<i64> {
        self.int(column).ok_or_else(|| {
            Error::new(Kind::Corrupt, format!("column {column} of an answer is not a number"))
        })
    }
}

/// What a statement came to.
pub(crate) type Rows = Vec<Cells>;

/// A connection to a server. Whoever drops it in the middle of something closes it.
#[async_trait]
pub(crate) trait Session: Send {
    /// Runs statements in order, in one round trip where they are small; stops at the first that fails.
    async fn run(&mut self, statements: &[Statement]) -> Result<Vec<Rows>>;

    /// Runs what has no values and no answers, such as the making of tables.
    async fn script(&mut self, text: &str) -> Result<()>;

    /// Whether the server still answers, as far as that can be told quickly.
    async fn lives(&mut self) -> bool;
}

/// The most bytes that are sent before answers are awaited.
pub(crate) const FLIGHT: usize = 4 << 20;

/// Where to part `statements` so that each part is at most `most` bytes, or one statement.
pub(crate) fn flights(statements: &[Statement], most: usize) -> Vec<&[Statement]> {
    let mut flights = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, statement) in statements.iter().enumerate() {
        let len = statement.len();
        if bytes + len > most && index > from {
            flights.extend(statements.get(from..index));
            (from, bytes) = (index, 0);
        }
        bytes += len;
    }
    flights.extend(statements.get(from..).filter(|rest| !rest.is_empty()));
    flights
}
