//! No command keeps other clients waiting: whatever the engine does to thousands of answers, each command works on a few
//! dozens of entries. Counted by what the server says it does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh_core::{
    Applied, Argument, Batch, Done, Fingerprint, Function, FunctionId, Key, Labels, NewEntry,
    ObjectId, Op, Scan, Space, Tag, Timestamp, When, fp1,
};
use afresh_engine::{Engine, Execution, GcOptions, Options, Output, Selection};
use afresh_testkit::servers::redis::Redis;
use pollster::block_on;

use crate::{fresh, get, open, own, until};

/// How many entries, and how many places in an index, one command may work on.
const ENTRIES: usize = 140;
const PLACES: usize = 500;

/// Everything that a server does from now on.
struct Monitor {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    fn new(server: &Redis) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let keep = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                keep.lock().unwrap().push(line);
            }
        });
        until("it does not begin", || !lines.lock().unwrap().is_empty());
        Self { lines }
    }

    /// What was done: each command with the commands of its script, as words.
    fn done(&self, server: &Redis) -> Vec<Vec<Vec<String>>> {
        server.cli(&["ECHO", "that-was-all"]);
        let all = || self.lines.lock().unwrap().clone();
        until("it does not end", || all().iter().any(|line| line.contains("that-was-all")));
        let mut done: Vec<Vec<Vec<String>>> = Vec::new();
        for line in all() {
            let Some((from, command)) = line.split_once("] ") else { continue };
            match done.last_mut() {
                Some(last) if from.ends_with("lua") => last.push(words(command)),
                _ => done.push(vec![words(command)]),
            }
        }
        self.lines.lock().unwrap().clear();
        done
    }
}

/// The words of `"ZADD" "a b" "\"c"`.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut within, mut escaped) = (vec![], String::new(), false, false);
    for char in command.chars() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if within => {
                within = false;
                words.push(std::mem::take(&mut word));
            }
            '"' => within = true,
            _ if within => word.push(char),
            _ => {}
        }
    }
    words
}

/// How many entries (or objects) are looked at and how many places are written, at most in one command.
fn most(done: &[Vec<Vec<String>>]) -> (usize, usize) {
    let entries = |word: &[String]| match word[0].as_str() {
        "GET" | "EXISTS" | "GETRANGE" | "MEMORY" => 1,
        "MGET" => (word.len() - 1) / 2,
        _ => 0,
    };
    let places = |word: &[String]| match word[0].as_str() {
        "ZADD" => (word.len() - 2) / 2,
        "ZREM" => word.len() - 2,
        _ => 0,
    };
    let count = |of: &dyn Fn(&[String]) -> usize| {
        done.iter().map(|all| all.iter().map(|word| of(word)).sum::<usize>()).max().unwrap()
    };
    (count(&entries), count(&places))
}

fn call(n: u32) -> (Fingerprint, Execution) {
    let id = FunctionId::new([3; 32]);
    let function = Arc::new(Function::new("f", id, "{}".to_owned()));
    let mut encoder = fp1::Encoder::new();
    encoder.int(i64::from(n));
    let digest = encoder.finish();
    let arguments = vec![Argument { name: "n".into(), digest, preview: "1".into(), source: None }];
    let print = Argument::fingerprint(&id, "f", &arguments);
    let tags = vec![Tag::new("day", Some("7".to_owned())).unwrap()];
    let execution = Execution { function, arguments, inputs: vec![], tags, ttl: None, took: None };
    (print, execution)
}

#[test]
fn no_command_works_on_many_entries() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let engine = Engine::new(open(&address), Options::default());
    let monitor = Monitor::new(&server);
    let fill = || {
        for n in 0..200 {
            let (print, execution) = call(n);
            let blob = format!("{n:0300}").into_bytes().into();
            let output = Output::Bytes { codec: "json".into(), blob, value: None };
            let ticket = block_on(engine.start(&print)).unwrap();
            assert!(block_on(ticket.finish(execution, output)).unwrap().published);
        }
    };
    let within = |what: &str, least: usize| {
        let done = monitor.done(&server);
        let (entries, places) = most(&done);
        assert!(entries <= ENTRIES, "{what}: {entries} entries in a command");
        assert!(places <= PLACES, "{what}: {places} places in a command");
        assert!(entries.max(places) >= least, "{what}: {entries} and {places}: nothing was seen");
    };
    fill();
    within("recording", 10);
    let tags = vec![Tag::new("day", None).unwrap()];
    let taken = block_on(engine.invalidate(&Selection { tags, function: None })).unwrap();
    assert_eq!(taken, 200);
    within("an invalidation", 60);
    fill();
    monitor.done(&server);
    let all = GcOptions { older_than: Some(Duration::ZERO), ..GcOptions::default() };
    std::thread::sleep(Duration::from_millis(5));
    let page = block_on(engine.store().scan(&Scan::new(Space::Commit))).unwrap();
    assert_eq!((page.entries.len(), page.next), (400, None), "of several looks at the index");
    let report = block_on(engine.gc(&all)).unwrap();
    assert_eq!((report.commits, report.heads), (400, 200));
    assert_eq!(report.objects, 201);
    within("gc", 60);
    fill();
    monitor.done(&server);
    block_on(engine.stats()).unwrap();
    within("stats", 16);
    let index = format!("{{{}:1}}:i:c", address.split("prefix=").nth(1).unwrap());
    assert_eq!(server.cli(&["DEL", &index]), "1");
    let found = block_on(engine.store().scan(&Scan::new(Space::Commit))).unwrap();
    assert_eq!(found.entries.len(), 200);
    within("a lost index", 60);
    block_on(engine.clear()).unwrap();
    within("clear", 60);
}

