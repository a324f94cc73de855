//! A store in a SQL database: PostgreSQL, MySQL or MariaDB, with one set of tables and one set of statements.
//!
//! | to … | see |
//! |---|---|
//! | take an address apart | `config` |
//! | see the tables, and how they are made once | `schema` |
//! | know what differs between the servers | `sql`, then `postgres` and `mysql`, each a [session](session) |
//! | follow a batch | `entry`, which locks and writes; `plan`, which decides |
//! | follow objects, scans, what expires | `object`, `scan`, `sweep` |
//! | know what the store holds, and what counting costs others | `usage` |
//! | see who is told of changes | `listen` |
//! | know what a failure of a server means | `error` |
#![forbid(unsafe_code)]

mod config;
mod database;
mod entry;
mod error;
mod listen;
mod mysql;
mod object;
mod plan;
mod pool;
mod postgres;
mod row;
mod scan;
mod schema;
mod session;
mod sql;
mod store;
mod sweep;
mod usage;

pub use config::{Clock, SqlOptions};
pub use store::{open, open_with};
