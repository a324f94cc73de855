//! Store addresses: `scheme:rest?option=value`. A plain path is a SQLite store. Each takes `near=SIZE`: how much a
//! process may keep of the answers in its own memory.
//! And each may have others around it ([`Around`]): `objects=ADDRESS` for outputs, `local=FOLDER` (with `local_size=SIZE`)
//! for copies of them on this machine, `sealed` and `readonly`.
//!
//! Unknown schemes, missing drivers and bad options fail at once and name what is allowed.

use std::sync::Arc;

use afresh_core::{Error, Kind, Result, Store};
use afresh_engine::{Engine, Options};

use crate::around::Around;
use crate::units;

/// The schemes of each driver.
const REDIS: &[&str] =
    &["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];
const SQL: &[&str] = &["postgresql", "postgres", "mysql", "mariadb"];
const MONGODB: &[&str] = &["mongodb"];
const OBJECT: &[&str] = &["s3", "gs", "az", "file"];
const HTTP: &[&str] = &["http", "https"];

/// Schemes that afresh speaks, or will: a known one without a driver is told apart from a typing error.
const PLANNED: &[&[&str]] = &[REDIS, SQL, MONGODB, OBJECT, HTTP];

/// An engine, and what a person should know about how its store was opened.
#[derive(Debug)]
pub struct Opened {
    /// The engine.
    pub engine: Engine,
    /// Sentences to show, such as that a damaged database was set aside.
    pub notices: Vec<String>,
    /// How many bytes of answers a front end may keep in memory.
    pub near: u64,
}

/// Without `near=`: 64 MiB.
const NEAR: u64 = 64 << 20;

/// Opens the store at `address`: `memory:`, `sqlite:PATH`, or just a path.
///
/// ```
/// let error = afresh::open("sqlight:x", Default::default()).unwrap_err();
/// assert!(error.hint().unwrap().contains("sqlite:PATH"));
/// ```
///
/// # Errors
/// [`Kind::Config`] for an address that is not understood; otherwise whatever keeps the store from opening.
pub fn open(address: &str, options: Options) -> Result<Opened> {
    let (scheme, rest) = split(address);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut near = NEAR;
    let mut around = Around::default();
    let mut others = Vec::new();
    for (name, value) in pairs(query) {
        if name == "near" {
            near = units::size(value)?;
        } else if !around.take(name, value)? {
            others.push((name, value));
        }
    }
    let (store, notices) = store(scheme, path, &others)?;
    let store = around.wrap(store, &options, plain)?;
    Ok(Opened { engine: Engine::new(store, options), notices, near })
}

/// A store by itself, at an address with none of the options that are for all.
fn plain(address: &str) -> Result<Arc<dyn Store>> {
    let (scheme, rest) = split(address);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let options: Vec<(&str, &str)> = pairs(query).collect();
    store(scheme, path, &options).map(|(store, _)| store)
}

fn store(
    scheme: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<(Arc<dyn Store>, Vec<String>)> {
    match scheme {
        #[cfg(feature = "memory")]
        "memory" => {
            no_options(scheme, query)?;
            if !path.is_empty() {
                return Err(Error::new(
                    Kind::Config,
                    format!("`memory:` takes no path, not `{path}`"),
                )
                .with_hint("write `memory:`, or `sqlite:PATH` for a store on disk"));
            }
            Ok((Arc::new(afresh_store_memory::MemoryStore::new()), Vec::new()))
        }
        #[cfg(feature = "sqlite")]
        "sqlite" => sqlite(path.strip_prefix("//").unwrap_or(path), query),
        _ => match remote(scheme) {
            Some(open) => Ok((open(&joined(scheme, path, query))?, Vec::new())),
            None => Err(unknown(scheme)),
        },
    }
}

/// Opens a store at an address without `near=`.
type Open = fn(&str) -> Result<Arc<dyn Store>>;

/// What opens the stores on servers with this scheme, where this build has their driver.
fn remote(scheme: &str) -> Option<Open> {
    let known: &[(&[&str], Open)] = &[
        #[cfg(feature = "mongodb")]
        (MONGODB, afresh_store_mongodb::open),
        #[cfg(feature = "sql")]
        (SQL, afresh_store_sql::open),
        #[cfg(feature = "redis")]
        (REDIS, afresh_store_redis::open),
        #[cfg(feature = "object")]
        (OBJECT, afresh_store_object::open),
    ];
    known.iter().find(|(schemes, _)| schemes.contains(&scheme)).map(|(_, open)| *open)
}

/// The address again, without what was taken out.
fn joined(scheme: &str, path: &str, query: &[(&str, &str)]) -> String {
    let options: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}:{path}{mark}{}", options.join("&"))
}

/// The scheme and the rest. One letter before a colon is a drive, not a scheme.
fn split(address: &str) -> (&str, &str) {
    match address.split_once(':') {
        Some((scheme, rest))
            if scheme.len() > 1
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
        {
            (scheme, rest)
        }
        _ => ("sqlite", address),
    }
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str, query: &[(&str, &str)]) -> Result<(Arc<dyn Store>, Vec<String>)> {
    use afresh_store_sqlite::{SqliteOptions, SqliteStore, Sync};

    if path.is_empty() {
        return Err(Error::new(Kind::Config, "`sqlite:` needs a folder")
            .with_hint("write `sqlite:.afresh`"));
    }
    let mut options = SqliteOptions::default();
    for (name, value) in query.iter().copied() {
        match (name, value) {
            ("sync", "full") => options.sync = Sync::Full,
            ("sync", "normal") => options.sync = Sync::Normal,
            ("sync", "off") => options.sync = Sync::Off,
            _ => {
                return Err(Error::new(
                    Kind::Config,
                    format!("`sqlite:` has no option `{name}={value}`"),
                )
                .with_hint(
                    "the options are sync=full, sync=normal (the default), sync=off and near=SIZE",
                ));
            }
        }
    }
    let store = SqliteStore::open(std::path::Path::new(path), options)?;
    let notices = store.notices();
    Ok((Arc::new(store), notices))
}

#[cfg(feature = "memory")]
fn no_options(scheme: &str, query: &[(&str, &str)]) -> Result<()> {
    match query.first() {
        Some((name, _)) => {
            Err(Error::new(Kind::Config, format!("`{scheme}:` has no option `{name}`"))
                .with_hint(format!("`{scheme}:` takes only near=SIZE")))
        }
        None => Ok(()),
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn unknown(scheme: &str) -> Error {
    let allowed = "`sqlite:PATH`, `memory:`, or just a path";
    let servers = "that of a server such as `redis://HOST`";
    if PLANNED.iter().any(|schemes| schemes.contains(&scheme)) {
        Error::new(Kind::Unsupported, format!("this build of afresh has no driver for `{scheme}:`"))
            .with_hint(format!(
                "it can open {allowed}; drivers of servers come with the feature `stores`"
            ))
    } else {
        Error::new(Kind::Config, format!("no store has the scheme `{scheme}:`"))
            .with_hint(format!("an address is {allowed}, or {servers}"))
    }
}
