//! Entries that somebody wrote over: absent, with one warning each, set aside, and made anew like any other.

use afresh_core::{Applied, Batch, Key, Labels, NewEntry, Op, Order, Scan, Space, Tag, When};
use afresh_engine::{Begun, Engine, Options, Output, Policy};
use afresh_testkit::servers::redis::Redis;
use pollster::block_on;

use crate::{call, fresh, get, log, one, open, own, put};

const SPACES: [(Space, &str); 5] = [
    (Space::Head, "h"),
    (Space::Commit, "c"),
    (Space::Lease, "l"),
    (Space::Count, "n"),
    (Space::Named, "v"),
];

/// Ways of writing over an entry; the last ones leave what the server's scripts look at as it was.
const WAYS: [&str; 6] = ["garbage", "empty", "list", "short", "entry", "long"];

fn damage(server: &Redis, name: &[u8], way: &str) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut value: Vec<u8> =
        redis::cmd("GET").arg(name).query::<Option<_>>(&mut connection).unwrap().unwrap();
    match way {
        "garbage" => value = b"\x01 what somebody else thought was his".to_vec(),
        "empty" => value.clear(),
        "short" => value.truncate(value.len() - 3),
        // The first byte of the entry itself: a format that nobody knows.
        "entry" => {
            let terms = usize::from(u16::from_be_bytes([value[50], value[51]]));
            value[52 + 8 * terms + 4] = 0xee;
        }
        _ => value.extend_from_slice(b"more"),
    }
    redis::cmd("DEL").arg(name).exec(&mut connection).unwrap();
    let command = if way == "list" { "LPUSH" } else { "SET" };
    redis::cmd(command).arg(name).arg(value).exec(&mut connection).unwrap();
}

fn prefix(address: &str) -> &str {
    address.split("prefix=").nth(1).unwrap()
}

/// Where an entry is, in the store with this prefix.
pub(crate) fn name(prefix: &str, key: &Key) -> Vec<u8> {
    let (_, letter) = SPACES.iter().find(|(space, _)| *space == key.space()).unwrap();
    [format!("{{{prefix}:1}}:{letter}:").as_bytes(), key.bytes()].concat()
}

fn labelled(key: &Key, when: When) -> Op {
    let tags = vec![Tag::new("t", Some("1".to_owned())).unwrap()];
    let labels = Labels { tags, function: Some("f".to_owned()), ..Labels::default() };
    Op::Put { key: key.clone(), entry: NewEntry { labels, ..NewEntry::record("x") }, when }
}

#[test]
fn a_damaged_entry_is_absent_and_made_anew() {
    let Some(server) = own(&[]) else { return };
    log::listen();
    let address = fresh(&server.url());
    let store = open(&address);
    for (space, _) in SPACES {
        for way in WAYS {
            // Once looked at first, once written to at once.
            for looked in [true, false] {
                let key = Key::new(space, format!("one-{way}-{looked}")).unwrap();
                let before = one(store.as_ref(), labelled(&key, When::Absent)).version;
                damage(&server, &name(prefix(&address), &key), way);
                let what = format!("{space:?} {way} {looked}");
                if looked {
                    assert_eq!(get(store.as_ref(), &key), None, "{what}");
                    assert_eq!(get(store.as_ref(), &key), None, "{what}");
                    // What is no string looks to MGET as if nothing were there.
                    let warned = log::warnings(&format!("({key:?})"));
                    assert_eq!(warned, usize::from(way != "list"), "{what}");
                    let put = one(store.as_ref(), labelled(&key, When::Absent));
                    assert!(put.version > before, "{what}");
                } else {
                    put(store.as_ref(), &key, "anew");
                }
                assert!(get(store.as_ref(), &key).is_some(), "{what}");
            }
        }
    }
    let kept = server.cli(&["--scan", "--pattern", "*}:q:h:one-garbage-*"]);
    assert!(kept.contains("garbage-true"), "it is there for a person to look at: {kept}");
}

#[test]
fn what_is_not_looked_at_first_is_in_nobodys_way() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let store = open(&address);
    for way in ["garbage", "empty", "list", "short"] {
        let key = Key::count("epoch");
        put(store.as_ref(), &key, "x");
        damage(&server, &name(prefix(&address), &key), way);
        // As a process does that knows nothing of it: conditions find nothing there, and a counter begins anew.
        let check = Op::Check { key: key.clone(), when: When::Absent };
        one(store.as_ref(), check);
        let done = one(store.as_ref(), Op::Add { key: key.clone(), by: 5, ttl: None });
        assert_eq!(done.count, Some(5), "{way}");
        one(store.as_ref(), Op::Touch { key: key.clone(), ago: std::time::Duration::ZERO });
    }
}

