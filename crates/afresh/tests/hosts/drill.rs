//! Eight workers on a ground, what they are told and what they tell.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use afresh_testkit::servers::Wire;
use tempfile::TempDir;

use crate::ground::Ground;
use crate::worker;

/// How many there are. The even ones are the near host, the odd ones the far host.
pub const WORKERS: usize = 8;

/// How long a lease lasts where an owner is to be given up. Renewing it takes time where requests are dear, and if that
/// takes too long nobody holds it: then nobody is fenced off.
pub fn brief(ground: &Ground) -> Duration {
    Duration::from_millis(if ground.dear { 6000 } else { 1500 })
}

/// Long enough that no lease ends by itself, however busy the machine is.
pub const LASTING: Duration = Duration::from_secs(30);

/// Long enough for anything that is to happen.
const LONG: Duration = Duration::from_secs(60);

/// What a worker tells of an order.
#[derive(Clone, Debug)]
pub struct Told {
    pub worker: usize,
    /// `run`, `waits`, `fails` (the store); then how it ended: `hit`, `published`, `fenced`, `alone` (without the store), `wrong`;
    /// or of an invalidation `invalidated`, `refused`.
    pub what: String,
    pub id: u64,
    /// What the call was for.
    pub n: u64,
    /// What the answer rests on.
    pub source: u64,
    /// Why it was without the store, for whoever reads that a drill failed.
    #[allow(dead_code, reason = "shown by Debug")]
    pub why: String,
}

impl Told {
    /// Whether this ended a call.
    pub fn is_answer(&self) -> bool {
        ["hit", "published", "fenced", "alone"].contains(&self.what.as_str())
    }
}

/// What a function takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    Millis(u64),
    /// Until it is let go on.
    Hold,
}

struct Worker {
    child: Child,
    orders: ChildStdin,
}

impl Worker {
    fn start(
        number: usize,
        ground: &Ground,
        lease: Duration,
        source: &str,
        tell: &Sender<Told>,
    ) -> Self {
        // With the drill, should that be killed, also a worker goes that is paused.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(std::env::current_exe().unwrap())
            .args(["worker", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(worker::ADDRESS, &ground.addresses[number % 2])
            .env(worker::SOURCE, source)
            .env(worker::LEASE, lease.as_millis().to_string())
            .env(worker::SIZE, ground.size.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, lines) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let tell = tell.clone();
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let words: Vec<_> = line.splitn(6, ' ').collect();
                if let ["told", what, id, n, source, why] = words[..] {
                    let number_of = |text: &str| text.parse().unwrap();
                    let (id, n, source) = (number_of(id), number_of(n), number_of(source));
                    let (what, why) = (what.to_owned(), why.to_owned());
                    let _ = tell.send(Told { worker: number, what, id, n, source, why });
                }
            }
        });
        Self { child, orders }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// See the module.
pub struct Drill {
    workers: Vec<Worker>,
    told: Receiver<Told>,
    /// Was told, and not asked for yet.
    unasked: Vec<Told>,
    pub ground: Ground,
    folder: TempDir,
    next: u64,
}

impl Drill {
    pub fn start(ground: Ground, lease: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let (tell, told) = channel();
        let mut drill =
            Self { workers: Vec::new(), told, unasked: Vec::new(), ground, folder, next: 0 };
        drill.set_source(0);
        let source = drill.source();
        let start = |number| Worker::start(number, &drill.ground, lease, &source, &tell);
        drill.workers = (0..WORKERS).map(start).collect();
        drill
    }

    fn source(&self) -> String {
        self.folder.path().join("source").to_str().unwrap().to_owned()
    }

    /// Changes what the function reads. Whoever reads it meanwhile sees the old or the new.
    pub fn set_source(&self, source: u64) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, source.to_string()).unwrap();
        std::fs::rename(new, self.source()).unwrap();
    }

    fn order(&mut self, worker: usize, what: &str, rest: &str) -> u64 {
        self.next += 1;
        let id = self.next;
        self.workers[worker].order(format!("{what} {id} {rest}").trim_end());
        id
    }

    /// Has a worker call `f(n)`.
    pub fn call(&mut self, worker: usize, n: u64, takes: Takes) -> u64 {
        let takes = match takes {
            Takes::Millis(millis) => millis.to_string(),
            Takes::Hold => "hold".to_owned(),
        };
        self.order(worker, "call", &format!("{n} {takes}"))
    }

    /// Lets a call that holds go on.
    pub fn go_on(&mut self, worker: usize, id: u64) {
        self.workers[worker].order(&format!("go {id}"));
    }

    /// Has a worker take all answers back.
    pub fn invalidate(&mut self, worker: usize) -> u64 {
        self.order(worker, "invalidate", "")
    }

    pub fn signal(&self, worker: usize, signal: &str) {
        let pid = self.workers[worker].child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Changes all wires to the far host.
    pub fn wire(&self, wire: Wire) {
        self.ground.wires.iter().for_each(|proxy| proxy.set(wire));
    }

    /// The next that is told, or was and nobody asked for.
    pub fn next(&mut self) -> Told {
        self.find("anything more", |_| true)
    }

    /// What is told as one of `what`, about a call of `f(n)`.
    pub fn expect(&mut self, what: &[&str], n: u64) -> Told {
        self.find(&format!("{what:?} of {n}"), |told| told.n == n && what.contains(&&*told.what))
    }

    /// How an order ended.
    pub fn ended(&mut self, id: u64) -> Told {
        let over = |told: &Told| !["run", "waits", "fails"].contains(&&*told.what);
        self.find(&format!("the end of order {id}"), |told| told.id == id && over(told))
    }

    /// How an order ended, which must be so.
    pub fn ends(&mut self, id: u64, so: &str) -> Told {
        let told = self.ended(id);
        assert_eq!(told.what, so, "{told:?}, and before it {:?}", self.unasked);
        told
    }

    fn find(&mut self, what: &str, is: impl Fn(&Told) -> bool) -> Told {
        let (begun, mut at) = (Instant::now(), 0);
        loop {
            if at == self.unasked.len() {
                let left = LONG.saturating_sub(begun.elapsed());
                match self.told.recv_timeout(left) {
                    Ok(told) => self.unasked.push(told),
                    Err(_) => panic!("nobody told {what}, but {:?}", self.unasked),
                }
            }
            let told = &self.unasked[at];
            assert_ne!(told.what, "wrong", "{told:?}");
            if is(told) {
                return self.unasked.remove(at);
            }
            at += 1;
        }
    }

    /// Calls `f(n)` until it is a hit, which it must be once the store answers again.
    pub fn hits(&mut self, worker: usize, n: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let id = self.call(worker, n, Takes::Millis(0));
            let told = self.ended(id);
            match told.what.as_str() {
                "hit" => return told.source,
                "alone" => thread::sleep(Duration::from_millis(100)),
                _ => panic!("{told:?}"),
            }
            assert!(begun.elapsed() < LONG, "no hit comes any more: {told:?}");
        }
    }
}
