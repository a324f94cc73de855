//! The two streams: data, which remembers that its reader went away, and words, which never fail.
//!
//! Invariant: a broken pipe is noticed here, whoever wrote and however the error was wrapped on its way up, so
//! `program` can end in peace. Errors on standard error are dropped: there is nobody left to tell.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::style::{Palette, Role};
use crate::text;

/// Standard output, buffered.
pub(crate) struct Out {
    to: BufWriter<Box<dyn Write + Send>>,
    broken: bool,
}

impl Out {
    pub(crate) fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to: BufWriter::with_capacity(1 << 16, to), broken: false }
    }

    /// Whether the reader went away.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    fn noticing<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.broken |= error.kind() == io::ErrorKind::BrokenPipe;
        }
        result
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.to.write(bytes);
        self.noticing(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.to.flush();
        self.noticing(result)
    }
}

/// Standard error. All clones are one stream.
#[derive(Clone)]
pub(crate) struct Words {
    to: Arc<Mutex<Stream>>,
    palette: Palette,
    terminal: bool,
}

struct Stream {
    to: Box<dyn Write + Send>,
    /// Whether the last line is a progress line that must give way.
    progress: bool,
}

impl Words {
    pub(crate) fn new(to: Box<dyn Write + Send>, palette: Palette, terminal: bool) -> Self {
        let stream = Stream { to, progress: false };
        Self { to: Arc::new(Mutex::new(stream)), palette, terminal }
    }

    pub(crate) fn is_coloured(&self) -> bool {
        self.palette.is_coloured()
    }

    pub(crate) fn error(&self, message: &str) {
        self.labelled(Role::Bad, "error", message);
    }

    pub(crate) fn warning(&self, message: &str) {
        self.labelled(Role::Warning, "warning", message);
    }

    pub(crate) fn hint(&self, message: &str) {
        self.labelled(Role::Heading, "hint", message);
    }

    /// Something that happened, such as what a command did.
    pub(crate) fn note(&self, message: &str) {
        self.write(&format!("{}\n", text::line(message)), false);
    }

    /// Text as it is: help and the messages of the argument parser.
    pub(crate) fn raw(&self, message: &str) {
        self.write(message, false);
    }

    /// A question; the cursor stays behind it.
    pub(crate) fn ask(&self, question: &str) {
        self.write(&text::line(question), false);
    }

    /// A line that the next one replaces; on a terminal only.
    pub(crate) fn progress(&self, message: &str) {
        if self.terminal {
            self.write(&text::line(message), true);
        }
    }

    /// Takes the progress line away.
    pub(crate) fn done(&self) {
        self.write("", false);
    }

    fn labelled(&self, role: Role, label: &str, message: &str) {
        let label = self.palette.paint(role, format!("{label}:"));
        self.write(&format!("{label} {}\n", text::line(message)), false);
    }

    fn write(&self, message: &str, progress: bool) {
        let mut stream = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if stream.progress { "\r\x1b[K" } else { "" };
        stream.progress = progress;
        let _ = write!(stream.to, "{clear}{message}");
        let _ = stream.to.flush();
    }
}
