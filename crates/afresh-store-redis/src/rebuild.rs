//! Makes the indexes anew from the entries themselves: after a server has evicted an index, and at the first scan of a
//! store that was begun among other keys. Without this, an invalidation by tag would miss answers that are still there.
//!
//! Invariant: the indexes count as whole only if one walk over all keys was made from beginning to end while nothing
//! of them was lost. Of several who begin at once one does it and the others wait. Entries put meanwhile are entered by
//! whoever puts them. Each command looks at a few hundred keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use afresh_core::{Error, Kind, ObjectId, Result};
use redis::{Value, cmd};
use tokio::time::sleep;

use crate::layout::Layout;
use crate::nodes::Nodes;
use crate::reply::Items;
use crate::scripts::Name;

/// How many keys one command looks at.
const STEP: usize = 256;

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
        match step(nodes, layout, "begin", who, &[]).await? {
            1 if walk(nodes, layout, who).await? => return Ok(()),
            2 => return Ok(()),
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
    Err(Error::new(Kind::Unavailable, "the indexes are being made anew"))
}

/// Enters all entries. Whether the indexes are whole now.
async fn walk(nodes: &Arc<Nodes>, layout: &Layout, who: &str) -> Result<bool> {
    let mut cursor = b"0".to_vec();
    let mut names: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor[..]).arg("MATCH").arg(format!("{}:*", layout.records));
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
            if layout.key(&name).is_some() {
                names.push(name);
            }
        }
        let last = cursor == b"0";
        if names.len() >= STEP || last {
            for some in names.chunks(STEP) {
                if step(nodes, layout, "enter", who, some).await? != 1 {
                    return Ok(false);
                }
            }
            names.clear();
        }
        if last {
            return Ok(step(nodes, layout, "end", who, &[]).await? == 1);
        }
    }
}

async fn step(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    step: &str,
    who: &str,
    names: &[Vec<u8>],
) -> Result<i64> {
    nodes
        .run(nodes.records(), true, |node| async move {
            let mut call = node.scripts.call(Name::Rebuild, 1);
            call.arg(layout.meta()).arg(layout.records.as_str()).arg(step).arg(who);
            for name in names {
                call.arg(&name[..]);
            }
            call.query_async::<i64>(&mut node.handle()).await
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
