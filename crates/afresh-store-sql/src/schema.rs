//! The tables, and how they come to be there once.
//!
//! Invariant: the version of the schema is in the name of every table, and this one is never altered in place; a newer
//! one gets new names. Two processes that find an empty database make its tables one after the other, under a lock of
//! the server. The row in `meta` is written last: without it the making is begun again.
//!
//! All text is kept as bytes, so that no encoding or collation of a database matters. What each column holds:
//! `docs/format-store-sql.md`.

use afresh_core::{Error, Kind, Result};

use crate::config::Server;
use crate::session::Session;
use crate::sql::Sql;

/// What `meta` says of tables that this code knows.
const FORMAT: i64 = 2;

const POSTGRES: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7001402371146899553);
CREATE TABLE IF NOT EXISTS {p}entry (
  id bytea PRIMARY KEY, space bigint NOT NULL, version bigint NOT NULL, made bigint NOT NULL,
  moment bigint NOT NULL, used bigint NOT NULL, expires bigint,
  func bigint, grouped bigint, status bigint, object bytea, tagged bigint NOT NULL, data bytea NOT NULL);
CREATE INDEX IF NOT EXISTS {p}entry_moment ON {p}entry (space, moment, made);
CREATE INDEX IF NOT EXISTS {p}entry_func ON {p}entry (func, space, moment, made) WHERE func IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}entry_grouped ON {p}entry (grouped, space, moment, made) WHERE grouped IS NOT NULL;
CREATE INDEX IF NOT EXISTS {p}entry_expires ON {p}entry (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS {p}tag (id bytea NOT NULL, hash bigint NOT NULL, PRIMARY KEY (hash, id));
CREATE INDEX IF NOT EXISTS {p}tag_id ON {p}tag (id);
CREATE TABLE IF NOT EXISTS {p}object (
  id bytea PRIMARY KEY, number bigint NOT NULL, length bigint NOT NULL, stored bigint NOT NULL,
  form bigint NOT NULL, written bigint NOT NULL, data bytea);
ALTER TABLE {p}object ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {p}part (
  number bigint NOT NULL, place bigint NOT NULL, data bytea NOT NULL, PRIMARY KEY (number, place));
ALTER TABLE {p}part ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {p}aside (
  number bigint PRIMARY KEY, id bytea NOT NULL, moved bigint NOT NULL, length bigint NOT NULL,
  form bigint NOT NULL, data bytea);
CREATE SEQUENCE IF NOT EXISTS {p}version;
CREATE TABLE IF NOT EXISTS {p}meta (id bigint PRIMARY KEY, format bigint NOT NULL);
INSERT INTO {p}meta VALUES (1, 2) ON CONFLICT DO NOTHING;
COMMIT";

const MYSQL: &str = "
CREATE TABLE IF NOT EXISTS {p}entry (
  id varbinary(513) PRIMARY KEY, space bigint NOT NULL, version bigint NOT NULL, made bigint NOT NULL,
  moment bigint NOT NULL, used bigint NOT NULL, expires bigint,
  func bigint, grouped bigint, status bigint, object varbinary(32), tagged bigint NOT NULL, data longblob NOT NULL,
  INDEX (space, moment, made), INDEX (func, space, moment, made), INDEX (grouped, space, moment, made),
  INDEX (expires)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE IF NOT EXISTS {p}tag (
  id varbinary(513) NOT NULL, hash bigint NOT NULL, PRIMARY KEY (hash, id), INDEX (id))
  ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE IF NOT EXISTS {p}object (
  id varbinary(32) PRIMARY KEY, number bigint NOT NULL, length bigint NOT NULL, stored bigint NOT NULL,
  form bigint NOT NULL, written bigint NOT NULL, data longblob)
  ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE IF NOT EXISTS {p}part (
  number bigint NOT NULL, place bigint NOT NULL, data longblob NOT NULL, PRIMARY KEY (number, place))
  ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE IF NOT EXISTS {p}aside (
  number bigint PRIMARY KEY, id varbinary(32) NOT NULL, moved bigint NOT NULL, length bigint NOT NULL,
  form bigint NOT NULL, data longblob)
  ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE IF NOT EXISTS {p}version (id bigint AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS {p}meta (id bigint PRIMARY KEY, format bigint NOT NULL) ENGINE=InnoDB;
INSERT IGNORE INTO {p}meta VALUES (1, 2)";

/// Whether tables of ours are there, and of which format.
async fn format(session: &mut dyn Session, sql: &Sql) -> Result<Option<i64>> {
    let there = match sql.server {
        Server::Postgres => "SELECT CASE WHEN to_regclass('{p}meta') IS NULL THEN 0 ELSE 1 END",
        Server::Mysql => {
            "SELECT COUNT(*) FROM information_schema.tables
             WHERE table_schema = DATABASE() AND table_name = '{p}meta'"
        }
    };
    if first(session, sql, there).await? != Some(1) {
        return Ok(None);
    }
    first(session, sql, "SELECT format FROM {p}meta WHERE id = 1").await
}

async fn first(session: &mut dyn Session, sql: &Sql, template: &str) -> Result<Option<i64>> {
    let rows = session.run(&[sql.plain(template)]).await?.pop().unwrap_or_default();
    Ok(rows.first().and_then(|row| row.int(0)))
}

/// Makes the tables where there are none; refuses those of another format.
pub(crate) async fn ensure(session: &mut dyn Session, sql: &Sql) -> Result<()> {
    if format(session, sql).await?.is_none() {
        match sql.server {
            Server::Postgres => session.script(&sql.text(POSTGRES)).await?,
            Server::Mysql => {
                // Not transactional here: each statement is harmless the second time. The lock ends with the
                // connection, and an error closes that.
                if first(session, sql, "SELECT GET_LOCK('{p}schema', 30)").await? != Some(1) {
                    return Err(Error::new(
                        Kind::Unavailable,
                        "another process has been making the tables for 30 s",
                    ));
                }
                session.script(&sql.text(MYSQL)).await?;
                first(session, sql, "SELECT RELEASE_LOCK('{p}schema')").await?;
            }
        }
    }
    match format(session, sql).await? {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(Error::new(
            Kind::Config,
            format!("the tables have format {other}; this version of afresh knows format {FORMAT}"),
        )
        .with_hint("upgrade afresh, or give another `prefix=` in the address")),
        None => Err(Error::new(Kind::Unavailable, "the tables that were just made are not there")
            .with_hint("does the user have a schema of its own in the search_path?")),
    }
}
