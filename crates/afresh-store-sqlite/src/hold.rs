//! A read transaction that stays open from one look-up to the next.
//!
//! To begin and end one costs two system calls and the search for where to read, more than the look-up itself (measured:
//! 5.0 µs a look-up, 2.0 inside a transaction). As long as the log's stamp is the same the transaction sees what a new one
//! would see. So when several look-ups in a row have found nobody writing, the next ones share a transaction.
//!
//! Invariant: a transaction that is held is the one its stamp says, and it ends some milliseconds after it began, at the
//! next other use of the connection, or at the next look-up after a commit, whichever is first: a checkpoint cannot begin
//! the log anew while somebody reads. Only the connection that writes is held, and the keeper lets go of it in time.

use std::time::Duration;

use rusqlite::Connection;

use crate::error::Outcome;
use crate::watch::Stamp;

/// How long a transaction stays open. In a loop of look-ups the keeper wakes as often as this.
pub(crate) const HELD: Duration = Duration::from_millis(10);

/// Look-ups between which nobody has committed before one is held: short programs need no keeper, and whoever looks and
/// writes by turns would open transactions for nothing.
const AFTER: u32 = 8;

/// What is known of a connection's transaction.
#[derive(Default)]
pub(crate) struct Hold {
    /// The log at the last look-up.
    seen: Option<Stamp>,
    /// How many look-ups in a row have seen that.
    times: u32,
    open: bool,
}

impl Hold {
    /// To be called before a look-up, with the stamp that it has to be right for. Whether a transaction has begun that
    /// somebody has to end in time.
    pub(crate) fn enter(
        &mut self,
        conn: &Connection,
        stamp: Option<Stamp>,
        now: impl FnOnce() -> Option<Stamp>,
    ) -> Outcome<bool> {
        if self.seen == stamp && (self.open || stamp.is_none()) {
            return Ok(false);
        }
        self.leave(conn)?;
        if self.seen != stamp {
            (self.seen, self.times) = (stamp, 0);
        }
        self.times += 1;
        if self.times <= AFTER {
            return Ok(false);
        }
        conn.prepare_cached("BEGIN")?.execute([])?;
        self.open = true;
        // It begins with the first thing that it reads.
        conn.prepare_cached("SELECT 1 FROM meta WHERE id = 1")?.query_row([], |_| Ok(()))?;
        if now() != stamp {
            self.leave(conn)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Ends the transaction, if there is one.
    pub(crate) fn leave(&mut self, conn: &Connection) -> Outcome<()> {
        // SQLite may have ended it by itself, after an error.
        if self.open && !conn.is_autocommit() {
            conn.prepare_cached("COMMIT")?.execute([])?;
        }
        self.open = false;
        Ok(())
    }
}