#[test]
fn scans_pass_over_damage() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let store = open(&address);
    let tag = Tag::new("t", None).unwrap();
    let keys: Vec<Key> =
        (0..WAYS.len() * 2).map(|n| Key::new(Space::Commit, format!("{n:02}")).unwrap()).collect();
    let check = |what: &str| {
        for order in [Order::Key, Order::Newest] {
            let scan = Scan { tags: vec![tag.clone()], order, ..Scan::new(Space::Commit) };
            let page = block_on(store.scan(&scan)).unwrap();
            assert_eq!(page.entries.len(), WAYS.len(), "{what} {order:?}");
        }
    };
    for lost in [false, true] {
        for key in &keys {
            one(store.as_ref(), labelled(key, When::Always));
        }
        for (key, way) in keys.iter().step_by(2).zip(WAYS) {
            damage(&server, &name(prefix(&address), key), way);
        }
        if lost {
            let prefix = prefix(&address);
            assert_eq!(server.cli(&["DEL", &format!("{{{prefix}:1}}:i:c")]), "1");
        }
        check(if lost { "anew" } else { "as it was" });
    }
}

/// Runs the call, and expects that what it gives becomes the answer.
fn run(engine: &Engine, what: &str) -> Key {
    let (print, execution) = call();
    let mut begun = block_on(engine.begin(&print, &Policy::default())).unwrap();
    // A lease that only looks whole is noticed by whoever waits for it.
    while let Begun::Busy(busy) = begun {
        block_on(busy.wait());
        begun = block_on(engine.resume(busy, &Policy::default())).unwrap();
    }
    let Begun::Run(ticket) = begun else { panic!("{what}: {begun:?}") };
    let output = Output::Bytes { codec: "json".into(), blob: b"1".to_vec().into(), value: None };
    let finished = block_on(ticket.finish(execution, output)).unwrap();
    assert!(finished.published, "{what}");
    assert!(block_on(engine.lookup(&print, &Policy::default())).unwrap().is_some(), "{what}");
    Key::commit(&finished.commit)
}

#[test]
fn a_call_heals_what_is_damaged() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let engine = Engine::new(open(&address), Options::default());
    let (print, _) = call();
    let head = Key::head(&print);
    let mut commit = run(&engine, "nothing is damaged");
    for way in WAYS {
        damage(&server, &name(prefix(&address), &head), way);
        damage(&server, &name(prefix(&address), &commit), way);
        for count in ["epoch", "sweep"] {
            damage(&server, &name(prefix(&address), &Key::count(count)), way);
        }
        let lease = Key::lease(&print);
        one(engine.store().as_ref(), labelled(&lease, When::Always));
        damage(&server, &name(prefix(&address), &lease), way);
        run(&engine, way);
        assert_eq!(get(engine.store().as_ref(), &lease), None, "{way}: the lease was given back");
        // The server's counters are damaged while the call is computed: it is recorded, and the next one is the answer.
        block_on(engine.forget(&print)).unwrap();
        let ticket = match block_on(engine.begin(&print, &Policy::default())).unwrap() {
            Begun::Run(ticket) => ticket,
            other => panic!("{way}: {other:?}"),
        };
        damage(&server, &name(prefix(&address), &Key::count("epoch")), way);
        damage(&server, &name(prefix(&address), &Key::count("sweep")), way);
        let output =
            Output::Bytes { codec: "json".into(), blob: b"1".to_vec().into(), value: None };
        block_on(ticket.finish(call().1, output)).unwrap();
        block_on(engine.forget(&print)).unwrap();
        commit = run(&engine, way);
    }
    block_on(engine.gc(&afresh_engine::GcOptions::default())).unwrap();
    assert!(
        block_on(engine.show(&afresh_core::CommitId::from_slice(commit.bytes()).unwrap()))
            .unwrap()
            .is_some()
    );
}

#[test]
fn where_nothing_can_be_set_aside_it_is_said() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let (store, key) = (open(&address), Key::count("k"));
    put(store.as_ref(), &key, "x");
    damage(&server, &name(prefix(&address), &key), "garbage");
    server.cli(&["ACL", "SETUSER", "default", "-rename"]);
    let error = block_on(store.get(std::slice::from_ref(&key))).unwrap_err();
    assert!(error.message().contains("cannot be set aside"), "{error:?}");
    let put = Op::Put { key, entry: NewEntry::record("y"), when: When::Absent };
    let applied = block_on(store.apply(Batch { objects: vec![], ops: vec![put] })).unwrap();
    assert!(matches!(applied, Applied::All(_)));
}
