//! A private server that speaks MongoDB's protocol: `mongod` where it is installed, otherwise FerretDB, built by
//! `tools/servers.py` into `target/servers`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Server, free_port, named, program};

/// A server, and how it is reached.
#[derive(Debug)]
pub struct Mongo {
    server: Option<Server>,
    address: String,
    /// Its files, removed with it.
    folder: PathBuf,
}

impl Mongo {
    /// Starts one; `None` where none is installed. One of the user's own is named by `AFRESH_TEST_MONGODB_URL`, as
    /// `mongodb://host:port`.
    pub fn start() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("afresh-mongo-{}-{number}", std::process::id()));
        if let Some(address) = named("AFRESH_TEST_MONGODB_URL") {
            return Some(Self { server: None, address, folder });
        }
        let port = free_port();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/ferretdb");
        let place = folder.display();
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
        std::fs::create_dir_all(&folder).unwrap();
        let command = command.split_whitespace().map(str::to_owned).collect();
        let server = Server::start(command).listening(port, Duration::from_secs(60));
        Some(Self { server: Some(server), address: format!("mongodb://127.0.0.1:{port}"), folder })
    }

    /// Its process, where it is ours.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// The address of a database there.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.address)
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
