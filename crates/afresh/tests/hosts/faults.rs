//! Servers that die and hang while everybody calls: functions answer rightly all the while, and are remembered again
//! afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use afresh_testkit::servers::redis::Redis;
use afresh_testkit::servers::{Kind, Mongo, S3, Sql, skipped};

use crate::drill::{Drill, brief};
use crate::ground::Ground;
use crate::taken_back::Hammer;

/// How long a server is away at least.
const AWAY: Duration = Duration::from_secs(3);

/// A server that may be killed. What was answered is kept over that, but for S3's.
pub enum Private {
    Redis(Redis),
    Sql(Sql),
    Mongo(Mongo),
    S3(S3),
}

impl Private {
    pub fn redis() -> Option<Self> {
        let keep = ["--appendonly", "yes", "--appendfsync", "always"];
        Redis::start(&keep).map(Self::Redis).or_else(|| absent(Kind::Redis))
    }

    pub fn postgresql() -> Option<Self> {
        Sql::postgres().map(Self::Sql).or_else(|| absent(Kind::Postgresql))
    }

    pub fn mysql() -> Option<Self> {
        Sql::mariadb().map(Self::Sql).or_else(|| absent(Kind::Mysql))
    }

    pub fn mongodb() -> Option<Self> {
        Mongo::start().map(Self::Mongo).or_else(|| absent(Kind::Mongodb))
    }

    pub fn s3() -> Option<Self> {
        let server = S3::start();
        server.iter().for_each(|server| server.make_bucket("drill"));
        server.map(Self::S3).or_else(|| absent(Kind::S3))
    }

    fn address(&self) -> String {
        match self {
            Self::Redis(server) => format!("{}?timeout=1", server.url()),
            Self::Sql(server) => server.bare("timeout=1&connections=2"),
            Self::Mongo(server) => format!("{}?timeout=2", server.url("drill")),
            Self::S3(server) => format!("{}&timeout=2", server.url("drill", "")),
        }
    }

    fn kill(&self) {
        match self {
            Self::Redis(server) => server.server.kill(),
            Self::Sql(server) => server.kill(),
            Self::Mongo(server) => server.server().kill(),
            Self::S3(server) => server.server().kill(),
        }
    }

    fn restart(&self) {
        match self {
            Self::Redis(server) => server.restart(),
            Self::Sql(server) => server.restart(),
            Self::Mongo(server) => server.server().restart(),
            Self::S3(server) => server.server().restart(),
        }
    }

    fn pause(&self) {
        match self {
            Self::Redis(server) => server.server.pause(),
            Self::Sql(server) => server.pause(),
            Self::Mongo(server) => server.server().pause(),
            Self::S3(server) => server.server().pause(),
        }
    }

    fn resume(&self) {
        match self {
            Self::Redis(server) => server.server.resume(),
            Self::Sql(server) => server.resume(),
            Self::Mongo(server) => server.server().resume(),
            Self::S3(server) => server.server().resume(),
        }
    }
}

fn absent<T>(kind: Kind) -> Option<T> {
    skipped(kind);
    None
}

pub fn a_killed_server_comes_back(start: fn() -> Option<Private>) {
    under_calls(start, Private::kill, Private::restart);
}

pub fn a_paused_server_comes_back(start: fn() -> Option<Private>) {
    under_calls(start, Private::pause, Private::resume);
}

fn under_calls(start: fn() -> Option<Private>, begin: fn(&Private), end: fn(&Private)) {
    let Some(server) = start() else { return };
    let address = server.address();
    let ground = Ground::new([address.clone(), address], ());
    let lease = brief(&ground);
    let mut drill = Drill::start(ground, lease);
    let mut hammer = Hammer::default();
    hammer.rounds(&mut drill, 1, |_, _| {});
    let noticed = AtomicBool::new(false);
    thread::scope(|scope| {
        let fault = scope.spawn(|| {
            begin(&server);
            thread::sleep(AWAY);
            // What waits for a server may have all the time that it was away.
            let begun = Instant::now();
            while !noticed.load(Ordering::Relaxed) && begun.elapsed() < AWAY * 10 {
                thread::sleep(Duration::from_millis(20));
            }
            end(&server);
        });
        // Calls never cease, whatever becomes of them.
        while !fault.is_finished() {
            hammer.rounds(&mut drill, 1, |_, told| {
                if ["alone", "refused"].contains(&&*told.what) {
                    noticed.store(true, Ordering::Relaxed);
                }
            });
        }
        fault.join().unwrap();
    });
    assert!(noticed.into_inner(), "nobody noticed that the server was away");
    hammer.settle(&mut drill);
}
