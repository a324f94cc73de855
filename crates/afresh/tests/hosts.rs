//! Leases between real processes over a real server: eight workers on two "hosts", one of which reaches the server over a
//! wire that can be cut. Owners are killed, cut off and paused.
//!
//! The test binary runs itself again as a worker, which does what it is told on its input and tells on its output what
//! became of it.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]
#![allow(missing_docs, reason = "tests are named by what they say")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use afresh::{
    Argument, Begun, Engine, Execution, Function, FunctionId, Options, Output, Policy, fp1,
};
use afresh_testkit::servers::redis::Redis;
use afresh_testkit::servers::{Proxy, Wire, skipped};
use pollster::block_on;

const ADDRESS: &str = "AFRESH_HOSTS_ADDRESS";

/// How long a lease lasts where an owner is to be given up.
const TTL: Duration = Duration::from_millis(1500);

/// Long enough for anything that is to happen, on a machine with other things to do.
const LONG: Duration = Duration::from_secs(60);

/// What a worker tells: what happened, to which call.
type Told = (usize, String, u64);

/// A worker process.
struct Worker {
    child: Child,
    orders: ChildStdin,
}

impl Worker {
    fn start(number: usize, test: &str, address: String, tell: &Sender<Told>) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ADDRESS, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, lines) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let tell = tell.clone();
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                let words: Vec<_> = line.split(' ').collect();
                if let ["told", what, call] = words[..] {
                    let _ = tell.send((number, what.to_owned(), call.parse().unwrap()));
                }
            }
        });
        Self { child, orders }
    }

    /// To call `f(call)`, which takes so long.
    fn call(&mut self, call: u64, takes: Duration) {
        writeln!(self.orders, "{call} {}", takes.as_millis()).unwrap();
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Eight workers: the even ones reach the server, the odd ones over the wire.
struct Drill {
    workers: Vec<Worker>,
    told: Receiver<Told>,
    wire: Proxy,
    _redis: Redis,
}

impl Drill {
    /// In a worker, works. `None` where there is no server. `timeout` is what a request may take.
    fn start(test: &str, lease: Option<Duration>, timeout: &str) -> Option<Self> {
        if let Ok(address) = std::env::var(ADDRESS) {
            work(&address, lease);
        }
        let Some(redis) = Redis::start(&[]) else {
            skipped("redis");
            return None;
        };
        let wire = Proxy::start(redis.port);
        let (tell, told) = channel();
        let address = |number: usize| {
            let port = if number.is_multiple_of(2) { redis.port } else { wire.port() };
            format!("redis://127.0.0.1:{port}?timeout={timeout}")
        };
        let start = |number| Worker::start(number, test, address(number), &tell);
        let workers = (0..8).map(start).collect();
        Some(Self { workers, told, wire, _redis: redis })
    }

    /// The next that is told of, as `what`, about `call`.
    fn expect(&self, what: &str, call: u64) -> usize {
        let begun = Instant::now();
        loop {
            match self.told.recv_timeout(LONG) {
                Ok((worker, told, about)) if told == what && about == call => return worker,
                Ok(_) if begun.elapsed() < LONG => {}
                Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("nobody told `{what}` of {call}")
                }
            }
        }
    }
}

/// Does what it is told, each call in a thread of its own.
fn work(address: &str, lease: Option<Duration>) -> ! {
    let options = Options { lease, ..Options::default() };
    let engine = afresh::open(address, options).unwrap().engine;
    let out = Arc::new(Mutex::new(std::io::stdout()));
    for order in std::io::stdin().lines().map_while(Result::ok) {
        let (call, takes) = order.split_once(' ').unwrap();
        let (call, takes) = (call.parse().unwrap(), Duration::from_millis(takes.parse().unwrap()));
        let (engine, out) = (engine.clone(), Arc::clone(&out));
        thread::spawn(move || {
            // One write, so that a line is on the pipe or not.
            let tell = |what: &str| {
                let mut out = out.lock().unwrap();
                out.write_all(format!("\ntold {what} {call}\n").as_bytes()).unwrap();
                out.flush().unwrap();
            };
            if compute(&engine, call, takes, &tell).is_err() {
                tell("alone");
            }
        });
    }
    std::process::exit(0)
}

