//! The process that is drilled: it calls functions, or takes their answers back, as its input tells, each in a thread of
//! its own.
//!
//! | order | what |
//! |---|---|
//! | `call ID N TAKES` | calls `f(N)`, which takes so many milliseconds, or (`hold`) until it is told to go on |
//! | `go ID` | lets it go on |
//! | `invalidate ID` | takes all answers back |
//!
//! What `f` returns is `N`, and what the source held when it ran: a file that the drill writes.

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use afresh::{
    Argument, Begun, Bytes, Engine, Execution, Function, FunctionId, Options, Output, Policy,
    Selection, Tag, fp1,
};
use pollster::block_on;

/// The address of the store.
pub const ADDRESS: &str = "AFRESH_HOSTS_ADDRESS";
/// The file that the function reads.
pub const SOURCE: &str = "AFRESH_HOSTS_SOURCE";
/// How long a lease lasts, in milliseconds.
pub const LEASE: &str = "AFRESH_HOSTS_LEASE";
/// How many bytes an output has at least.
pub const SIZE: &str = "AFRESH_HOSTS_SIZE";

/// Ends a hold by being dropped.
type Holds = Mutex<HashMap<String, Sender<()>>>;

/// Works until nobody tells it what to do any more. Does nothing where nobody does.
pub fn work() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let lease = std::env::var(LEASE).unwrap().parse().unwrap();
    let options = Options { lease: Some(Duration::from_millis(lease)), ..Options::default() };
    let engine = afresh::open(&address, options).unwrap().engine;
    let (out, holds) = (Arc::new(Mutex::new(std::io::stdout())), Arc::new(Holds::default()));
    for order in std::io::stdin().lines().map_while(Result::ok) {
        let mut words = order.split(' ').map(str::to_owned);
        let (what, id) = (words.next().unwrap(), words.next().unwrap());
        let (engine, out) = (engine.clone(), Arc::clone(&out));
        // One write, so that a line is on the pipe or not.
        let said = id.clone();
        let tell = move |what: &str, n: &str, source: u64, why: &str| {
            let line = format!("\ntold {what} {said} {n} {source} {}\n", why.replace('\n', " "));
            let mut out = out.lock().unwrap();
            out.write_all(line.as_bytes()).unwrap();
            out.flush().unwrap();
        };
        match what.as_str() {
            "go" => drop(holds.lock().unwrap().remove(&id)),
            "invalidate" => {
                thread::spawn(move || match block_on(engine.invalidate(&world())) {
                    Ok(_) => tell("invalidated", "0", 0, ""),
                    Err(error) => tell("refused", "0", 0, &error.to_string()),
                });
            }
            _ => {
                let (n, takes) = (words.next().unwrap(), words.next().unwrap());
                let (send, go_on) = channel();
                if takes == "hold" {
                    holds.lock().unwrap().insert(id, send);
                }
                let wait = move || match takes.parse() {
                    Ok(takes) => thread::sleep(Duration::from_millis(takes)),
                    Err(_) => drop(go_on.recv()),
                };
                thread::spawn(move || {
                    let tell = |what: &str, source, why: &str| tell(what, &n, source, why);
                    Call { n: &n, wait: &wait, tell: &tell }.make(&engine);
                });
            }
        }
    }
    std::process::exit(0)
}

/// All that rests on the source.
fn world() -> Selection {
    Selection { function: None, tags: vec![Tag::new("world", None).unwrap()] }
}

struct Call<'a> {
    n: &'a str,
    wait: &'a dyn Fn(),
    tell: &'a dyn Fn(&str, u64, &str),
}

impl Call<'_> {
    /// Calls the function as a front end does: where the store fails, it runs all the same.
    fn make(&self, engine: &Engine) {
        if let Err(error) = self.remembered(engine) {
            (self.tell)("fails", 0, &error.to_string());
            (self.tell)("alone", self.run(), &error.to_string());
        }
    }

    /// The function itself. What it read is the source before it took its time.
    fn run(&self) -> u64 {
        let source = std::fs::read_to_string(std::env::var(SOURCE).unwrap()).unwrap();
        (self.wait)();
        source.parse().unwrap()
    }

    /// Fails only where the function has not run.
    fn remembered(&self, engine: &Engine) -> afresh::Result<()> {
        let function = Arc::new(Function::new("drill.f", FunctionId::new([7; 32]), "{}"));
        let mut encoder = fp1::Encoder::new();
        encoder.str(self.n);
        let (digest, preview) = (encoder.finish(), self.n.to_owned());
        let arguments = vec![Argument { name: "n".into(), digest, preview, source: None }];
        let fingerprint = Argument::fingerprint(&function.id, &function.name, &arguments);
        let policy = Policy::default();
        let mut begun = block_on(engine.begin(&fingerprint, &policy))?;
        loop {
            begun = match begun {
                Begun::Hit(hit) => {
                    self.hit(&hit.bytes);
                    return Ok(());
                }
                Begun::Stale(..) => unreachable!("nothing is stale"),
                Begun::Run(ticket) => {
                    (self.tell)("run", 0, "");
                    let source = self.run();
                    let size: usize = std::env::var(SIZE).unwrap().parse().unwrap();
                    let text = format!("{:size$}", format!("{} {source} ", self.n));
                    let blob = text.into_bytes().into();
                    let output = Output::Bytes { codec: "raw".into(), blob, value: None };
                    let execution = Execution {
                        function,
                        arguments,
                        inputs: vec![],
                        tags: world().tags,
                        ttl: None,
                        took: None,
                    };
                    match block_on(ticket.finish(execution, output)) {
                        Ok(done) if done.published => (self.tell)("published", source, ""),
                        Ok(_) => (self.tell)("fenced", source, ""),
                        Err(error) => (self.tell)("alone", source, &error.to_string()),
                    }
                    return Ok(());
                }
                Begun::Busy(busy) => {
                    (self.tell)("waits", 0, "");
                    block_on(busy.wait());
                    block_on(engine.resume(busy, &policy))?
                }
            }
        }
    }

    /// An answer, which must be one to this call.
    fn hit(&self, bytes: &Bytes) {
        let text = String::from_utf8_lossy(bytes);
        let mut words = text.split(' ');
        match (words.next(), words.next().and_then(|source| source.parse().ok())) {
            (Some(n), Some(source)) if n == self.n => (self.tell)("hit", source, ""),
            _ => (self.tell)("wrong", 0, &text),
        }
    }
}
