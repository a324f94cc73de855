//! Objects: each a key of its own, in one of sixteen parts. A part keeps their names in order, when each was last
//! written, and how many bytes there are.
//!
//! Invariant: an object is written and made young in one transaction, and judged and removed in one script: who refers
//! to an old one at that moment keeps it. Bytes are checked against their name when they are read.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Blob, Bytes, Error, Kind, ObjectId, ObjectInfo, Removed, Result, Usage};
use redis::{Cmd, Pipeline, Value, cmd};

use crate::layout::{Layout, PARTS, part_of, slot};
use crate::nodes::{Node, Nodes};
use crate::reply::Items;
use crate::scripts::{Name, Scripts};

/// The largest object: the longest string of Redis.
pub(crate) const LARGEST: u64 = 512 << 20;

/// How many objects one command looks at.
const STEP: usize = 128;

/// A call of the script for the objects of a part, which writes those of `ids`.
fn call(
    scripts: &Scripts,
    layout: &Layout,
    part: u8,
    name: Name,
    step: &str,
    ids: &[ObjectId],
) -> Cmd {
    // What is set aside gets another name.
    let aside = if step == "aside" { ids } else { &[] };
    let mut call = scripts.call(name, 3 + ids.len() + aside.len());
    let prefix = layout.part(part);
    for what in ["b", "i", "a"] {
        call.arg(format!("{prefix}:{what}"));
    }
    for id in ids {
        call.arg(layout.object(id));
    }
    for id in aside {
        call.arg([prefix.as_bytes(), b":q:", &id.as_bytes()[..]].concat());
    }
    call.arg(prefix).arg(step);
    call
}

/// Whether the server takes an object of this size.
pub(crate) fn check(id: &ObjectId, blob: &Blob) -> Result<()> {
    if blob.len() as u64 > LARGEST {
        return Err(Error::new(
            Kind::TooLarge,
            format!("an object of {} bytes; Redis keeps up to {LARGEST}", blob.len()),
        )
        .with_key(id.short()));
    }
    Ok(())
}

/// The commands that write an object, unless it is there, and make it young. They belong into one transaction.
pub(crate) fn add(pipe: &mut Pipeline, node: &Node, layout: &Layout, id: &ObjectId, data: &[u8]) {
    pipe.cmd("SET").arg(layout.object(id)).arg(data).arg("NX").ignore();
    let ids = std::slice::from_ref(id);
    let mut young = call(&node.scripts, layout, part_of(id), Name::Object, "young", ids);
    young.arg(&id.as_bytes()[..]);
    pipe.add_command(young).ignore();
}

pub(crate) async fn write(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    id: &ObjectId,
    blob: &Blob,
) -> Result<()> {
    check(id, blob)?;
    let data = &blob.to_bytes();
    nodes
        .run(slot(layout.part(part_of(id))), false, |node| async move {
            let mut pipe = redis::pipe();
            add(pipe.atomic(), &node, layout, id, data);
            pipe.query_async::<()>(&mut node.handle()).await
        })
        .await
}

pub(crate) async fn read(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    id: &ObjectId,
) -> Result<Option<Bytes>> {
    let mut get = cmd("GET");
    get.arg(layout.object(id));
    let get = &get;
    let found = nodes
        .run(slot(layout.part(part_of(id))), true, |node| async move {
            get.query_async::<Value>(&mut node.handle()).await
        })
        .await?;
    let Some(bytes) = Items::of(Value::Array(vec![found]), "GET")?.optional()? else {
        return Ok(None);
    };
    if ObjectId::of(&bytes) != *id {
        return Err(
            Error::new(Kind::Corrupt, "the object is not what was written").with_key(id.short())
        );
    }
    Ok(Some(bytes.into()))
}

/// Runs the script of a part's objects.
async fn script(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    part: u8,
    step: &str,
    ids: &[ObjectId],
    add: impl Fn(&mut Cmd),
) -> Result<Items> {
    let add = &add;
    let answer = nodes
        .run(slot(layout.part(part)), ids.is_empty(), |node| async move {
            let mut call = call(&node.scripts, layout, part, Name::ObjectFreeing, step, ids);
            add(&mut call);
            call.query_async::<Value>(&mut node.handle()).await
        })
        .await?;
    match answer {
        Value::Array(_) => Items::of(answer, "a look at objects"),
        other => Items::of(Value::Array(vec![other]), "a look at objects"),
    }
}

