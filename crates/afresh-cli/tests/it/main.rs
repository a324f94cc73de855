//! What users of the command see.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod binary;
mod commands;
mod edits;
mod pickles;
mod usage;
mod world;
