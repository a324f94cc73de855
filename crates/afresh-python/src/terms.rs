//! A policy as Python says it.

use std::time::Duration;

use afresh::{Early, Policy};
use pyo3::prelude::*;

/// Seconds, and what goes with them; checked in Python.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Terms {
    ttl: Option<f64>,
    sliding: bool,
    max_age: Option<f64>,
    stale: Option<f64>,
    early: Option<f64>,
    chance: bool,
    refresh_after: Option<u32>,
    soft: Option<f64>,
}

/// A duration; what is longer than any is the longest.
pub(crate) fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

impl Terms {
    pub(crate) fn policy(&self) -> Policy {
        let early = self.early.map(|seconds| Early::Span(span(seconds)));
        Policy {
            ttl: self.ttl.map(span),
            sliding: self.sliding,
            max_age: self.max_age.map(span),
            stale: self.stale.map(span),
            early: if self.chance { Some(Early::Chance) } else { early },
            refresh_after: self.refresh_after,
            soft: self.soft.map(span),
            except: None,
        }
    }
}
