//! Looking up entries by key: one command, which brings when they were used as well. What is damaged is set aside with a
//! warning and is absent from then on: whoever puts it anew finds nothing in the way.
//!
//! The server itself ends what has an end, so nobody need compare its clock with one. How long an entry has left is told by
//! that clock, which is asked along with those that tend to have an end, and afterwards of others.

use std::sync::Arc;

use afresh_core::{Bytes, Entry, Error, Key, Kind, Result, Space};
use redis::{Cmd, Value, cmd};

use crate::entry;
use crate::layout::Layout;
use crate::nodes::Nodes;
use crate::reply::Items;
use crate::scripts::Name;

/// How many entries one command reads.
const STEP: usize = 256;

/// The entries under these keys.
pub(crate) async fn get(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    keys: &[Key],
) -> Result<Vec<Option<Entry>>> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(STEP) {
        let timed = keys.iter().any(|key| matches!(key.space(), Space::Lease | Space::Named));
        if !some(nodes, layout, keys, timed, &mut found).await? {
            some(nodes, layout, keys, true, &mut found).await?;
        }
    }
    Ok(found)
}

/// Adds a few entries to those that were found; none, and `false`, where the clock was not asked and has to be.
async fn some(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    keys: &[Key],
    timed: bool,
    found: &mut Vec<Option<Entry>>,
) -> Result<bool> {
    let mut mget = cmd("MGET");
    for key in keys {
        mget.arg(layout.entry(key)).arg(layout.used(key));
    }
    let (now, mut values) = ask(nodes, &mget, timed).await?;
    let before = found.len();
    for key in keys {
        let (value, used) = (values.optional()?, values.roughly()?);
        let Some(value) = value else {
            found.push(None);
            continue;
        };
        let value = Bytes::from(value);
        if now.is_none() && entry::ends(&value) {
            found.truncate(before);
            return Ok(false);
        }
        found.push(match entry::read(&value, used, now.unwrap_or(0), true) {
            Ok(entry) => entry,
            Err(error) => {
                aside(nodes, layout, key, &value, &error).await?;
                None
            }
        });
    }
    Ok(true)
}

/// The server's time in milliseconds, if asked for, and the values.
async fn ask(nodes: &Arc<Nodes>, mget: &Cmd, timed: bool) -> Result<(Option<i64>, Items)> {
    let answer = nodes
        .run(nodes.records(), true, |node| async move {
            if !timed {
                return mget.query_async::<Value>(&mut node.handle()).await;
            }
            let mut pipe = redis::pipe();
            pipe.cmd("TIME").add_command(mget.clone());
            pipe.query_async(&mut node.handle()).await
        })
        .await?;
    let mut answer = Items::of(answer, "MGET")?;
    if !timed {
        return Ok((None, answer));
    }
    let mut time = answer.array()?;
    Ok((Some(time.number()? * 1000 + time.number()? / 1000), answer.array()?))
}

/// Sets an entry that cannot be read aside, for a person to look at, unless it is another by now. Where the server does not
/// let us, reading it is an error: were it absent, whoever publishes would be refused again and again.
pub(crate) async fn aside(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    key: &Key,
    value: &[u8],
    why: &Error,
) -> Result<()> {
    let done = nodes
        .run(nodes.records(), true, |node| async move {
            let mut call = node.scripts.call(Name::Aside, 3);
            call.arg(layout.entry(key)).arg(layout.aside(key)).arg(layout.used(key)).arg(value);
            call.query_async::<Value>(&mut node.handle()).await
        })
        .await;
    done.map_err(|error| {
        let message = "a stored entry is damaged and cannot be set aside";
        Error::new(Kind::Corrupt, message).with_key(format!("{key:?}")).with_source(error)
    })?;
    tracing::warn!("a stored entry is damaged, set aside and made anew ({key:?}): {why}");
    Ok(())
}
