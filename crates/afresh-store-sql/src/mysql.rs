//! A connection to MySQL or MariaDB: several statements in one text, values written into it as digits and hexadecimals.
//!
//! The protocol cannot have several prepared statements on their way, so a transaction of prepared ones would cost a
//! round trip each. Values cannot break out of the text: none is ever written but as digits or as `x'…'`.

use std::fmt::Write as _;
use std::time::Duration;

use afresh_core::{Bytes, Error, Kind, Result};
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts, Value as Found};
use tokio::time::timeout;

use crate::config::Config;
use crate::error;
use crate::session::{Cell, Cells, Rows, Session, flights};
use crate::sql::{Statement, Value};

/// The most bytes of values in one text, where they take two each: far below any server's `max_allowed_packet`.
const FLIGHT: usize = 1 << 20;

/// What the store relies on, whatever the server's defaults are. Whoever is stopped in the middle of a transaction is cut
/// off after a while, so that others do not wait for it.
const SETTINGS: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = 5, wait_timeout = 120;
/*M! SET SESSION idle_transaction_timeout = 10 */";

pub(crate) struct Mysql {
    conn: Conn,
}

fn failed(failure: &mysql_async::Error) -> Error {
    error::mysql(failure)
}

/// A connection for statements.
pub(crate) async fn connect(config: &Config) -> Result<Mysql> {
    let encryption = config.tls.as_ref().map(|tls| {
        // The driver asks for the program's provider; where there is one already it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match &tls.roots {
            None => SslOpts::default(),
            Some(file) => SslOpts::default()
                .with_root_certs(vec![file.clone().into()])
                .with_disable_built_in_roots(true),
        }
    });
    let options = OptsBuilder::default()
        .ip_or_hostname(&config.host)
        .tcp_port(config.port)
        .user(Some(&config.user))
        .pass(config.password.as_ref())
        .db_name(Some(&config.database))
        .socket(config.socket.as_ref())
        // Never another way than the address says.
        .prefer_socket(false)
        .stmt_cache_size(0)
        .wait_timeout(Some(28_800))
        .ssl_opts(encryption);
    let mut conn = Conn::new(options).await.map_err(|failure| failed(&failure))?;
    let version = conn.server_version();
    // MariaDB counts from 10 on, MySQL went up to 9.
    if version < (8, 0, 1) || ((10, 0, 0)..(10, 6, 0)).contains(&version) {
        let (major, minor, patch) = version;
        return Err(Error::new(
            Kind::Unsupported,
            format!("the server is MySQL or MariaDB {major}.{minor}.{patch}"),
        )
        .with_hint("afresh needs MySQL 8.0 or MariaDB 10.6, or newer"));
    }
    conn.query_drop(SETTINGS).await.map_err(|failure| failed(&failure))?;
    Ok(Mysql { conn })
}

fn hexadecimal(out: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.reserve(2 * bytes.len() + 4);
    out.push_str("x'");
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.extend(DIGITS.get(usize::from(digit)));
        }
    }
    out.push('\'');
}

/// A statement with its values written into it.
fn write(out: &mut String, statement: &Statement) {
    let mut values = statement.values.iter();
    for (index, part) in statement.text.split('?').enumerate() {
        if index > 0 {
            match values.next() {
                Some(Value::Int(Some(number))) => {
                    let _ = write!(out, "{number}");
                }
                Some(Value::Bytes(Some(bytes))) => hexadecimal(out, bytes),
                Some(Value::List(list)) => {
                    let mut mark = '(';
                    for bytes in list {
                        out.push(mark);
                        hexadecimal(out, bytes);
                        mark = ',';
                    }
                    out.push_str(if list.is_empty() { "(NULL)" } else { ")" });
                }
                Some(Value::Int(None) | Value::Bytes(None)) | None => out.push_str("NULL"),
            }
        }
        out.push_str(part);
    }
}

fn cells(row: Row) -> Cells {
    let cell = |value| match value {
        Found::Bytes(bytes) => Cell::Bytes(Bytes::from(bytes)),
        Found::Int(number) => Cell::Int(number),
        Found::UInt(number) => i64::try_from(number).map_or(Cell::Null, Cell::Int),
        _ => Cell::Null,
    };
    Cells(row.unwrap().into_iter().map(cell).collect())
}

impl Mysql {
    async fn fly(&mut self, statements: &[Statement]) -> mysql_async::Result<Vec<Rows>> {
        let mut text = String::new();
        for (index, statement) in statements.iter().enumerate() {
            if index > 0 {
                text.push(';');
            }
            write(&mut text, statement);
        }
        let mut answers = self.conn.query_iter(text).await?;
        let mut all = Vec::with_capacity(statements.len());
        for _ in statements {
            all.push(answers.collect::<Row>().await?.into_iter().map(cells).collect());
        }
        answers.drop_result().await?;
        Ok(all)
    }
}

#[async_trait]
impl Session for Mysql {
    async fn run(&mut self, statements: &[Statement]) -> Result<Vec<Rows>> {
        let mut all = Vec::with_capacity(statements.len());
        for flight in flights(statements, FLIGHT) {
            all.extend(self.fly(flight).await.map_err(|failure| failed(&failure))?);
        }
        Ok(all)
    }

    async fn script(&mut self, text: &str) -> Result<()> {
        self.conn.query_drop(text).await.map_err(|failure| failed(&failure))
    }

    async fn lives(&mut self) -> bool {
        timeout(Duration::from_secs(1), self.conn.ping()).await.is_ok_and(|answer| answer.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_digits_and_hexadecimals() {
        let statement = Statement {
            text: "SELECT ? FROM t WHERE a IN ? AND b = ? AND c = ?".to_owned(),
            values: vec![
                Value::from(-7),
                Value::from(vec![Bytes::from("'"), Bytes::new()]),
                Value::from(Bytes::from_static(b"\\'; DROP")),
                Value::from(None::<i64>),
            ],
        };
        let mut text = String::new();
        write(&mut text, &statement);
        assert_eq!(
            text,
            "SELECT -7 FROM t WHERE a IN (x'27',x'') AND b = x'5c273b2044524f50' AND c = NULL"
        );
    }
}