pub(crate) async fn remove(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    ids: &[ObjectId],
    idle: Duration,
) -> Result<Removed> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut removed = Removed::default();
    for ids in ids.chunk_by(|a, b| part_of(a) == part_of(b)).flat_map(|ids| ids.chunks(STEP)) {
        let Some(part) = ids.first().map(part_of) else { continue };
        let mut answer = script(nodes, layout, part, "remove", ids, |call| {
            call.arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
            for id in ids {
                call.arg(&id.as_bytes()[..]);
            }
        })
        .await?;
        removed.objects += u64::try_from(answer.number()?).unwrap_or(0);
        removed.bytes += u64::try_from(answer.number()?).unwrap_or(0);
    }
    Ok(removed)
}

pub(crate) async fn quarantine(nodes: &Arc<Nodes>, layout: &Layout, id: &ObjectId) -> Result<()> {
    let ids = std::slice::from_ref(id);
    let done = script(nodes, layout, part_of(id), "aside", ids, |call| {
        call.arg(&id.as_bytes()[..]);
    });
    done.await.map(drop)
}

pub(crate) async fn list(
    nodes: &Arc<Nodes>,
    layout: &Layout,
    after: Option<&ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectInfo>> {
    let mut found = Vec::new();
    for part in after.map_or(0, part_of)..PARTS {
        let mut from = match after.filter(|after| part_of(after) == part) {
            Some(after) => [b"(", &after.as_bytes()[..]].concat(),
            None => b"-".to_vec(),
        };
        loop {
            let few = (limit - found.len()).min(STEP);
            if few == 0 {
                return Ok(found);
            }
            let mut answer = script(nodes, layout, part, "list", &[], |call| {
                call.arg(&from[..]).arg(few);
            })
            .await?;
            let (now, last, all) = (answer.number()?, answer.bytes()?, answer.number()? == 1);
            while !answer.is_empty() {
                let id = ObjectId::from_slice(&answer.bytes()?);
                let (len, age) = (u64::try_from(answer.number()?).unwrap_or(0), answer.number()?);
                let idle = Duration::from_millis(u64::try_from(now - age).unwrap_or(0));
                found.extend(id.map(|id| ObjectInfo { id, len, stored: len.max(1), idle }));
            }
            if all {
                break;
            }
            from = [b"(", last.as_slice()].concat();
        }
    }
    Ok(found)
}

/// What an object takes besides its bytes: name and bookkeeping of its key.
const BESIDES: u64 = 128;

/// Adds what is known of objects.
pub(crate) async fn usage(nodes: &Arc<Nodes>, layout: &Layout, usage: &mut Usage) -> Result<()> {
    // In one go, unless they are on several servers.
    let parts: Vec<u8> = (0..PARTS).collect();
    for parts in parts.chunks(if nodes.together() { parts.len() } else { 1 }) {
        let mut pipe = redis::pipe();
        for part in parts {
            let prefix = layout.part(*part);
            let (ids, ages) = (format!("{prefix}:i"), format!("{prefix}:a"));
            pipe.cmd("ZCARD").arg(&ids).cmd("GET").arg(format!("{prefix}:b"));
            for list in [ids, ages] {
                pipe.cmd("MEMORY").arg("USAGE").arg(list).arg("SAMPLES").arg(16);
            }
        }
        // Who may not ask for memory is told all the rest.
        pipe.ignore_errors();
        let pipe = &pipe;
        let slot = slot(parts.first().map_or("", |part| layout.part(*part)));
        let answer =
            nodes
                .run(slot, true, |node| async move {
                    pipe.query_async::<Value>(&mut node.handle()).await
                })
                .await?;
        let mut items = Items::of(answer, "a count of objects")?;
        while !items.is_empty() {
            let mut next = || items.roughly().map(|found| found.map_or(0, i64::cast_unsigned));
            let (objects, bytes, lists) = (next()?, next()?, next()? + next()?);
            usage.inline_objects += objects;
            usage.inline_bytes += bytes;
            usage.disk_bytes += bytes + lists + objects * BESIDES;
        }
    }
    Ok(())
}
