//! `afresh import FILE`: take in an archive. The one command besides a program's first call that makes a store,
//! and only for what begins like an archive.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh import store.afresh              take in what the store has not
  afresh import store.afresh --store new  into a store that is made for it
  afresh export - --store a | afresh import - --store b

Executions that are here already stay; of two answers to one call the younger stays.";

/// How every archive begins: zstd's magic number.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Take in an archive that `afresh export` wrote; makes the store where there is none
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The archive; `-` for standard input
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    imported: u64,
    skipped: u64,
    objects: u64,
    answers: u64,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let report = if options.file.as_os_str() == "-" {
        if cx.stdin_terminal {
            return Err(Failure::usage("an archive is not read from a terminal")
                .hint("name a file, or redirect standard input"));
        }
        let beginning = check("standard input", &mut cx.stdin)?;
        let engine = cx.engine(Mode::Create)?;
        engine.import(beginning.chain(&mut cx.stdin)).await?
    } else {
        let file = File::open(&options.file).map_err(Failure::file("open", &options.file))?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let beginning = check(&format!("`{}`", options.file.display()), &mut file)?;
        let engine = cx.engine(Mode::Create)?;
        engine.import(beginning.chain(file)).await?
    };
    if cx.json {
        cx.document(&Report {
            imported: report.imported,
            skipped: report.skipped,
            objects: report.objects,
            answers: report.heads,
        })?;
    } else {
        cx.note(&format!(
            "imported {} ({} skipped), {} and {}",
            human::count(report.imported, "execution"),
            report.skipped,
            human::count(report.heads, "current answer"),
            human::count(report.objects, "object"),
        ));
    }
    Ok(OK)
}

/// Refuses what is no archive before a store is made for it. Gives back what it had to read.
fn check(name: &str, from: &mut impl Read) -> Result<Cursor<Vec<u8>>, Failure> {
    let mut beginning = Vec::new();
    from.take(MAGIC.len() as u64)
        .read_to_end(&mut beginning)
        .map_err(|error| Failure::new(format!("could not read {name}: {error}")))?;
    if beginning == MAGIC {
        return Ok(Cursor::new(beginning));
    }
    Err(Failure::new(format!("{name} is not an afresh archive"))
        .hint("archives are made by `afresh export FILE`"))
}
