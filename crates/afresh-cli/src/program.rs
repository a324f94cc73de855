//! From arguments to an exit code.
//!
//! The only place that prints errors and that chooses exit codes. A reader that went away (`afresh log | head -1`)
//! is the end of the work, not a failure, whatever it made fail.

use std::ffi::OsString;
use std::io::Write;

use clap::{CommandFactory, FromArgMatches};

use crate::args::Cli;
use crate::commands;
use crate::context::Context;
use crate::failure::{FAILED, Failure, OK, USAGE};
use crate::host::Host;
use crate::warnings::Warnings;

/// Lines of help longer than this are hard to read.
const HELP_WIDTH: usize = 100;

/// Runs the command that `args` (the first of which is the program's name) asks for and returns the exit code: 0 for
/// success, 1 for not found or failed, 2 for wrong usage.
///
/// ```
/// use afresh::Timestamp;
/// let host = afresh_cli::Host::new(Box::new(std::io::sink()), Box::new(std::io::sink()), Timestamp::default());
/// assert_eq!(afresh_cli::run(["afresh", "--version"], host), 0);
/// ```
pub fn run<I, T>(args: I, host: Host) -> u8
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let mut cx = Context::new(host);
    let warnings = Warnings::new(cx.words.clone());
    let code = tracing::subscriber::with_default(warnings, || match parse(args, &mut cx) {
        Ok(cli) => {
            cx.apply(&cli.global);
            let result = pollster::block_on(commands::run(&cli.command, &mut cx));
            report(result, &mut cx)
        }
        Err(code) => code,
    });
    let flushed = cx.out.flush();
    if cx.out.is_broken() {
        return OK;
    }
    match flushed {
        Ok(()) => code,
        Err(error) => report(Err(error.into()), &mut cx),
    }
}

fn parse<I, T>(args: I, cx: &mut Context) -> Result<Cli, u8>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let command = Cli::command().term_width(cx.width.clamp(40, HELP_WIDTH));
    let parsed = command.try_get_matches_from(args);
    let error = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let text = error.render();
    if error.use_stderr() {
        let text = if cx.words.is_coloured() { text.ansi().to_string() } else { text.to_string() };
        cx.words.raw(&text);
        return Err(USAGE);
    }
    let text = if cx.palette.is_coloured() { text.ansi().to_string() } else { text.to_string() };
    match cx.out.write_all(text.as_bytes()) {
        Ok(()) => Err(OK),
        Err(_) => Err(FAILED),
    }
}

fn report(result: Result<u8, Failure>, cx: &mut Context) -> u8 {
    cx.words.done();
    match result {
        Ok(code) => code,
        Err(_) if cx.out.is_broken() => OK,
        Err(failure) => {
            // What was written belongs before what went wrong.
            let _ = cx.out.flush();
            cx.words.error(&failure.message);
            if let Some(hint) = &failure.hint {
                cx.words.hint(hint);
            }
            failure.code
        }
    }
}
