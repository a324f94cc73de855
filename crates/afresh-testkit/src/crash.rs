//! Killing writers at random moments and looking at what is left.
//!
//! The test binary runs itself again as a writer: it commits batches in a loop, each an object, a commit entry
//! that points to it and a head that points to the commit, and reports each on a pipe once it was told that
//! it happened. The parent kills it, and starts the next. Afterwards everything reported must be
//! there, and what was not reported must be there in full or not at all.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use afresh_core::{
    Applied, Batch, Key, NewEntry, ObjectId, ObjectRef, Op, Scan, Space, Store, When,
};
use bytes::Bytes;

const FOLDER: &str = "AFRESH_CRASH_FOLDER";
const WRITER: &str = "AFRESH_CRASH_WRITER";

/// Opens the store under test in a folder.
pub type Open = fn(&Path) -> Arc<dyn Store>;

/// What a drill came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drill {
    /// Processes killed.
    pub kills: usize,
    /// Commits reported by them, all of which were found.
    pub reported: u64,
    /// How long it took.
    pub took: Duration,
}

/// Kills `kills` writers, `side_by_side` at a time. `test` is the full name of the calling test, which is run in
/// the child again and must call this before anything else.
pub fn drill(test: &str, folder: &Path, open: Open, kills: usize, side_by_side: usize) -> Drill {
    if let (Some(folder), Ok(writer)) = (std::env::var_os(FOLDER), std::env::var(WRITER)) {
        write_until_killed(open(Path::new(&folder)).as_ref(), writer.parse().unwrap());
    }
    let started = Instant::now();
    // The folder and the tables exist before the first is killed; creation has a drill of its own.
    drop(open(folder));
    let reported: Vec<(usize, u64)> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..side_by_side)
            .map(|lane| {
                scope.spawn(move || {
                    (lane..kills)
                        .step_by(side_by_side)
                        .map(|writer| (writer, one(test, folder, writer)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let store = open(folder);
    for (writer, count) in &reported {
        verify(store.as_ref(), *writer, *count);
    }
    verify_whole(store.as_ref());
    let total = reported.iter().map(|(_, count)| count).sum();
    Drill { kills: reported.len(), reported: total, took: started.elapsed() }
}

/// Starts a writer, kills it, and says how many commits it reported.
fn one(test: &str, folder: &Path, writer: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(WRITER, writer.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.rsplit("committed ").next().and_then(|n| n.parse().ok()) {
                count = number;
                let _ = send.send(());
            }
        }
        count
    });
    // From the first commit on, a moment that differs from writer to writer.
    let _ = receive.recv_timeout(Duration::from_secs(20));
    std::thread::sleep(Duration::from_micros((writer as u64 * 7919) % 60_000));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn object(writer: usize, number: u64) -> Bytes {
    let seed = format!("{writer}/{number};");
    let len = match number % 20 {
        0 => 200_000,
        1 => 5_000,
        _ => 200,
    };
    seed.bytes().cycle().take(len).collect::<Vec<u8>>().into()
}

fn name(writer: usize, number: u64) -> String {
    format!("{writer:05}/{number:08}")
}

fn keys(writer: usize, number: u64) -> [Key; 2] {
    [Space::Head, Space::Commit].map(|space| Key::new(space, name(writer, number)).unwrap())
}

fn write_until_killed(store: &dyn Store, writer: usize) -> ! {
    let mut out = std::io::stdout();
    for number in 1.. {
        let bytes = object(writer, number);
        let id = ObjectId::of(&bytes);
        let entry = NewEntry {
            object: Some(ObjectRef { id, len: bytes.len() as u64 }),
            ..NewEntry::record(name(writer, number))
        };
        let mut ops: Vec<Op> = keys(writer, number)
            .into_iter()
            .map(|key| Op::Put { key, entry: entry.clone(), when: When::Absent })
            .collect();
        let count = Key::new(Space::Count, writer.to_string()).unwrap();
        ops.push(Op::Add { key: count, by: 1, ttl: None });
        let batch = Batch { objects: vec![(id, bytes.into())], ops };
        let applied = pollster::block_on(store.apply(batch)).unwrap();
        assert!(matches!(applied, Applied::All(_)), "{applied:?}");
        // One write, so that a line is on the pipe or not.
        out.write_all(format!("committed {number}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
    unreachable!("numbers do not end");
}

/// Everything reported is there; of the one after, everything or nothing.
fn verify(store: &dyn Store, writer: usize, reported: u64) {
    let count = Key::new(Space::Count, writer.to_string()).unwrap();
    let counted = pollster::block_on(store.get(&[count])).unwrap()[0]
        .as_ref()
        .map_or(0, |entry| u64::try_from(entry.count().unwrap()).unwrap());
    assert!(counted == reported || counted == reported + 1, "{counted} after {reported}");
    for number in 1..=counted {
        for entry in pollster::block_on(store.get(&keys(writer, number))).unwrap() {
            let entry = entry.unwrap_or_else(|| panic!("lost: {}", name(writer, number)));
            let object = entry.object.unwrap();
            let bytes = pollster::block_on(store.read(&object.id)).unwrap();
            assert_eq!(bytes.map(|bytes| bytes.len() as u64), Some(object.len));
        }
    }
    let beyond = pollster::block_on(store.get(&keys(writer, counted + 1))).unwrap();
    assert!(beyond.iter().all(Option::is_none), "half of a batch");
}

/// Every entry's object can be read, and the counters match the entries.
fn verify_whole(store: &dyn Store) {
    let usage = pollster::block_on(store.usage()).unwrap();
    for space in [Space::Head, Space::Commit] {
        let mut scan = Scan::new(space);
        let mut entries = 0;
        loop {
            let page = pollster::block_on(store.scan(&scan)).unwrap();
            entries += page.entries.len() as u64;
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(usage.entries(space), entries);
    }
}
