//! However much there is and however much is asked for, no statement is given many keys or brings many rows: what runs
//! beside it is never kept waiting for long.

use std::fmt::Debug;
use std::sync::{Mutex, Once};
use std::time::Duration;

use afresh_core::{Applied, Batch, Key, Labels, NewEntry, ObjectId, Op, Scan, Space, Tag, When};
use pollster::block_on;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{KINDS, at, prefix, shared};

/// More than one step of every operation.
const ENTRIES: u32 = 6000;

/// What one statement was given and brought.
#[derive(Default)]
struct Ran {
    given: u64,
    rows: u64,
    text: String,
}

static RAN: Mutex<Vec<Ran>> = Mutex::new(Vec::new());

impl Visit for Ran {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "given" => self.given = value,
            "rows" => self.rows = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "text" {
            self.text = value.to_owned();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::TRACE && metadata.target() == "afresh_store_sql::database"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut ran = Ran::default();
        event.record(&mut ran);
        RAN.lock().unwrap().push(ran);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Listener).unwrap());
}

/// Takes what ran on tables that begin so.
fn ran(prefix: &str) -> Vec<Ran> {
    let mut all = RAN.lock().unwrap();
    let (ours, others) = all.drain(..).partition(|ran| ran.text.contains(prefix));
    *all = others;
    ours
}

fn key(n: u32) -> Key {
    Key::new(Space::Commit, ObjectId::of(&n.to_be_bytes()).as_bytes().to_vec()).unwrap()
}

fn object(n: u32) -> Vec<u8> {
    [&n.to_be_bytes()[..], b"object"].concat()
}

#[test]
fn no_statement_is_about_many_rows() {
    listen();
    for kind in KINDS {
        let Some(server) = shared(kind) else { continue };
        let prefix = format!("{}_", prefix());
        let store = at(&server, &prefix, None);
        let apply = |batch: Batch| {
            let applied = block_on(store.apply(batch)).unwrap();
            assert!(matches!(applied, Applied::All(_)), "{applied:?}");
        };
        let tags = vec![Tag::new("day", Some("monday".to_owned())).unwrap()];
        let labels = Labels { tags: tags.clone(), ..Labels::default() };
        let all: Vec<u32> = (0..ENTRIES).collect();
        for some in all.chunks(500) {
            let put = |n: &u32| Op::Put {
                key: key(*n),
                entry: NewEntry { labels: labels.clone(), ..NewEntry::record("x") },
                when: When::Always,
            };
            let bytes = |n: &u32| (ObjectId::of(&object(*n)), object(*n).into());
            let objects = some.iter().take(100).map(bytes).collect();
            apply(Batch { objects, ops: some.iter().map(put).collect() });
        }
        let usage = block_on(store.usage()).unwrap();
        assert_eq!(usage.entries(Space::Commit), u64::from(ENTRIES));
        assert_eq!(usage.inline_objects, 1200);
        assert_eq!(usage.inline_bytes, 12_000);

        let mut scan = Scan { limit: usize::MAX, tags, ..Scan::new(Space::Commit) };
        let mut found = 0;
        loop {
            let page = block_on(store.scan(&scan)).unwrap();
            found += page.entries.len();
            match page.next {
                Some(next) => scan.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(found, all.len());
        let keys: Vec<Key> = all.iter().map(|n| key(*n)).collect();
        assert!(block_on(store.get(&keys)).unwrap().iter().all(Option::is_some));
        let (mut ids, mut last) = (Vec::new(), None);
        loop {
            let page = block_on(store.list(last.as_ref(), usize::MAX)).unwrap();
            ids.extend(page.iter().map(|info| info.id));
            match page.last() {
                Some(info) => last = Some(info.id),
                None => break,
            }
        }
        assert_eq!(ids.len(), 1200);
        let delete = |key: &Key| Op::Delete { key: key.clone(), when: When::Always };
        for some in keys.chunks(500) {
            apply(Batch { objects: Vec::new(), ops: some.iter().map(delete).collect() });
        }
        assert_eq!(block_on(store.remove(&ids, Duration::ZERO)).unwrap().objects, 1200);

        let ran = ran(&prefix);
        assert!(ran.len() > 10_000, "{} statements", ran.len());
        for Ran { given, rows, text } in &ran {
            assert!(*given <= 500, "{given} values: {text}");
            assert!(*rows <= 1001, "{rows} rows: {text}");
            if text.contains("COUNT(") {
                assert!(text.contains("WHERE id >= ?"), "everything is counted at once: {text}");
            }
        }
        let steps = ran.iter().filter(|ran| ran.text.contains("OFFSET")).count();
        assert!(steps > 5 + 2, "{steps} steps");
    }
}
