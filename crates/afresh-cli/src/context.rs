//! Everything a command may use while it runs, and the few things that most of them do.
//!
//! It holds no answers and decides nothing about the store; it is the host, taken apart and ready to use.

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use afresh::{Commit, CommitId, Engine, Timestamp, Who};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::args::Global;
use crate::failure::Failure;
use crate::host::{Host, ShowValue};
use crate::output::{Out, Words};
use crate::store::{self, Mode};
use crate::style::{Palette, Role};
use crate::table::Table;
use crate::text;

/// The width of a terminal that does not tell.
const WIDTH: usize = 80;

pub(crate) struct Context {
    pub(crate) out: Out,
    pub(crate) words: Words,
    pub(crate) stdin: BufReader<Box<dyn Read + Send>>,
    pub(crate) stdout_terminal: bool,
    pub(crate) stdin_terminal: bool,
    pub(crate) palette: Palette,
    pub(crate) width: usize,
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
    pub(crate) json: bool,
    pub(crate) address: String,
    pub(crate) folder: PathBuf,
    pub(crate) who: Who,
    pub(crate) show_value: Option<ShowValue>,
}

impl Context {
    pub(crate) fn new(host: Host) -> Self {
        let environment = &host.environment;
        let palette = Palette::new(environment, host.stderr_terminal);
        Self {
            out: Out::new(host.stdout),
            words: Words::new(host.stderr, palette, host.stderr_terminal),
            stdin: BufReader::new(host.stdin),
            stdout_terminal: host.stdout_terminal,
            stdin_terminal: host.stdin_terminal,
            palette: Palette::new(environment, host.stdout_terminal),
            width: width(environment.columns.as_deref(), host.width),
            now: host.now,
            zone: host.zone,
            json: false,
            address: store::address(None, environment),
            folder: host.folder,
            who: host.who,
            show_value: host.show_value,
        }
    }

    /// Takes over what was said on the command line.
    pub(crate) fn apply(&mut self, global: &Global) {
        self.json = global.json;
        if let Some(address) = &global.store {
            self.address.clone_from(address);
        }
    }

    /// The engine over the store that is meant.
    pub(crate) fn engine(&self, mode: Mode) -> Result<Engine, Failure> {
        let now = self.now;
        store::open(&self.address, mode, Arc::new(move || now), &self.words)
    }

    /// The one commit that `hash` names.
    pub(crate) async fn commit(
        &self,
        engine: &Engine,
        hash: &str,
    ) -> Result<(CommitId, Commit), Failure> {
        let found = engine.resolve(hash).await.map_err(|error| Failure::argument(&error))?;
        let commit = match &found {
            Some(id) => engine.show(id).await?,
            None => None,
        };
        found.zip(commit).ok_or_else(|| {
            Failure::new(format!("no commit begins with `{hash}`"))
                .hint(format!("`afresh log` lists the commits of `{}`", self.address))
        })
    }

    /// Says what happened, below the data that was written before.
    pub(crate) fn note(&mut self, message: &str) {
        // A failure is remembered by the stream, and found again when the run ends.
        let _ = self.out.flush();
        self.words.note(message);
    }

    /// Says what to do next, below the data that was written before.
    pub(crate) fn hint(&mut self, message: &str) {
        let _ = self.out.flush();
        self.words.hint(message);
    }

    /// Writes the one JSON document of this run.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(|error| {
            Failure::new(format!("the answer could not be written as JSON: {error}"))
        })?;
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    /// Writes one line, which is clean already.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    /// Writes a table.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), Failure> {
        for line in table.lines(self.width, self.palette) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Writes labelled lines; those without content are left out.
    pub(crate) fn fields(&mut self, fields: &[(&str, Role, String)]) -> Result<(), Failure> {
        let shown = || fields.iter().filter(|(.., content)| !content.is_empty());
        let widest = shown().map(|(label, ..)| text::width(label)).max().unwrap_or(0);
        for (label, role, content) in shown() {
            let room = " ".repeat(widest + 2 - text::width(label));
            let label = self.palette.paint(Role::Heading, label);
            let content = self.palette.paint(*role, text::line(content));
            writeln!(self.out, "{label}{room}{content}")?;
        }
        Ok(())
    }
}

fn width(columns: Option<&str>, terminal: Option<usize>) -> usize {
    columns
        .and_then(|columns| columns.trim().parse().ok())
        .or(terminal)
        .filter(|width| *width > 0)
        .unwrap_or(WIDTH)
}
