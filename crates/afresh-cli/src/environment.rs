//! The only place that looks at the process: its environment, its streams, its clock.
//!
//! Called once, by the program that owns the process (the binary, or the Python wheel). It decides nothing; what
//! a variable means is decided where it is used.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use afresh::{Timestamp, Who};
use jiff::tz::TimeZone;
use terminal_size::{Width, terminal_size_of};

use crate::host::{Environment, Host};

impl Environment {
    fn read() -> Self {
        Self {
            url: variable("AFRESH_URL"),
            dir: variable("AFRESH_DIR"),
            no_color: variable("NO_COLOR"),
            clicolor_force: variable("CLICOLOR_FORCE"),
            columns: variable("COLUMNS"),
            term: variable("TERM"),
        }
    }
}

impl Host {
    /// The world of this process: its standard streams, environment, clock and time zone.
    pub fn from_env() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let stdout = io::stdout();
        Self {
            stdout_terminal: stdout.is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
            stdin_terminal: io::stdin().is_terminal(),
            width: terminal_size_of(&stdout).map(|(Width(columns), _)| usize::from(columns)),
            environment: Environment::read(),
            stdin: Box::new(io::stdin()),
            zone: TimeZone::system(),
            // Without one, only paths on record are of use.
            folder: env::current_dir().unwrap_or_default(),
            who: who(),
            ..Self::new(Box::new(stdout), Box::new(io::stderr()), now)
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Who runs this process, as far as it is told.
fn who() -> Who {
    let user = ["LOGNAME", "USER", "LNAME", "USERNAME"].into_iter().find_map(variable);
    let kernel = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = kernel().or_else(|| variable("HOSTNAME")).or_else(|| variable("COMPUTERNAME"));
    Who {
        user: user.unwrap_or_default(),
        host: host.unwrap_or_default().trim().to_owned(),
        pid: std::process::id(),
    }
}
