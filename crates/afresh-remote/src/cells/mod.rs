//! Entries on servers that can replace one thing under a condition, and no more: conditional changes, versions, ends and
//! batches made of that. For buckets, documents, and whatever else has a compare-and-set.
//!
//! | to … | see |
//! |---|---|
//! | know what time it is by the server's clock | [`Clock`] |
//! | see what is kept for an entry | [`Body`], [`Row`] |
//! | see what a batch comes to | `plan` |
//! | see it carried out | [`Entries`] |

mod body;
mod clock;
mod entries;
mod plan;
mod queue;

use std::fmt::Debug;

use afresh_core::{Key, Result};
use async_trait::async_trait;

pub use body::{Body, Guard, Row, TOMBSTONE, damaged};
pub use clock::Clock;
pub use entries::Entries;

/// What was found under a key.
#[derive(Clone, Debug)]
pub struct Cell<Token> {
    /// What is kept there.
    pub body: Body,
    /// What tells this write from all others.
    pub token: Token,
}

/// What became of a conditional write.
#[derive(Clone, Debug)]
pub enum Swapped<Token> {
    /// It happened; this is there now.
    Done(Cell<Token>),
    /// Something else was there, or nothing.
    Refused(Option<Cell<Token>>),
}

/// A server's compare-and-set.
#[async_trait]
pub trait Cells: Debug + Send + Sync + 'static {
    /// What tells one write from all others.
    type Token: Clone + Debug + Send + Sync;

    /// What is under a key: an entry, be it over, or a tombstone.
    async fn get(&self, key: &Key) -> Result<Option<Cell<Self::Token>>>;

    /// Puts `body` where `seen` still is, or where nothing is. A write whose answer was lost must not be taken for
    /// another's.
    async fn swap(
        &self,
        key: &Key,
        seen: Option<&Cell<Self::Token>>,
        body: &Body,
    ) -> Result<Swapped<Self::Token>>;

    /// Removes what is under a key, whatever it is.
    async fn erase(&self, key: &Key) -> Result<()>;
}
