//! What goes wrong on the way to a server: it is away, it hangs, it is overwhelmed, it refuses.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_core::{Error, Key, Kind, Space, Store, When};
use afresh_testkit::servers::{S3, free_port};
use pollster::block_on;

use crate::s3::{BUCKET, own, put, site};

fn key() -> Key {
    Key::new(Space::Named, "k").unwrap()
}

fn get(store: &dyn Store) -> Result<bool, Error> {
    block_on(store.get(&[key()])).map(|found| found[0].is_some())
}

fn open(server: &S3, prefix: &str) -> Arc<dyn Store> {
    afresh_store_object::open(&server.url(BUCKET, prefix)).unwrap()
}

fn address(port: u16, more: &str) -> String {
    format!(
        "s3://{BUCKET}/x?endpoint=http://127.0.0.1:{port}&access_key=ada&secret_key=s3cret{more}"
    )
}

/// Answers every request alike.
fn answering(status: &'static str, body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 65536];
                let _ = stream.read(&mut request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    port
}

fn silent_about_secrets(error: &Error) {
    let all = format!("{error} {error:?} {:?}", error.hint());
    assert!(!all.contains("s3cret"), "{all}");
}

#[test]
fn a_server_that_is_away_costs_little_and_may_come() {
    let port = free_port();
    let store = afresh_store_object::open(&address(port, "")).unwrap();
    let begun = Instant::now();
    let error = get(&*store).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    silent_about_secrets(&error);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let left_alone = get(&*store).unwrap_err();
    assert!(left_alone.message().contains("left alone"), "{left_alone}");
}

#[test]
fn a_server_that_was_killed_is_found_again() {
    let Some(server) = own() else { return };
    let process = server.server();
    let store = open(&server, "killed");
    block_on(store.apply(put(&key(), "1", When::Absent))).unwrap();
    process.kill();
    assert_eq!(get(&*store).unwrap_err().kind(), Kind::Unavailable);
    process.restart();
    let begun = Instant::now();
    // What moto kept was in its memory: there is no bucket any more, and that is said.
    let error = loop {
        match get(&*store) {
            Err(error) if error.kind() == Kind::Unavailable => {
                assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
                std::thread::sleep(Duration::from_millis(100));
            }
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(error.kind(), Kind::Config, "{error}");
    server.make_bucket(BUCKET);
    // It is left alone for a while first.
    while let Err(error) = block_on(store.apply(put(&key(), "2", When::Always))) {
        assert!(begun.elapsed() < Duration::from_secs(120), "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(get(&*store).unwrap());
}

#[test]
fn a_server_that_hangs_costs_one_wait() {
    let Some(server) = own() else { return };
    let process = server.server();
    let url = format!("{}&timeout=500ms", server.url(BUCKET, "hangs"));
    let store = afresh_store_object::open(&url).unwrap();
    block_on(open(&server, "hangs").apply(put(&key(), "1", When::Absent))).unwrap();
    process.pause();
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(get(&*store).unwrap_err().kind(), Kind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    process.resume();
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    while get(&*store).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not recover");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_missing_bucket_is_told_apart_from_a_missing_entry() {
    let Some(server) = own() else { return };
    let store = afresh_store_object::open(&server.url("no-such-bucket", "x")).unwrap();
    for error in [
        get(&*store).unwrap_err(),
        block_on(store.apply(put(&key(), "1", When::Absent))).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.hint().unwrap().contains("create it"), "{error}");
    }
}

#[test]
fn what_servers_say_is_understood() {
    let cases = [
        ("503 Slow Down", "<Error><Code>SlowDown</Code></Error>", Kind::Unavailable, "503"),
        ("500 Internal Server Error", "", Kind::Unavailable, "500"),
        ("507 Insufficient Storage", "", Kind::Unavailable, "507"),
        (
            "403 Forbidden",
            "<Error><Code>SignatureDoesNotMatch</Code><Key>s3cret</Key></Error>",
            Kind::Denied,
            "SignatureDoesNotMatch",
        ),
        ("401 Unauthorized", "s3cret", Kind::Denied, "denied"),
        (
            "400 Bad Request",
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu</Region></Error>",
            Kind::Config,
            "region",
        ),
        (
            "301 Moved Permanently",
            "<Error><Code>PermanentRedirect</Code></Error>",
            Kind::Config,
            "region",
        ),
        (
            "501 Not Implemented",
            "<Error><Code>NotImplemented</Code></Error>",
            Kind::Unsupported,
            "501",
        ),
        (
            "413 Content Too Large",
            "<Error><Code>EntityTooLarge</Code></Error>",
            Kind::TooLarge,
            "413",
        ),
    ];
    for (status, body, kind, about) in cases {
        let store = afresh_store_object::open(&address(answering(status, body), "")).unwrap();
        let error = get(&*store).unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(error.to_string().contains(about), "{status}: {error}");
        silent_about_secrets(&error);
    }
}

#[test]
fn a_server_that_passes_over_conditions_is_not_used() {
    // Whatever is put is said to be put, and nothing is ever there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 65536];
            let read = stream.read(&mut request).unwrap_or(0);
            let status =
                if request[..read].starts_with(b"GET") { "404 Not Found" } else { "200 OK" };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
    });
    let store = afresh_store_object::open(&address(port, "")).unwrap();
    let error = block_on(store.apply(put(&key(), "1", When::Absent))).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert!(error.message().contains("If-None-Match"), "{error}");
}

#[test]
fn a_layout_of_another_time_is_left_alone() {
    let Some(site) = site() else { return };
    let name = site.name();
    let store = crate::s3::open(&site, &name);
    let path = crate::s3::path(&site, &name, "afresh-2/format");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        use object_store::ObjectStoreExt;
        crate::s3::driver(&site).put(&path, "{\"format\": 3}\n".into()).await.unwrap();
    });
    let error = block_on(store.apply(put(&key(), "1", When::Absent))).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
}
