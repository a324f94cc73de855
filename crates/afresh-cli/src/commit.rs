//! A commit in a few words: the pieces that log, history, show and diff have in common.

use std::time::Duration;

use afresh::{Commit, Kept, Outcome, Who};

use crate::human;
use crate::style::Role;
use crate::table::Cell;

/// `n=12, data='a.csv'`.
pub(crate) fn arguments(commit: &Commit) -> String {
    let all = commit.arguments.iter();
    all.map(|argument| format!("{}={}", argument.name, argument.preview))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `team=data nightly`.
pub(crate) fn tags(commit: &Commit) -> String {
    commit.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(crate) fn took(commit: &Commit) -> String {
    human::span(Duration::from_micros(commit.took_us))
}

/// `1.2 kB json`, `failed: ValueError`, `not kept`.
pub(crate) fn result(commit: &Commit) -> Cell {
    match &commit.outcome {
        Outcome::Completed(Kept::Object { object, codec, .. }) => {
            Cell::plain(format!("{} {codec}", human::size(object.len)))
        }
        Outcome::Completed(Kept::No { .. }) => Cell::new(Role::Warning, "not kept"),
        Outcome::Failed(failure) => Cell::new(Role::Bad, format!("failed: {}", failure.kind)),
    }
}

/// `anna on workstation`.
pub(crate) fn by(commit: &Commit) -> String {
    person(&commit.who)
}

pub(crate) fn person(who: &Who) -> String {
    match (who.user.as_str(), who.host.as_str()) {
        ("", "") => String::new(),
        ("", host) => format!("on {host}"),
        (user, "") => user.to_owned(),
        (user, host) => format!("{user} on {host}"),
    }
}