fn compute(engine: &Engine, call: u64, takes: Duration, tell: &dyn Fn(&str)) -> afresh::Result<()> {
    let function = Arc::new(Function::new("drill.f", FunctionId::new([7; 32]), "{}"));
    let mut encoder = fp1::Encoder::new();
    encoder.int(i64::try_from(call).unwrap());
    let digest = encoder.finish();
    let argument = Argument { name: "n".into(), digest, preview: call.to_string(), source: None };
    let arguments = vec![argument];
    let fingerprint = Argument::fingerprint(&function.id, &function.name, &arguments);
    let policy = Policy::default();
    let mut begun = block_on(engine.begin(&fingerprint, &policy))?;
    loop {
        begun = match begun {
            Begun::Hit(hit) => {
                assert_eq!(hit.bytes, call.to_string());
                tell("hit");
                return Ok(());
            }
            Begun::Stale(..) => unreachable!("nothing is stale"),
            Begun::Run(ticket) => {
                tell("run");
                thread::sleep(takes);
                let blob = call.to_string().into_bytes().into();
                let output = Output::Bytes { codec: "raw".into(), blob, value: None };
                let execution = Execution {
                    function,
                    arguments,
                    inputs: vec![],
                    tags: vec![],
                    ttl: None,
                    took: None,
                };
                let done = block_on(ticket.finish(execution, output))?;
                tell(if done.published { "published" } else { "fenced" });
                return Ok(());
            }
            Begun::Busy(busy) => {
                tell("waits");
                block_on(busy.wait());
                block_on(engine.resume(busy, &policy))?
            }
        }
    }
}

#[test]
fn eight_processes_run_each_call_once() {
    let name = "eight_processes_run_each_call_once";
    let Some(mut drill) = Drill::start(name, None, "20s") else { return };
    let calls = 60;
    for call in 0..calls {
        for worker in &mut drill.workers {
            worker.call(call, Duration::from_millis(20 + call));
        }
    }
    let mut told = HashMap::<(String, u64), usize>::new();
    let mut left = calls * 8;
    while left > 0 {
        let (_, what, call) = drill.told.recv_timeout(LONG).unwrap();
        left -= u64::from(["hit", "published", "fenced", "alone"].contains(&what.as_str()));
        *told.entry((what, call)).or_default() += 1;
    }
    for call in 0..calls {
        let times = |what: &str| told.get(&(what.to_owned(), call)).copied().unwrap_or(0);
        assert_eq!((times("run"), times("published"), times("alone")), (1, 1, 0), "call {call}");
        assert_eq!(times("hit"), 7, "call {call}");
    }
}

#[test]
fn an_owner_that_is_killed_is_taken_over() {
    let name = "an_owner_that_is_killed_is_taken_over";
    let Some(mut drill) = Drill::start(name, Some(TTL), "20s") else { return };
    drill.workers[1].call(1, LONG);
    assert_eq!(drill.expect("run", 1), 1);
    for worker in [0, 2, 3] {
        drill.workers[worker].call(1, Duration::ZERO);
    }
    drill.expect("waits", 1);
    drill.workers[1].signal("-KILL");
    let killed = Instant::now();
    assert_ne!(drill.expect("run", 1), 1);
    println!("taken over {:?} after the owner was killed", killed.elapsed());
    drill.expect("published", 1);
    for _ in 0..2 {
        drill.expect("hit", 1);
    }
}

#[test]
fn an_owner_that_is_paused_is_fenced_off() {
    let name = "an_owner_that_is_paused_is_fenced_off";
    let Some(mut drill) = Drill::start(name, Some(TTL), "20s") else { return };
    drill.workers[0].call(1, TTL);
    assert_eq!(drill.expect("run", 1), 0);
    drill.workers[0].signal("-STOP");
    drill.workers[2].call(1, TTL * 3);
    assert_eq!(drill.expect("run", 1), 2);
    drill.workers[0].signal("-CONT");
    assert_eq!(drill.expect("fenced", 1), 0);
    assert_eq!(drill.expect("published", 1), 2);
}

#[test]
fn a_host_that_is_cut_off_is_taken_over_and_comes_back() {
    let name = "a_host_that_is_cut_off_is_taken_over_and_comes_back";
    let Some(mut drill) = Drill::start(name, Some(TTL), "1s") else { return };
    for (wire, call) in [(Wire::Cut, 1), (Wire::Hang, 2)] {
        drill.workers[1].call(call, TTL * 4);
        assert_eq!(drill.expect("run", call), 1);
        drill.wire.set(wire);
        drill.workers[0].call(call, TTL * 8);
        assert_eq!(drill.expect("run", call), 0, "the other host goes on");
        // Behind the wire nobody waits for a server that is away.
        drill.workers[3].call(call, Duration::ZERO);
        assert_eq!(drill.expect("alone", call), 3);
        drill.wire.set(Wire::Pass);
        // The owner that was cut off finds another at it, or its server still left alone for a moment.
        loop {
            match drill.told.recv_timeout(LONG).unwrap() {
                (1, what, about)
                    if about == call && ["fenced", "alone"].contains(&what.as_str()) =>
                {
                    break;
                }
                (1, what, about) => panic!("worker 1: {what} {about}"),
                _ => {}
            }
        }
        assert_eq!(drill.expect("published", call), 0);
        // A call of its own finds the answer once the server is asked again.
        let begun = Instant::now();
        loop {
            drill.workers[3].call(call, Duration::ZERO);
            match drill.told.recv_timeout(LONG).unwrap() {
                (3, what, _) if what == "hit" => break,
                (3, what, _) if what == "alone" => thread::sleep(Duration::from_millis(100)),
                told => panic!("{told:?}"),
            }
            assert!(begun.elapsed() < LONG, "the host does not come back");
        }
    }
}
