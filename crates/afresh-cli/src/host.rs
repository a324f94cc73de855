//! The world around the command, as values: where it reads and writes, and what it may know.
//!
//! Invariant: [`run`](crate::run) knows nothing that is not in here, so a test can build a whole world. It does
//! not look anything up itself; [`Host::from_env`] does, in `environment`.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use afresh::{Timestamp, Who};
use jiff::tz::TimeZone;

/// Renders a stored value (codec, stored bytes) for a person by really loading it.
pub type ShowValue = Box<dyn Fn(&str, &[u8]) -> Result<String, String>>;

/// The environment variables that matter, as they were set. Empty ones count as not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `AFRESH_URL`: the store, where `--store` does not name one.
    pub url: Option<String>,
    /// `AFRESH_DIR`: the store's folder, where neither `--store` nor `AFRESH_URL` name a store.
    pub dir: Option<String>,
    /// `NO_COLOR`: never use colour.
    pub no_color: Option<String>,
    /// `CLICOLOR_FORCE`: use colour even where the output is not a terminal.
    pub clicolor_force: Option<String>,
    /// `COLUMNS`: the width of the terminal.
    pub columns: Option<String>,
    /// `TERM`: a `dumb` one is not sent colours.
    pub term: Option<String>,
}

/// What the command is given by the program around it.
pub struct Host {
    /// Where data goes.
    pub stdout: Box<dyn Write + Send>,
    /// Where hints, warnings, errors and progress go.
    pub stderr: Box<dyn Write + Send>,
    /// Where an archive may come from, and the answer to a question.
    pub stdin: Box<dyn Read + Send>,
    /// Whether a person reads standard output directly.
    pub stdout_terminal: bool,
    /// Whether a person reads standard error directly.
    pub stderr_terminal: bool,
    /// Whether a person types at standard input.
    pub stdin_terminal: bool,
    /// The terminal's width in columns, where there is one. `COLUMNS` goes before it.
    pub width: Option<usize>,
    /// The environment.
    pub environment: Environment,
    /// The current time.
    pub now: Timestamp,
    /// The time zone that moments are shown in.
    pub zone: TimeZone,
    /// The working directory: where `plan` and `accept` find today's files.
    pub folder: PathBuf,
    /// Who asks: goes into what is recorded in their name.
    pub who: Who,
    /// Loads a value for `get --unpickle`. Only a Python process can.
    pub show_value: Option<ShowValue>,
}

impl Host {
    /// A world without terminal, input and environment, in which it is `now` in UTC.
    pub fn new(
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        now: Timestamp,
    ) -> Self {
        Self {
            stdout,
            stderr,
            stdin: Box::new(io::empty()),
            stdout_terminal: false,
            stderr_terminal: false,
            stdin_terminal: false,
            width: None,
            environment: Environment::default(),
            now,
            zone: TimeZone::UTC,
            folder: PathBuf::new(),
            who: Who::default(),
            show_value: None,
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("stdout_terminal", &self.stdout_terminal)
            .field("stderr_terminal", &self.stderr_terminal)
            .field("stdin_terminal", &self.stdin_terminal)
            .field("width", &self.width)
            .field("environment", &self.environment)
            .field("now", &self.now)
            .field("zone", &self.zone)
            .field("folder", &self.folder)
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}
