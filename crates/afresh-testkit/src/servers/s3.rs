//! A private server that speaks S3: moto, from PyPI, in a virtual environment of its own under `target/servers`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{Kind, Server, free_port};

/// A running server with buckets.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    endpoint: String,
}

/// Answers one request after the other: moto itself looks and puts in two steps, between which others come.
const PROGRAM: &str = "
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple
lock, application = threading.Lock(), DomainDispatcherApplication(create_backend_app)
def serve(environ, start):
    environ['wsgi.input'] = __import__('io').BytesIO(environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0)))
    with lock:
        return [b''.join(application(environ, start))]
WSGIRequestHandler.protocol_version = 'HTTP/1.1'
run_simple('127.0.0.1', int(sys.argv[1]), serve, threaded=True)
";

impl S3 {
    /// Starts one; `None` where it is not installed, or the user's is to be used.
    pub fn start() -> Option<Self> {
        if Kind::S3.named().is_some() {
            return None;
        }
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/servers/moto/bin/python");
        let python = python.is_file().then(|| python.to_string_lossy().into_owned())?;
        let port = free_port();
        let command = vec![python, "-c".to_owned(), PROGRAM.to_owned(), port.to_string()];
        let server = Server::start(command).listening(port, Duration::from_secs(60));
        Some(Self { server, endpoint: format!("http://127.0.0.1:{port}") })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Makes a bucket; one that is there is left alone.
    pub fn make_bucket(&self, name: &str) {
        let host = self.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).unwrap();
        let request = format!(
            "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let there = answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlready");
        assert!(there, "no bucket {name}: {answer}");
    }

    /// The address of a prefix in a bucket there.
    pub fn url(&self, bucket: &str, prefix: &str) -> String {
        format!(
            "s3://{bucket}/{prefix}?endpoint={}&region=us-east-1&access_key=ada&secret_key=s3cret",
            self.endpoint
        )
    }
}

/// Removes what is under a name from the user's bucket.
#[cfg(feature = "object")]
pub(super) fn erase(url: &Url, name: &str) {
    use futures_util::{StreamExt, TryStreamExt};
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
    use object_store::{ObjectStore, ObjectStoreExt, path::Path};

    // The driver wants one, whether or not it encrypts; a store of the same program may have chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(url.host_str().unwrap())
        .with_disable_bulk_delete(true);
    let keys = [
        ("region", AmazonS3ConfigKey::Region),
        ("endpoint", AmazonS3ConfigKey::Endpoint),
        ("access_key", AmazonS3ConfigKey::AccessKeyId),
        ("secret_key", AmazonS3ConfigKey::SecretAccessKey),
        ("session_token", AmazonS3ConfigKey::Token),
    ];
    for (option, key) in keys {
        if let Some(value) = super::site::option(url, option) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(password) = url.password() {
        builder = builder
            .with_access_key_id(super::site::decoded(url.username()))
            .with_secret_access_key(super::site::decoded(password));
    }
    let bucket = builder.with_allow_http(true).build().unwrap();
    let prefix = Path::from(format!("{}/{name}", url.path().trim_matches('/')));
    super::site::within(async move {
        let found: Vec<_> = bucket.list(Some(&prefix)).try_collect().await.unwrap();
        let removed = futures_util::stream::iter(found)
            .map(|found| {
                let bucket = bucket.clone();
                async move { bucket.delete(&found.location).await.unwrap() }
            })
            .buffer_unordered(16);
        removed.collect::<()>().await;
    });
}

/// Needs the driver.
#[cfg(not(feature = "object"))]
pub(super) fn erase(_: &Url, name: &str) {
    panic!("{name} stays: the testkit was built without its feature `object`");
}
