//! One file for each command: its options with their help, what it asks the engine, what it writes.
//!
//! A command returns its exit code, or a [`Failure`] that `program` prints. It writes data to `cx.out` and
//! says things through `cx.note` and `cx.hint`, and nothing anywhere else.

pub(crate) mod accept;
pub(crate) mod clear;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod gc;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod invalidate;
pub(crate) mod log;
pub(crate) mod plan;
pub(crate) mod rm;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod verify;
pub(crate) mod why;

use crate::args::Command;
use crate::context::Context;
use crate::failure::Failure;

pub(crate) async fn run(command: &Command, cx: &mut Context) -> Result<u8, Failure> {
    match command {
        Command::Log(options) => log::run(options, cx).await,
        Command::Show(options) => show::run(options, cx).await,
        Command::Get(options) => get::run(options, cx).await,
        Command::Diff(options) => diff::run(options, cx).await,
        Command::Why(options) => why::run(options, cx).await,
        Command::Plan(options) => plan::run(options, cx).await,
        Command::Accept(options) => accept::run(options, cx).await,
        Command::History(options) => history::run(options, cx).await,
        Command::Rm(options) => rm::run(options, cx).await,
        Command::Invalidate(options) => invalidate::run(options, cx).await,
        Command::Gc(options) => gc::run(options, cx).await,
        Command::Clear(options) => clear::run(options, cx).await,
        Command::Stats(options) => stats::run(options, cx).await,
        Command::Verify(options) => verify::run(options, cx).await,
        Command::Export(options) => export::run(options, cx).await,
        Command::Import(options) => import::run(options, cx).await,
        Command::Completions(options) => completions::run(options, cx),
    }
}
