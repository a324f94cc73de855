//! `afresh completions SHELL`: a script that lets a shell complete commands and options. Needs no store.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use serde::Serialize;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::{Failure, OK};

const EXAMPLES: &str = "\
Examples:
  afresh completions bash > ~/.local/share/bash-completion/completions/afresh
  afresh completions zsh > ~/.zfunc/_afresh
  afresh completions fish > ~/.config/fish/completions/afresh.fish";

/// Write a completion script for a shell
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The shell
    shell: Shell,
}

#[derive(Serialize)]
struct Report {
    shell: String,
    script: String,
}

pub(crate) fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let mut script = Vec::new();
    generate(options.shell, &mut Cli::command(), "afresh", &mut script);
    if cx.json {
        let script = String::from_utf8_lossy(&script).into_owned();
        cx.document(&Report { shell: options.shell.to_string(), script })?;
    } else {
        cx.out.write_all(&script)?;
    }
    Ok(OK)
}
