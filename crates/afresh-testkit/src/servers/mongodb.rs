//! A private server that speaks MongoDB's protocol: `mongod` where it is installed, otherwise FerretDB, built by
//! `tools/servers.py` into `target/servers`.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::folder::Folder;
use super::{Kind, Server, free_port, program};

/// A running server.
#[derive(Debug)]
pub struct Mongo {
    server: Server,
    port: u16,
    _folder: Folder,
}

impl Mongo {
    /// Starts one; `None` where none is installed, or the user's is to be used.
    pub fn start() -> Option<Self> {
        if Kind::Mongodb.named().is_some() {
            return None;
        }
        let port = free_port();
        let built =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/ferretdb-serial");
        let folder = Folder::new();
        let place = folder.0.display();
        let command = match program("mongod", &[]) {
            Some(mongod) => {
                format!("{} --bind_ip 127.0.0.1 --port {port} --dbpath {place}", mongod.display())
            }
            None if built.is_file() => format!(
                "{} --handler=sqlite --sqlite-url=file:{place}/ --listen-addr=127.0.0.1:{port} \
                 --debug-addr=- --telemetry=disable --state-dir={place} --log-level=error",
                built.display()
            ),
            None => return None,
        };
        let command = command.split_whitespace().map(str::to_owned).collect();
        let server = Server::start(command).listening(port, Duration::from_secs(60));
        Some(Self { server, port, _folder: folder })
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The address of a database there.
    pub fn url(&self, database: &str) -> String {
        format!("mongodb://127.0.0.1:{}/{database}", self.port)
    }
}

/// Removes a database from the user's server.
#[cfg(feature = "mongodb")]
pub(super) fn erase(url: &Url, database: &str) {
    let (mut url, database) = (url.clone(), database.to_owned());
    url.set_path("/");
    // What only afresh understands.
    let known: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "timeout" && name != "near")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(known);
    let text = url.as_str().trim_end_matches('?').to_owned();
    super::site::within(async move {
        let client = mongodb::Client::with_uri_str(text).await.unwrap();
        client.database(&database).drop().await.unwrap();
    });
}

/// Needs the driver.
#[cfg(not(feature = "mongodb"))]
pub(super) fn erase(_: &Url, database: &str) {
    panic!("{database} stays: the testkit was built without its feature `mongodb`");
}