fn touch(key: &Key) -> Op {
    Op::Touch { key: key.clone(), ago: Duration::ZERO }
}

#[test]
fn many_uses_are_written_down_apart() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()));
    let head = |n: u32| Key::head(&Fingerprint::new(*ObjectId::of(&n.to_be_bytes()).as_bytes()));
    let put = |key: Key, when| Op::Put { key, entry: NewEntry::record("x"), when };
    for some in (0..300).collect::<Vec<u32>>().chunks(50) {
        let ops = some.iter().map(|n| put(head(*n), When::Absent)).collect();
        block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    }
    let first: Vec<Timestamp> =
        (0..300).map(|n| get(store.as_ref(), &head(n)).unwrap().used).collect();
    std::thread::sleep(Duration::from_millis(20));
    let monitor = Monitor::new(&server);
    // One of them is not there, and something that counts stands before and behind.
    let mut ops = vec![put(Key::count("a"), When::Absent)];
    ops.extend((0..301).map(|n| touch(&head(n))));
    ops.push(put(Key::count("b"), When::Absent));
    let apply = |ops: Vec<Op>| block_on(store.apply(Batch { objects: vec![], ops })).unwrap();
    let Applied::All(done) = apply(ops.clone()) else { panic!("refused") };
    assert_eq!(done.len(), 303);
    assert!(done[0].version < done[302].version);
    assert_eq!(done[301], Done { version: None, count: None });
    let (entries, _) = most(&monitor.done(&server));
    assert!((60..=ENTRIES).contains(&entries), "{entries}");
    for n in 0..300 {
        assert!(get(store.as_ref(), &head(n)).unwrap().used > first[n as usize], "{n}");
    }
    // What is refused is so by its place among all.
    ops.remove(0);
    let found = done[302].version;
    assert_eq!(apply(ops), Applied::Refused { index: 301, found });
}

#[test]
fn an_empty_server_need_not_be_gone_through() {
    let Some(server) = own(&[]) else { return };
    let address = fresh(&server.url());
    let store = open(&address);
    let bytes = afresh_core::Bytes::from_static(b"the first thing is an object");
    let id = ObjectId::of(&bytes);
    let labels = Labels { function: Some("f".to_owned()), ..Labels::default() };
    let entry = NewEntry { labels, ..NewEntry::record("x") };
    let put = Op::Put { key: Key::count("n"), entry, when: When::Always };
    block_on(store.apply(Batch { objects: vec![(id, bytes.into())], ops: vec![put] })).unwrap();
    let monitor = Monitor::new(&server);
    let page = block_on(store.scan(&Scan::new(Space::Count))).unwrap();
    assert_eq!(page.entries.len(), 1);
    let mut names = BTreeMap::new();
    for command in monitor.done(&server) {
        *names.entry(command[0][0].clone()).or_insert(0) += 1;
    }
    assert!(names.contains_key("EVALSHA") && !names.contains_key("SCAN"), "{names:?}");
}

#[test]
fn usage_tells_bytes() {
    let Some(server) = own(&[]) else { return };
    let store = open(&fresh(&server.url()));
    assert_eq!(block_on(store.usage()).unwrap().disk_bytes, 0);
    let memory = || -> u64 {
        let info = server.cli(&["INFO", "memory"]);
        let line = info.lines().find(|line| line.starts_with("used_memory:")).unwrap();
        line.trim().split(':').nth(1).unwrap().parse().unwrap()
    };
    let before = memory();
    for some in (0..2000u32).collect::<Vec<_>>().chunks(50) {
        let ops = some.iter().map(|n| {
            let labels = Labels { function: Some("f".to_owned()), ..Labels::default() };
            let key = Key::new(Space::Commit, ObjectId::of(&n.to_be_bytes()).as_bytes().to_vec());
            let entry = NewEntry { labels, ..NewEntry::record(vec![1; 300]) };
            Op::Put { key: key.unwrap(), entry, when: When::Always }
        });
        let objects = some.iter().map(|n| {
            let bytes = vec![*n as u8; 1000 + *n as usize];
            (ObjectId::of(&bytes), bytes.into())
        });
        let batch = Batch { objects: objects.collect(), ops: ops.collect() };
        block_on(store.apply(batch)).unwrap();
    }
    let usage = block_on(store.usage()).unwrap();
    assert_eq!((usage.entries(Space::Commit), usage.inline_objects), (2000, 2000));
    let took = memory() - before;
    let off = usage.disk_bytes.abs_diff(took) as f64 / took as f64;
    assert!(off < 0.25, "{} told, {took} taken", usage.disk_bytes);
}
