//! What the address of a SQL store says: which server, who asks, and a few options.
//!
//! Invariant: the password is in `Config::password` and nowhere else; `Debug` does not show it. An address is refused
//! for what it says, never for what the server would say: opening does not connect.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Error, Kind, Result, Timestamp};
use afresh_remote::{Address, RemoteOptions};
use percent_encoding::percent_decode_str;

/// Says what time it is, instead of the server: for tests.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What no address can say.
#[derive(Clone)]
pub struct SqlOptions {
    /// The time, where it is not to be the server's.
    pub clock: Option<Clock>,
    /// How often entries that have ended are looked for.
    pub sweep: Duration,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self { clock: None, sweep: Duration::from_secs(30) }
    }
}

impl fmt::Debug for SqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlOptions").finish_non_exhaustive()
    }
}

/// Which language a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

/// How a connection is encrypted: against well-known roots, or those in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) roots: Option<PathBuf>,
}

/// A store's address, taken apart.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) socket: Option<String>,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    pub(crate) tls: Option<Tls>,
    /// What the names of all tables begin with.
    pub(crate) prefix: String,
    pub(crate) connections: usize,
    /// Without the password.
    pub(crate) address: String,
    pub(crate) remote: RemoteOptions,
}

const OPTIONS: [&str; 6] =
    ["prefix=NAME", "connections=NUMBER", "tls=on|off", "ca=FILE", "sslmode=MODE", "socket=PATH"];

/// Connections to be had at once, where the address does not say.
const CONNECTIONS: usize = 4;

fn config(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Kind::Config, message).with_hint(hint)
}

impl Config {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut address = Address::parse(text)?;
        let url = address.url().clone();
        let (server, port) = match url.scheme() {
            "postgresql" | "postgres" => (Server::Postgres, 5432),
            "mysql" | "mariadb" => (Server::Mysql, 3306),
            other => {
                return Err(config(
                    format!("`{other}:` is not a SQL server"),
                    "write postgresql://USER:PASSWORD@HOST/DATABASE, or mysql://…",
                ));
            }
        };
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let host = url.host_str().unwrap_or_default();
        // Brackets are for addresses in URLs only.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (user, database) = (decode(url.username()), decode(url.path().trim_matches('/')));
        let (socket, redacted) = (address.take("socket"), address.redacted());
        if (host.is_empty() && socket.is_none()) || user.is_empty() || database.is_empty() {
            let scheme = url.scheme();
            return Err(config(
                "the address of the store does not name a host, a user and a database",
                format!("write {scheme}://USER:PASSWORD@HOST/DATABASE"),
            ));
        }
        let prefix = address.take("prefix").unwrap_or_else(|| "afresh".to_owned());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !prefix.starts_with(|first: char| first.is_ascii_lowercase())
            || !prefix.bytes().all(plain)
            || prefix.len() > 32
        {
            return Err(config(
                "`prefix=` is not the beginning of a name",
                "at most 32 of a-z, 0-9 and _, the first a letter",
            ));
        }
        let connections = match address.take("connections") {
            None => CONNECTIONS,
            Some(text) => {
                text.parse().ok().filter(|number| (1..=1000).contains(number)).ok_or_else(|| {
                    config(
                        format!("`connections={text}` is not a number of connections"),
                        "1 to 1000",
                    )
                })?
            }
        };
        let tls = tls(&mut address, &host, socket.is_some())?;
        let remote = address.remote_options()?;
        address.finish(&OPTIONS)?;
        Ok(Self {
            server,
            host,
            port: url.port().unwrap_or(port),
            socket,
            user,
            password: url.password().map(decode),
            database,
            tls,
            prefix,
            connections,
            address: redacted,
            remote,
        })
    }
}

/// Encrypted, unless the server is this machine or the address says otherwise.
fn tls(address: &mut Address, host: &str, socket: bool) -> Result<Option<Tls>> {
    let (mode, sslmode) = (address.take("tls"), address.take("sslmode"));
    let roots = address.take("ca").map(PathBuf::from);
    let on = match (mode.as_deref(), sslmode.as_deref()) {
        (Some("on"), None) | (None, Some("require" | "verify-ca" | "verify-full")) => true,
        (Some("off"), None) | (None, Some("disable")) => false,
        (None, None) => {
            let here = ["localhost", "127.0.0.1", "::1"].contains(&host);
            roots.is_some() || !(here || socket)
        }
        (mode, sslmode) => {
            let text = mode.or(sslmode).unwrap_or_default();
            return Err(config(
                format!("`{text}` is not a way to encrypt"),
                "write tls=on or tls=off, or one of sslmode=disable, require, verify-ca, verify-full",
            ));
        }
    };
    Ok(on.then_some(Tls { roots }))
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Config").field(&self.address).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let text = "postgresql://ada:p%40ss@db.example/cache?prefix=p&connections=2&timeout=1";
        let config = Config::parse(text).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("db.example", 5432));
        assert_eq!((config.user.as_str(), config.database.as_str()), ("ada", "cache"));
        assert_eq!(config.password.as_deref(), Some("p@ss"));
        assert_eq!((config.prefix.as_str(), config.connections), ("p", 2));
        assert_eq!(config.tls, Some(Tls { roots: None }), "another machine: encrypted");
        assert!(
            !format!("{config:?}").contains("p%40ss") && !format!("{config:?}").contains("p@ss")
        );
        let here = Config::parse("mysql://u@127.0.0.1:1/d").unwrap();
        assert_eq!((here.tls, here.server, here.port), (None, Server::Mysql, 1));
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, says) in [
            ("postgresql://h/d", "does not name"),
            ("postgresql://u@h", "does not name"),
            ("postgresql://u@h/d?prefix=A", "`prefix=`"),
            ("postgresql://u@h/d?connections=0", "`connections=0`"),
            ("postgresql://u@h/d?tls=maybe", "`maybe`"),
            ("postgresql://u@h/d?ssl=1", "no option `ssl`"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.message().contains(says) && error.hint().is_some(), "{text}: {error}");
        }
    }
}
