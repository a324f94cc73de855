//! A server as a child process that cannot outlive the test program.

use std::net::{TcpListener, TcpStream};
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
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
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
