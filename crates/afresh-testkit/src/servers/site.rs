//! A place for stores of tests on a server that is left as it is: a private one that all tests of the program share, or
//! the user's.
//!
//! Invariant: every name that was given out is nobody else's, also not on a server that several machines test on, and what
//! is under it on the user's server is removed when the site is dropped.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::panicking;
use std::time::SystemTime;

use url::Url;

use super::redis::Redis;
use super::{Kind, Mongo, S3, Sql, mongodb, redis, s3, skipped, sql};

/// The bucket of the private server.
const BUCKET: &str = "afresh-test";

/// See the module.
#[derive(Debug)]
pub struct Site {
    kind: Kind,
    url: Url,
    /// `None` where the server is the user's.
    private: Option<Arc<Private>>,
    given: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Private {
    Redis(Redis),
    Sql(Arc<Sql>),
    Mongo(Mongo),
    S3(S3),
}

impl Private {
    fn start(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Redis => Self::Redis(Redis::start(&[])?),
            Kind::Postgresql => Self::Sql(Arc::new(Sql::postgres()?)),
            Kind::Mysql => Self::Sql(Arc::new(Sql::mariadb()?)),
            Kind::Mongodb => Self::Mongo(Mongo::start()?),
            Kind::S3 => {
                let server = S3::start()?;
                server.make_bucket(BUCKET);
                Self::S3(server)
            }
        })
    }

    fn url(&self) -> Url {
        let text = match self {
            Self::Redis(server) => server.url(),
            Self::Sql(server) => server.bare(""),
            Self::Mongo(server) => server.url(""),
            Self::S3(server) => server.url(BUCKET, ""),
        };
        Url::parse(&text).unwrap()
    }
}

impl Site {
    /// The user's server, or the private one. `None` where there is neither, which it says.
    pub fn open(kind: Kind) -> Option<Self> {
        static PRIVATE: [Mutex<Option<Arc<Private>>>; 5] = [const { Mutex::new(None) }; 5];
        let given = Mutex::default();
        if let Some(url) = kind.named() {
            return Some(Self { kind, url, private: None, given });
        }
        let mut private = PRIVATE[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if private.is_none() {
            *private = Private::start(kind).map(Arc::new);
        }
        let Some(private) = private.clone() else {
            skipped(kind);
            return None;
        };
        Some(Self { kind, url: private.url(), private: Some(private), given })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address of the server, without any name.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A name that nobody else has: a prefix, or a database.
    pub fn name(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let (number, process) = (NEXT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let name = format!("t{:x}_{process}_{number}", now.as_micros() & 0xffff_ffff);
        self.given.lock().unwrap().push(name.clone());
        name
    }

    /// The address of the store with this name. `options` are more of the address, such as `timeout=10`.
    pub fn address(&self, name: &str, options: &str) -> String {
        let mut url = self.url.clone();
        match self.kind {
            Kind::Redis | Kind::Postgresql | Kind::Mysql => {
                url.query_pairs_mut().append_pair("prefix", name);
            }
            Kind::Mongodb => url.set_path(name),
            Kind::S3 => {
                let path = format!("{}/{name}", url.path().trim_end_matches('/'));
                url.set_path(&path);
            }
        }
        with(&url, options)
    }

    /// Where its server listens, if a proxy may stand before it: without TLS, which asks for the name, and without
    /// others that the server names.
    pub fn place(&self) -> Option<String> {
        let (url, port) = match self.kind {
            Kind::Redis => (self.url.clone(), 6379),
            Kind::Postgresql => (self.url.clone(), 5432),
            Kind::Mysql => (self.url.clone(), 3306),
            Kind::Mongodb => (self.url.clone(), 27017),
            Kind::S3 => (Url::parse(&option(&self.url, "endpoint")?).ok()?, 80),
        };
        let plain = ["redis", "postgresql", "postgres", "mysql", "mariadb", "mongodb", "http"];
        let none = |name: &str| option(&self.url, name).is_none();
        let plain = plain.contains(&url.scheme())
            && (none("tls") || option(&self.url, "tls").is_some_and(|tls| tls == "off"))
            && none("sslmode")
            && none("socket")
            && none("replicaSet");
        let host = url.host_str().unwrap_or("localhost");
        plain.then(|| format!("{host}:{}", url.port().unwrap_or(port)))
    }

    /// An address of this site by way of a proxy at a port of the loopback.
    pub fn by_way_of(&self, port: u16, address: &str) -> String {
        let mut url = Url::parse(address).unwrap();
        if self.kind == Kind::S3 {
            let others: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(name, _)| name != "endpoint")
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            let endpoint = format!("http://127.0.0.1:{port}");
            url.query_pairs_mut().clear().extend_pairs(others).append_pair("endpoint", &endpoint);
        } else {
            url.set_host(Some("127.0.0.1")).unwrap();
            url.set_port(Some(port)).unwrap();
        }
        url.to_string()
    }

    /// The SQL server itself, where it is private: to be configured, but not stopped.
    pub fn private_sql(&self) -> Option<Arc<Sql>> {
        match self.private.as_deref() {
            Some(Private::Sql(server)) => Some(Arc::clone(server)),
            _ => None,
        }
    }

    /// Runs a statement on a SQL server with its own client; its answer, without decoration.
    pub fn sql(&self, statement: &str) -> String {
        sql::ask(&self.url, statement)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.private.is_some() {
            return;
        }
        let (url, given) = (&self.url, self.given.lock().unwrap_or_else(PoisonError::into_inner));
        for name in given.iter() {
            let erased = catch_unwind(|| match self.kind {
                Kind::Redis => redis::erase(url, name),
                Kind::Postgresql | Kind::Mysql => sql::erase(url, name),
                Kind::Mongodb => mongodb::erase(url, name),
                Kind::S3 => s3::erase(url, name),
            });
            // A test that fails already says why by itself.
            assert!(erased.is_ok() || panicking(), "`{name}` stays on the server of the user's");
        }
    }
}

/// The address with more options.
fn with(url: &Url, options: &str) -> String {
    let mark = match url.query() {
        _ if options.is_empty() => "",
        None | Some("") => "?",
        Some(_) => "&",
    };
    format!("{}{mark}{options}", url.as_str().trim_end_matches('?'))
}

/// An option of an address.
pub(super) fn option(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Without `%` escapes.
pub(super) fn decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}

/// Runs what needs a runtime of tokio.
#[cfg(any(feature = "mongodb", feature = "object"))]
pub(super) fn within(work: impl Future<Output = ()> + Send + 'static) {
    let run = move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    };
    std::thread::spawn(run).join().unwrap();
}
