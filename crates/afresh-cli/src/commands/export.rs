//! `afresh export FILE`: the whole store as one archive. A file appears under its name only when it is complete.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use afresh::{Engine, ExportReport};
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::file::beside;
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh export store.afresh                   everything, as one compressed file
  afresh export store.afresh --force           replace the file that is there
  afresh export - | ssh there afresh import -  straight to another machine

The archive is a zstd-compressed tar. Current answers, history and results all come along.";

/// Write everything to an archive
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The archive; `-` for standard output
    file: PathBuf,
    /// Replace the file where it is there
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Report {
    file: String,
    objects: u64,
    commits: u64,
    answers: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let streamed = options.file.as_os_str() == "-";
    if streamed && cx.json {
        return Err(Failure::usage("`--json` and the archive cannot both go to standard output")
            .hint("name a file instead of `-`"));
    }
    if streamed && cx.stdout_terminal {
        return Err(Failure::usage("an archive is not written to a terminal")
            .hint("name a file, or redirect standard output"));
    }
    if !streamed && !options.force && options.file.symlink_metadata().is_ok() {
        return Err(there_already(&options.file));
    }
    let engine = cx.engine(Mode::Existing)?;
    let report = if streamed {
        engine.export(&mut cx.out).await?
    } else {
        to_file(&engine, &options.file, options.force).await?
    };
    if cx.json {
        cx.document(&Report {
            file: options.file.display().to_string(),
            objects: report.objects,
            commits: report.commits,
            answers: report.heads,
        })?;
    } else {
        cx.note(&format!(
            "exported {}, {} and {}",
            human::count(report.commits, "execution"),
            human::count(report.heads, "answer"),
            human::count(report.objects, "object"),
        ));
    }
    Ok(OK)
}

async fn to_file(engine: &Engine, file: &Path, force: bool) -> Result<ExportReport, Failure> {
    let write = || Failure::file("write", file);
    let temporary = beside(file)?;
    let mut to = BufWriter::with_capacity(1 << 16, temporary);
    let report = engine.export(&mut to).await?;
    to.flush().map_err(write())?;
    let temporary = to.into_inner().map_err(|error| write()(error.into_error()))?;
    temporary.as_file().sync_all().map_err(write())?;
    if force {
        temporary.persist(file).map_err(|error| write()(error.error))?;
    } else {
        temporary.persist_noclobber(file).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => there_already(file),
            _ => write()(error.error),
        })?;
    }
    Ok(report)
}

fn there_already(file: &Path) -> Failure {
    Failure::new(format!("`{}` is there already", file.display())).hint("`--force` replaces it")
}
