//! `afresh rm HASH...`: forget single executions. All hashes are looked up before any of them goes.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, OK};
use crate::human;
use crate::store::Mode;

const EXAMPLES: &str = "\
Examples:
  afresh rm 3f2a91         forget this execution
  afresh rm 3f2a91 77c0d2  forget both, or neither if one is not there";

/// Forget executions: their records, and their answers where they are the current ones
///
/// The bytes of a result go with the next `afresh gc`, unless another execution gave the same.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// The executions to forget
    #[arg(required = true, value_name = "HASH")]
    hashes: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    removed: Vec<String>,
}

pub(crate) async fn run(options: &Options, cx: &mut Context) -> Result<u8, Failure> {
    let engine = cx.engine(Mode::Existing)?;
    let mut ids = Vec::new();
    for hash in &options.hashes {
        let (id, _) = cx.commit(&engine, hash).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut removed = Vec::new();
    for id in &ids {
        // Somebody else may have been faster.
        if engine.rm(id).await? {
            removed.push(id);
        }
    }
    if cx.json {
        cx.document(&Report { removed: removed.iter().map(ToString::to_string).collect() })?;
    } else {
        cx.note(&format!("forgot {}", human::count(removed.len() as u64, "execution")));
    }
    Ok(OK)
}
