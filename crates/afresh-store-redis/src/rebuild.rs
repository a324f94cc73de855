//! Makes the indexes anew from the entries themselves: after a server has evicted an index, and at the first scan of a
//! store that was begun among other keys. Without this, an invalidation by tag would miss answers that are still there.
//!
//! Invariant: the indexes count as whole only if one walk over all keys was made from beginning to end while nothing
//! of them was lost; only the spaces whose index is lost are gone through. Of several who begin at once one does it and the others wait. Entries put meanwhile are entered by
//! whoever puts them. Each command looks at a few hundred keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use afresh_core::{Error, Kind, ObjectId, Result};
use redis::{Value, cmd};
use tokio::time::sleep;

use crate::layout::{Layout, letter, space};
use crate::nodes::Nodes;
use crate::reply::Items;
use crate::scripts::Name;

/// How many keys one command looks at.
const STEP: usize = 256;

/// How many entries one command enters: each takes some ten places in a large sorted set.
const ENTERED: usize = 16;

/// How often to begin, or to look whether another is done.
const ROUNDS: u32 = 400;

/// Returns when all indexes are whole. Whoever does not wait so long does not keep them from being made.
pub(crate) async fn rebuild(nodes: &Arc<Nodes>, layout: &Layout) -> Result<()> {
    let (nodes, layout) = (Arc::clone(nodes), layout.clone());
    let made = tokio::spawn(async move { make(&nodes, &layout).await });
    made.await.unwrap_or_else(|error| {
        Err(Error::new(Kind::Unavailable, "the indexes were not made").with_source(error))
    })
}

async fn make(nodes: &Arc<Nodes>, layout: &Layout) -> Result<()> {
    let who = &token();
    for _ in 0..ROUNDS {
        let mut answer = Items::of(step(nodes, layout, "begin", who, &[]).await?, "a beginning")?;
        let (state, lost) = (answer.number()?, answer.bytes()?);
        match state {
            1 if walk(nodes, layout, who, &lost).await? => return Ok(()),
            2 => return Ok(()),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
    Err(Error::new(Kind::Unavailable, "the indexes are being made anew"))
}

/// Enters all entries of the spaces with these letters. Whether the indexes are whole now.
async fn walk(nodes: &Arc<Nodes>, layout: &Layout, who: &str, lost: &[u8]) -> Result<bool> {
    let one = match lost {
        [letter] => space(*letter),
        _ => None,
    };
    let pattern = match one {
        Some(space) => format!("{}*", layout.space(space)),
        None => format!("{}:*", layout.records),
    };
    let mut cursor = b"0".to_vec();
    let mut names: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor[..]).arg("MATCH").arg(&pattern);
        scan.arg("COUNT").arg(STEP);
        let scan = &scan;
        let answer = nodes
            .run(nodes.records(), true, |node| async move {
                scan.query_async::<Value>(&mut node.handle()).await
            })
            .await?;
        let mut answer = Items::of(answer, "SCAN")?;
        cursor = answer.bytes()?;
        let mut found = answer.array()?;
        while !found.is_empty() {
            let name = found.bytes()?;
            if layout
                .key(&name)
                .is_some_and(|(of, _)| letter(of).bytes().all(|byte| lost.contains(&byte)))
            {
                names.push(name);
            }
        }
        let last = cursor == b"0";
        if names.len() >= STEP || last {
            for some in names.chunks(ENTERED) {
                if step(nodes, layout, "enter", who, some).await? != Value::Int(1) {
                    return Ok(false);
                }
            }
            names.clear();
        }
        if last {
            return Ok(step(nodes, layout, "end", who, &[]).await? == Value::Int(1));
        }
    }
}

async fn step(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    step: &str,
    who: &str,
    names: &[Vec<u8>],
) -> Result<Value> {
    nodes
        .run(nodes.records(), true, |node| async move {
            let mut call = node.scripts.call(Name::Rebuild, 1);
            call.arg(layout.meta()).arg(layout.records.as_str()).arg(step).arg(who);
            for name in names {
                call.arg(&name[..]);
            }
            call.query_async::<Value>(&mut node.handle()).await
        })
        .await
}

/// What nobody else calls himself.
fn token() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let text = format!("{} {number} {} {:p}", std::process::id(), now.as_nanos(), &raw const NEXT);
    ObjectId::of(text.as_bytes()).short()
}
