//! A private server that speaks S3: moto, from PyPI, in a virtual environment of its own under `target/servers`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use super::{Server, free_port, named};

/// A server with buckets, and how it is reached.
#[derive(Debug)]
pub struct S3 {
    server: Option<Server>,
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
    /// Starts one; `None` where it is not installed. One of the user's own is named by `AFRESH_TEST_S3_URL`.
    pub fn start() -> Option<Self> {
        if let Some(endpoint) = named("AFRESH_TEST_S3_URL") {
            return Some(Self { server: None, endpoint });
        }
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/servers/moto/bin/python");
        let python = python.is_file().then(|| python.to_string_lossy().into_owned())?;
        let port = free_port();
        let command = vec![python, "-c".to_owned(), PROGRAM.to_owned(), port.to_string()];
        let server = Server::start(command).listening(port, Duration::from_secs(60));
        Some(Self { server: Some(server), endpoint: format!("http://127.0.0.1:{port}") })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its process, where it is ours.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
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
