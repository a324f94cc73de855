//! Whether anybody has committed since: the header of the log's index, which SQLite keeps in shared memory.
//!
//! SQLite itself compares these 48 bytes at the beginning of each transaction to learn whether its page cache is
//! still right (<https://sqlite.org/walformat.html#the_wal_index_header>). Reading them takes nanoseconds; asking
//! through SQL takes two system calls and a statement.
//!
//! Invariant: as long as a stamp is equal to one that was taken before, no transaction has committed between the two.
//! Unequal stamps say nothing. What the database holds is for others to read.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_FCNTL_FILE_POINTER, SQLITE_OK, sqlite3_file, sqlite3_file_control};

/// Words of the header.
const WORDS: usize = 12;

/// Which of them counts transactions.
const CHANGE: usize = 2;

/// Bytes of a piece of the index, as SQLite maps it.
const PIECE: c_int = 32 << 10;

/// What the header was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([u32; WORDS]);

impl Stamp {
    /// Whether exactly one transaction committed between `self` and `later`.
    pub(crate) fn precedes(&self, later: &Self) -> bool {
        let count = |stamp: &Self| stamp.0.get(CHANGE).copied().unwrap_or_default();
        count(self).wrapping_add(1) == count(later)
    }
}

/// The header in memory. To be used only while the connection that it was taken from is open.
pub(crate) struct Watch(*const [AtomicU32; WORDS]);

// SAFETY: it is a place in memory shared between processes, read with atomic loads only.
#[allow(unsafe_code)]
unsafe impl Send for Watch {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Watch {}

impl Watch {
    /// The header of the log that `conn` reads; `None` where there is no log, or its index is not shared.
    #[allow(unsafe_code)]
    pub(crate) fn new(conn: &Connection) -> Option<Self> {
        let mut file: *mut sqlite3_file = ptr::null_mut();
        let mut piece: *mut c_void = ptr::null_mut();
        // SAFETY: `conn` is open. The control writes a pointer to its file, which lives as long as it does; the method
        // is part of every file that has a version-2 interface and gives the piece that is mapped already.
        unsafe {
            let asked = sqlite3_file_control(
                conn.handle(),
                c"main".as_ptr(),
                SQLITE_FCNTL_FILE_POINTER,
                (&raw mut file).cast(),
            );
            let methods = file.as_ref()?.pMethods.as_ref()?;
            if asked != SQLITE_OK || methods.iVersion < 2 {
                return None;
            }
            if methods.xShmMap?(file, 0, PIECE, 0, &raw mut piece) != SQLITE_OK || piece.is_null() {
                return None;
            }
        }
        Some(Self(piece.cast_const().cast()))
    }

    /// The header now. One that is just being written differs from every other.
    #[allow(unsafe_code)]
    pub(crate) fn stamp(&self) -> Stamp {
        // SAFETY: the connection is open, so the piece is mapped; it is aligned to a page and larger than this.
        let words = unsafe { &*self.0 };
        fence(Ordering::SeqCst);
        let stamp = Stamp(words.each_ref().map(|word| word.load(Ordering::Acquire)));
        fence(Ordering::SeqCst);
        stamp
    }
}
