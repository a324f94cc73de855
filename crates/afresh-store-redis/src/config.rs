//! The address of the store, taken apart.
//!
//! Invariant: nothing here shows a password: [`Config`] has a `Debug` of its own, and errors name options, not values
//! that may hold one.

use std::fmt;

use afresh_core::{Error, Kind, Result};
use afresh_remote::{Address, RemoteOptions};
use redis::io::tcp::TcpSettings;
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};

use crate::error::config;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// How the servers of the store hang together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// One server.
    Single,
    /// Whichever server the sentinels call the master of this service.
    Sentinel { service: String },
    /// The server that has the slot.
    Cluster,
}

/// All that an address says.
pub(crate) struct Config {
    /// Without the password and options.
    pub(crate) redacted: String,
    pub(crate) scheme: &'static str,
    pub(crate) kinship: Kinship,
    /// The servers (or sentinels) that the address names.
    pub(crate) seeds: Vec<Place>,
    /// What every key begins with, between the braces of its hash tag.
    pub(crate) prefix: String,
    /// Whether to be told of changes.
    pub(crate) track: bool,
    login: ConnectionInfo,
    sentinel_login: Option<String>,
    certificates: Option<TlsCertificates>,
}

/// The default of each scheme.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

const KNOWN: [&str; 7] = [
    "prefix=NAME",
    "also=HOST:PORT,HOST:PORT",
    "ca=FILE",
    "cert=FILE",
    "key=FILE",
    "sentinel_password=TEXT",
    "track=no",
];

impl Config {
    pub(crate) fn parse(address: &str) -> Result<(Self, RemoteOptions)> {
        let mut address = Address::parse(address)?;
        let options = address.remote_options()?;
        let redacted = address.redacted();
        let mut url = address.url().clone();
        let (scheme, tls) = match url.scheme() {
            "redis" => ("redis", false),
            "rediss" => ("rediss", true),
            "redis+sentinel" => ("redis+sentinel", false),
            "rediss+sentinel" => ("rediss+sentinel", true),
            "redis+cluster" => ("redis+cluster", false),
            "rediss+cluster" => ("rediss+cluster", true),
            _ => return Err(config("not a scheme of this store")),
        };
        let (kinship, port) = if scheme.ends_with("+sentinel") {
            let mut parts = url.path().trim_start_matches('/').splitn(2, '/');
            let service = parts.next().unwrap_or_default().to_owned();
            if service.is_empty() {
                return Err(config("`redis+sentinel:` needs the name of the service")
                    .with_hint("write redis+sentinel://host:26379/mymaster"));
            }
            let path = parts.next().unwrap_or_default().to_owned();
            url.set_path(&path);
            (Kinship::Sentinel { service }, SENTINEL_PORT)
        } else if scheme.ends_with("+cluster") {
            if !matches!(url.path(), "" | "/" | "/0") {
                return Err(config("a Redis Cluster has only database 0"));
            }
            (Kinship::Cluster, PORT)
        } else {
            (Kinship::Single, PORT)
        };
        let prefix = address.take("prefix").unwrap_or_else(|| "afresh".to_owned());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(plain) {
            return Err(config("`prefix=` is not a name")
                .with_hint("write 1 to 64 letters, digits or any of _ . : -"));
        }
        let track = match address.take("track").as_deref() {
            None | Some("yes") => true,
            Some("no") => false,
            Some(_) => return Err(config("`track=` is neither yes nor no")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let host = host.trim_matches(['[', ']']).to_owned();
        let mut seeds = vec![Place { host, port: url.port().unwrap_or(port) }];
        for place in address.take("also").unwrap_or_default().split(',') {
            if !place.is_empty() {
                seeds.push(read_place(place, port)?);
            }
        }
        if seeds.len() > 1 && kinship == Kinship::Single {
            return Err(config("`also=` is for redis+sentinel: and redis+cluster:"));
        }
        let sentinel_login = address.take("sentinel_password");
        let certificates = certificates(&mut address, tls)?;
        address.finish(&KNOWN)?;
        // The driver reads user, password and database, once it knows the scheme. What it says of a
        // bad one may repeat it.
        let known = if tls { "rediss" } else { "redis" };
        url.set_host(Some("localhost")).map_err(|_| config("the address has no host"))?;
        url.set_scheme(known).map_err(|()| config("not a scheme of this store"))?;
        let login = url.into_connection_info().map_err(|_| {
            config("the address is not one of Redis").with_hint(
                "write redis://user:password@host:port/database; `%` escapes what is special",
            )
        })?;
        let settings = login
            .redis_settings()
            .clone()
            .set_protocol(redis::ProtocolVersion::RESP3)
            .set_lib_name("afresh", env!("CARGO_PKG_VERSION"));
        // Small commands must not wait for the answers of those before them.
        let tcp = TcpSettings::default().set_nodelay(true);
        let login = login.set_redis_settings(settings).set_tcp_settings(tcp);
        let prefix = format!("{prefix}:1");
        let config = Self {
            redacted,
            scheme,
            kinship,
            seeds,
            prefix,
            track,
            login,
            sentinel_login,
            certificates,
        };
        Ok((config, options))
    }

    /// How to connect to a server at `place`.
    pub(crate) fn client(&self, place: &Place) -> Result<redis::Client> {
        self.client_with(place, self.login.clone())
    }

    /// How to connect to a sentinel, which has passwords of its own.
    pub(crate) fn sentinel(&self, place: &Place) -> Result<redis::Client> {
        let mut settings =
            redis::RedisConnectionInfo::default().set_protocol(redis::ProtocolVersion::RESP3);
        if let Some(password) = &self.sentinel_login {
            settings = settings.set_password(password);
        }
        self.client_with(place, self.login.clone().set_redis_settings(settings))
    }

    fn client_with(&self, place: &Place, login: ConnectionInfo) -> Result<redis::Client> {
        let (host, port) = (place.host.clone(), place.port);
        let client = match &self.certificates {
            Some(certificates) => {
                let addr = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                redis::Client::build_with_tls(login.set_addr(addr), certificates.clone())
            }
            None => redis::Client::open(login.set_addr(ConnectionAddr::Tcp(host, port))),
        };
        client.map_err(|error| {
            config("the certificates of the address cannot be used").with_source(error)
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("address", &self.redacted).finish_non_exhaustive()
    }
}

/// `host:port`, or a host with the usual port.
pub(crate) fn read_place(text: &str, port: u16) -> Result<Place> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, number)) => (host, number.parse().ok()),
        None => (text, Some(port)),
    };
    match port {
        Some(port) if !host.is_empty() => {
            Ok(Place { host: host.trim_matches(['[', ']']).to_owned(), port })
        }
        _ => Err(config("`also=` is not a list of host:port")),
    }
}

/// What TLS rests on: the files of the address, or the system's authorities.
fn certificates(address: &mut Address, tls: bool) -> Result<Option<TlsCertificates>> {
    let mut file = |name: &'static str| {
        let Some(path) = address.take(name) else { return Ok(None) };
        std::fs::read(&path).map(Some).map_err(|error| {
            Error::new(Kind::Config, format!("`{name}={path}` cannot be read")).with_source(error)
        })
    };
    let (root_cert, cert, key) = (file("ca")?, file("cert")?, file("key")?);
    if !tls {
        return match (&root_cert, &cert, &key) {
            (None, None, None) => Ok(None),
            _ => Err(config("certificates are for TLS").with_hint("write rediss:// for TLS")),
        };
    }
    let client_tls = match (cert, key) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(config("`cert=` and `key=` go together")),
    };
    // Where another part of the program has chosen what encrypts, that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}
