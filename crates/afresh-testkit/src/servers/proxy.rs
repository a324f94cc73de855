//! A wire between a store and its server that can be cut, held still and made long, while both are well.
//!
//! Invariant: what passes is neither changed nor reordered. What was on the wire when it was held still arrives when it
//! is let go; what was on it when it was cut does not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What the wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything passes.
    Pass,
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections stay and new ones can be made, but nothing arrives.
    Hang,
    /// Everything passes, this much later in each direction. Much may be on the way at once.
    Slow(Duration),
}

/// A TCP proxy on the loopback.
#[derive(Debug)]
pub struct Proxy {
    place: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    wire: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inside {
    wire: Wire,
    open: Vec<TcpStream>,
    ended: bool,
}

impl Proxy {
    /// A proxy to a port of the loopback; everything passes.
    pub fn start(target: u16) -> Self {
        Self::between("127.0.0.1:0", format!("127.0.0.1:{target}"))
    }

    /// A proxy that listens at `near`, to `target`: each an address with a port.
    pub fn between(near: &str, target: String) -> Self {
        let listener = TcpListener::bind(near).unwrap();
        let place = listener.local_addr().unwrap();
        let inside = Inside { wire: Wire::Pass, open: Vec::new(), ended: false };
        let state = Arc::new(State { wire: Mutex::new(inside), changed: Condvar::new() });
        let accepting = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if accepting.wire.lock().unwrap().ended {
                    return;
                }
                accepting.connect(near, &target);
            }
        });
        Self { place, state }
    }

    /// Where to connect to instead of the server.
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    /// Changes what the wire does, from now on and for all connections.
    pub fn set(&self, wire: Wire) {
        let mut inside = self.state.wire.lock().unwrap();
        inside.wire = wire;
        if wire == Wire::Cut {
            for stream in inside.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        drop(inside);
        self.state.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.wire.lock().unwrap().ended = true;
        self.set(Wire::Cut);
        // Whoever accepts is to see that it is over.
        let _ = TcpStream::connect(self.place);
    }
}

impl State {
    fn connect(self: &Arc<Self>, near: TcpStream, target: &str) {
        let mut inside = self.wire.lock().unwrap();
        if inside.wire == Wire::Cut {
            return;
        }
        let Ok(far) = TcpStream::connect(target) else { return };
        for stream in [&near, &far] {
            let _ = stream.set_nodelay(true);
            inside.open.push(stream.try_clone().unwrap());
        }
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let (send, receive) = channel();
            let state = Arc::clone(self);
            thread::spawn(move || state.read(from, &send));
            let state = Arc::clone(self);
            thread::spawn(move || state.write(to, &receive));
        }
    }

    /// Puts what comes on the wire, with the moment at which it is to arrive.
    fn read(&self, mut from: TcpStream, wire: &Sender<(Instant, Vec<u8>)>) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let len = match from.read(&mut buffer) {
                Ok(len) if len > 0 => len,
                _ => return,
            };
            let length = match self.wire.lock().unwrap().wire {
                Wire::Slow(length) => length,
                Wire::Pass | Wire::Cut | Wire::Hang => Duration::ZERO,
            };
            if wire.send((Instant::now() + length, buffer[..len].to_vec())).is_err() {
                return;
            }
        }
    }

    /// Takes off the wire what has arrived.
    fn write(&self, mut to: TcpStream, wire: &Receiver<(Instant, Vec<u8>)>) {
        for (arrives, bytes) in wire {
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            let held = |inside: &mut Inside| inside.wire == Wire::Hang;
            drop(self.changed.wait_while(self.wire.lock().unwrap(), held).unwrap());
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        port
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream
    }

    fn echoed(mut stream: &TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).map(|()| back)
    }

    #[test]
    fn a_wire_passes_holds_still_and_is_cut() {
        let proxy = Proxy::start(echo());
        let stream = connect(&proxy);
        assert_eq!(echoed(&stream, b"one").unwrap(), b"one");
        proxy.set(Wire::Hang);
        assert!(echoed(&stream, b"two").is_err(), "it hangs");
        assert!(echoed(&connect(&proxy), b"new").is_err(), "it hangs for all");
        proxy.set(Wire::Pass);
        let mut back = [0; 3];
        (&stream).read_exact(&mut back).unwrap();
        assert_eq!(&back, b"two", "what was held arrives");
        proxy.set(Wire::Cut);
        assert!(echoed(&stream, b"three").is_err());
        assert!(echoed(&connect(&proxy), b"four").is_err());
        proxy.set(Wire::Pass);
        assert_eq!(echoed(&connect(&proxy), b"five").unwrap(), b"five");
    }

    #[test]
    fn a_long_wire_takes_its_time() {
        let proxy = Proxy::start(echo());
        let stream = connect(&proxy);
        proxy.set(Wire::Slow(Duration::from_millis(20)));
        let begun = Instant::now();
        assert_eq!(echoed(&stream, b"one").unwrap(), b"one");
        assert!(begun.elapsed() >= Duration::from_millis(40));
    }
}
