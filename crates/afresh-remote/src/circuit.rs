//! When a server that fails is asked again: at once after the first failure it is left alone for a while, then one
//! caller tries, and each failure of that doubles the while.
//!
//! Invariant: while it is open at most one operation is on its way, so that an outage costs its callers one wait and
//! not one each.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_core::{Error, Kind, Result, Retry};

/// How long a server is left alone after its first failure.
const FIRST: Duration = Duration::from_millis(500);

/// The longest it is left alone.
const LONGEST: Duration = Duration::from_secs(30);

/// A circuit breaker.
#[derive(Debug, Default)]
pub struct Circuit {
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    pause: Duration,
    kind: Kind,
    why: String,
    hint: Option<String>,
}

impl Circuit {
    /// Whether to ask the server now.
    ///
    /// # Errors
    /// What it failed with, and when it is asked again, while it is left alone.
    pub fn admit(&self) -> Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_mut() else { return Ok(()) };
        let now = Instant::now();
        if now < open.until {
            let left = open.until - now;
            // Always the same words, so that a warning is said once.
            let error =
                Error::new(open.kind, format!("it is left alone for a while: {}", open.why))
                    .with_retry(Retry::After(left));
            return Err(match &open.hint {
                Some(hint) => error.with_hint(hint.clone()),
                None => error,
            });
        }
        // This caller tries; the others wait for what becomes of it.
        open.until = now + open.pause;
        Ok(())
    }

    /// The server did what it was asked, or refused it for a reason. How long it had not, where it had not.
    pub fn well(&self) -> Option<Duration> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        open.map(|open| open.since.elapsed())
    }

    /// The server could not be reached, did not answer, or does not let us in.
    pub fn failed(&self, error: &Error) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let pause = open.as_ref().map_or(FIRST, |open| (open.pause * 2).min(LONGEST));
        let since = open.as_ref().map_or(now, |open| open.since);
        let (kind, hint) = (error.kind(), error.hint().map(str::to_owned));
        let why = error.to_string();
        *open = Some(Open { since, until: now + pause, pause, kind, why, hint });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_tries() {
        let circuit = Circuit::default();
        assert!(circuit.admit().is_ok());
        circuit.failed(&Error::new(Kind::Denied, "no route to it").with_hint("ask for one"));
        let error = circuit.admit().unwrap_err();
        assert!(error.message().contains("no route to it"));
        assert_eq!((error.kind(), error.hint()), (Kind::Denied, Some("ask for one")));
        std::thread::sleep(FIRST);
        assert!(circuit.admit().is_ok());
        assert!(circuit.admit().is_err());
        assert!(circuit.well().is_some_and(|away| away >= FIRST));
        assert!(circuit.well().is_none());
        assert!(circuit.admit().is_ok());
        assert!(circuit.admit().is_ok());
    }
}
