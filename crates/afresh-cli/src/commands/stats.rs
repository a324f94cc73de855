//! `afresh stats`: what the store holds, and what it was good for.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;
use crate::style::Role;

const EXAMPLES: &str = "\
Examples:
  afresh stats                     for people
  afresh stats --json | jq .hits   for programs";

/// Show what the store holds, and how much computing it saved
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {}

#[derive(Serialize)]
struct Report<'a> {
    store: &'a str,
    commits: u64,
    completed: u64,
    failed: u64,
    answers: u64,
    hits: u64,
    saved_us: u64,
    inline_objects: u64,
    inline_bytes: u64,
    file_objects: u64,
    file_bytes: u64,
    disk_bytes: u64,
}

pub(crate) async fn run(_: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let stats = engine.stats().await?;
    let info = engine.store().info();
    let (store, near) = (info.address.clone(), info.capabilities.near);
    if cx.json {
        cx.document(&Report {
            store: &store,
            commits: stats.commits,
            completed: stats.completed,
            failed: stats.failed,
            answers: stats.answers,
            hits: stats.hits,
            saved_us: stats.saved_us,
            inline_objects: stats.inline_objects,
            inline_bytes: stats.inline_bytes,
            file_objects: stats.file_objects,
            file_bytes: stats.file_bytes,
            disk_bytes: stats.disk_bytes,
        })?;
        return Ok(OK);
    }
    let saved = human::span(Duration::from_micros(stats.saved_us));
    let small = format!("{} in rows", human::size(stats.inline_bytes));
    let large = format!(
        "{} in {}",
        human::size(stats.file_bytes),
        human::count(stats.file_objects, "file")
    );
    let mut fields = vec![
        ("store", Role::Plain, store),
        (
            "executions",
            Role::Plain,
            format!("{} ({} completed, {} failed)", stats.commits, stats.completed, stats.failed),
        ),
        ("answers", Role::Plain, stats.answers.to_string()),
        ("hits", Role::Plain, format!("{}, which saved {saved} of computing", stats.hits)),
        (
            "objects",
            Role::Plain,
            format!("{} ({small}, {large})", stats.inline_objects + stats.file_objects),
        ),
    ];
    // Not every store can tell.
    if stats.disk_bytes > 0 {
        let place = if near { "on disk" } else { "on server" };
        fields.push((place, Role::Plain, human::size(stats.disk_bytes)));
    }
    cx.fields(&fields)?;
    Ok(OK)
}
