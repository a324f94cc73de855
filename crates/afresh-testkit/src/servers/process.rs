//! A server as a child process that cannot outlive the test program.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Mutex<Child>,
    command: Vec<String>,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts `command` (program and arguments). The kernel kills it when this process dies.
    pub fn start(command: Vec<String>) -> Self {
        Self { child: Mutex::new(spawn(&command)), command }
    }

    /// Waits until something listens at `port` of the loopback.
    pub fn listening(self, port: u16, limit: Duration) -> Self {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}", self.command[0]);
            assert!(begun.elapsed() < limit, "{} does not listen at {port}", self.command[0]);
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Kills it at once.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Starts it again with the same command.
    pub fn restart(&self) {
        self.kill();
        *self.child.lock().unwrap() = spawn(&self.command);
    }

    /// Stops it without ending it: connections stay open and nothing is answered.
    pub fn pause(&self) {
        assert!(stop(self.pid()));
    }

    /// Lets it go on.
    pub fn resume(&self) {
        assert!(signal(self.pid(), "-CONT"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal; whether the process was there.
pub(super) fn signal(process: u32, signal: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.args([signal, &process.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

/// Stops a process, and waits until none of its threads runs; whether it was there.
pub(super) fn stop(process: u32) -> bool {
    let begun = Instant::now();
    let there = signal(process, "-STOP");
    while there && runs(process) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{process} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
    there
}

fn runs(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| status(&thread.path()));
    states.any(|(state, _)| !matches!(state, 'T' | 't' | 'Z' | 'X'))
}

/// The processes that it has started and that are there. The kernel's own list of them leaves some out when others end.
pub(super) fn children(process: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let child = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let (_, parent) = status(&entry.path())?;
        (parent == process).then_some(number)
    };
    all.filter_map(child).collect()
}

/// The state of a process or thread, and who started it.
fn status(folder: &Path) -> Option<(char, u32)> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    // What is in brackets is its name, which may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Starts a child from one thread that lives as long as the process: the kernel's "kill me with my parent"
/// goes by the thread that started it.
fn spawn(command: &[String]) -> Child {
    type Order = (Vec<String>, Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (send, orders) = channel::<Order>();
        std::thread::spawn(move || {
            for (command, answer) in orders {
                let child = Command::new("setpriv")
                    .args(["--pdeathsig", "KILL"])
                    .args(&command)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                let _ = answer.send(child);
            }
        });
        Mutex::new(send)
    });
    let (send, answer) = channel();
    starter.lock().unwrap().send((command.to_vec(), send)).unwrap();
    answer.recv().unwrap().unwrap()
}
