//! Guards: gates around a call that remember nothing of what it returned.
//!
//! Each is plain data and a pure function of it and the time; where the data is kept, and that two who change it at the
//! same time do not overwrite each other, is up to the caller.

mod breaker;
mod window;

pub use breaker::{Breaker, Tally};
pub use window::admit;
