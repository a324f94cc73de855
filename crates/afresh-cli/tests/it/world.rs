//! A store with a small history, and the command run on it in a world that is the same on every machine.

use std::io::{self, Cursor, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afresh::{
    Argument, Bytes, Cells, CommitId, Engine, Execution, Failure, Fingerprint, Function,
    FunctionId, Inside, Name, ObjectId, Options, Outline, Output, Rows, Tag, Timestamp, Who, fp1,
};
use afresh_cli::{Host, run};
use pollster::block_on;
use tempfile::TempDir;

/// 2026-03-01T12:00:00Z
pub const NOW: i64 = 1_772_366_400_000;

/// A stream that can still be read after it was given away.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a run came to.
pub struct Ran {
    pub code: u8,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

pub struct World {
    pub folder: TempDir,
    /// The commits by the names that stand for them in snapshots.
    pub commits: Vec<(&'static str, CommitId)>,
}

/// One execution to be recorded.
struct Call<'a> {
    function: (&'a str, u8, &'a str),
    arguments: &'a [(&'a str, &'a str, Option<CommitId>)],
    tags: &'a [&'a str],
    ago: Duration,
    took: Duration,
    ttl: Option<Duration>,
    outcome: Result<Output, Failure>,
}

const LOAD: &str = r#"{"components": [
    {"label": "etl.load", "kind": "function", "digest": "01", "file": "etl.py", "line": 3, "source": "def load(path):\n    return read(path)\n"}
]}"#;
const CLEAN: &str = r#"{"components": [
    {"label": "etl.clean", "kind": "function", "digest": "02", "file": "etl.py", "line": 12, "source": "def clean(data, limit):\n    kept = [row for row in data if row]\n    return kept[:limit]\n"},
    {"label": "etl.LIMIT", "kind": "constant", "digest": "03", "file": "etl.py", "line": 1, "preview": "100"},
    {"label": "etl.old", "kind": "function", "digest": "09", "file": "etl.py", "line": 30, "source": "def old(): pass"}
]}"#;
const CLEAN_AGAIN: &str = r#"{"components": [
    {"label": "etl.clean", "kind": "function", "digest": "04", "file": "etl.py", "line": 12, "source": "def clean(data, limit):\n    kept = [row for row in data if row.ok]\n    return kept[:limit]\n"},
    {"label": "etl.LIMIT", "kind": "constant", "digest": "05", "file": "etl.py", "line": 1, "preview": "200"}
]}"#;

pub fn hours(hours: u64) -> Duration {
    Duration::from_secs(3600 * hours)
}

pub fn bytes(codec: &str, bytes: &[u8]) -> Result<Output, Failure> {
    Ok(Output::Bytes { codec: codec.into(), blob: bytes.to_vec().into(), value: None })
}

impl World {
    /// No store yet.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), commits: Vec::new() }
    }

    /// Eight executions of four functions.
    pub fn new() -> Self {
        let mut world = Self::empty();
        let clock = Arc::new(AtomicI64::new(NOW));
        let engine = {
            let clock = Arc::clone(&clock);
            let options = Options {
                who: Who { user: "anna".into(), host: "box".into(), pid: 12 },
                clock: Some(Arc::new(move || {
                    Timestamp::from_millis(clock.load(Ordering::Relaxed))
                })),
                ..Options::default()
            };
            afresh::open(&world.store(), options).unwrap().engine
        };
        let mut record = |name, call: Call<'_>| {
            let id = perform(&engine, &clock, call);
            world.commits.push((name, id));
            id
        };
        let plain = Call {
            function: ("etl.load", 1, LOAD),
            arguments: &[("path", "'a.csv'", None)],
            tags: &["team=data"],
            ago: hours(3),
            took: Duration::from_millis(1200),
            ttl: None,
            outcome: bytes("pickle", b"\x80\x04]\x94(K\x01K\x02K\x03e."),
        };
        let load = record("load", plain);
        let clean = |ago, took, outcome| Call {
            function: ("etl.clean", 2, CLEAN),
            arguments: &[("data", "<list of 3>", None), ("limit", "10", None)],
            tags: &["team=data", "nightly"],
            ago,
            took,
            ttl: Some(hours(24)),
            outcome,
        };
        let sourced = [("data", "<list of 3>", Some(load)), ("limit", "10", None)];
        let first =
            clean(hours(2), Duration::from_micros(850), bytes("json", br#"{"rows":[1,2],"n":2}"#));
        record("clean1", Call { arguments: &sourced, ..first });
        let again =
            clean(hours(1), Duration::from_micros(900), bytes("json", br#"{"rows":[1,2],"n":2}"#));
        record("clean2", Call { arguments: &sourced, ..again });
        let changed = clean(
            Duration::from_secs(300),
            Duration::from_millis(2),
            bytes("json", br#"{"rows":[1,2,3],"n":3}"#),
        );
        record(
            "clean3",
            Call {
                function: ("etl.clean", 3, CLEAN_AGAIN),
                arguments: &[("data", "<list of 3>", Some(load)), ("limit", "12", None)],
                ..changed
            },
        );
        let failure = Failure {
            kind: "ValueError".into(),
            message: "no rows\nat all".into(),
            traceback: "Traceback (most recent call last):\n  File \"report.py\", line 4, in render\nValueError: no rows\nat all\n".into(),
        };
        let report = |ago, outcome| Call {
            function: ("report.render", 4, "{}"),
            arguments: &[(
                "title",
                "'Übersicht \u{1b}[31m日本語の非常に長い題名がここに続きます'",
                None,
            )],
            tags: &[],
            ago: Duration::from_secs(ago),
            took: Duration::from_secs(75),
            ttl: None,
            outcome,
        };
        record("failed", report(60, Err(failure)));
        let unkept = Ok(Output::Unkept { reason: "a lock cannot be pickled".into() });
        record("unkept", report(50, unkept));
        record("arrow", report(40, bytes("arrow", &[7; 1234])));
        let attack = b"cos\nsystem\n(S'echo gotcha'\ntR.";
        record("attack", report(30, bytes("pickle", attack)));
        block_on(engine.flush()).unwrap();
        drop(engine);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn store(&self) -> String {
        self.path("store").to_str().unwrap().to_owned()
    }

    /// One more execution, whose result is a file of its own. Gives the file.
    pub fn add_large(&mut self) -> PathBuf {
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(200_000)
        .collect();
        let engine = afresh::open(&self.store(), Options::default()).unwrap().engine;
        let large = Call {
            function: ("etl.large", 5, "{}"),
            arguments: &[],
            tags: &[],
            ago: Duration::ZERO,
            took: Duration::ZERO,
            ttl: None,
            outcome: bytes("raw", &noise),
        };
        self.commits.push(("large", perform(&engine, &AtomicI64::new(NOW), large)));
        let id = afresh::ObjectId::of(&noise).to_string();
        self.path("store").join("objects-v1").join(&id[..2]).join(&id)
    }

    /// One more execution, of a function whose identity is given.
    pub fn add(&mut self, name: &'static str, function: Function, ago: Duration) {
        let clock = Arc::new(AtomicI64::new(NOW));
        let engine = {
            let clock = Arc::clone(&clock);
            let clock: afresh::Clock =
                Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed)));
            let options = Options { clock: Some(clock), ..Options::default() };
            afresh::open(&self.store(), options).unwrap().engine
        };
        let call = Call {
            function: ("", 0, ""),
            arguments: &[("x", "1", None)],
            tags: &[],
            ago,
            took: Duration::from_secs(41),
            ttl: None,
            outcome: bytes("json", b"4"),
        };
        let id = perform_as(&engine, &clock, Arc::new(function), call, Vec::new());
        self.commits.push((name, id));
    }

    /// Two executions of a function whose argument differs inside.
    pub fn add_outlined(&mut self) {
        let clock = Arc::new(AtomicI64::new(NOW));
        let hands = Arc::clone(&clock);
        let options = Options {
            clock: Some(Arc::new(move || Timestamp::from_millis(hands.load(Ordering::Relaxed)))),
            ..Options::default()
        };
        let engine = afresh::open(&self.store(), options).unwrap().engine;
        for (place, name) in ["inside1", "inside2"].into_iter().enumerate() {
            let number = place as u64;
            let leaf = |preview: String| Outline {
                inside: Inside::Leaf(
                    *ObjectId::of(preview.as_bytes()).as_bytes().first_chunk().unwrap(),
                ),
                preview,
            };
            let hashes = (0..200_u64).map(|row| [0, 0, 0, u8::from(row == 40) * place as u8]);
            let rows = Rows {
                dtype: "f8".into(),
                shape: vec![200],
                cells: Cells::Exact(hashes.collect()),
            };
            let fields = vec![
                (Name::Key("\"depth\"".into()), leaf((3 + number).to_string())),
                (Name::Key("\"\u{1b}\"".into()), leaf(format!("'\u{1b}[31m{number}'"))),
                (
                    Name::Column("\"price\"".into()),
                    Outline { preview: "f8".into(), inside: Inside::Rows(rows) },
                ),
            ];
            let outline = Outline { preview: "{…}".into(), inside: Inside::Fields(fields, None) };
            let call = Call {
                function: ("etl.fit", 6, "{}"),
                arguments: &[("config", ["{1…}", "{2…}"][place], None)],
                tags: &[],
                ago: Duration::from_secs(20 - number),
                took: Duration::ZERO,
                ttl: None,
                outcome: bytes("json", b"1"),
            };
            let id = perform_outlined(
                &engine,
                &clock,
                call,
                vec![(0, outline.encode().unwrap().into())],
            );
            self.commits.push((name, id));
        }
    }

    /// The command line, with `{name}` for the hash of a commit and `@name` for a file.
    pub fn arguments(&self, line: &str) -> Vec<String> {
        let mut arguments = vec!["afresh".to_owned()];
        for word in line.split_whitespace() {
            let mut word = match word.strip_prefix('@') {
                Some(file) => self.path(file).to_str().unwrap().to_owned(),
                None => word.to_owned(),
            };
            for (name, id) in &self.commits {
                word = word.replace(&format!("{{{name}}}"), &id.to_string());
            }
            arguments.push(word);
        }
        arguments
    }

    /// Runs the command in this process.
    pub fn run(&self, line: &str) -> Ran {
        self.run_as(line, |_| {})
    }

    /// Runs the command after the host was changed.
    pub fn run_as(&self, line: &str, change: impl FnOnce(&mut Host)) -> Ran {
        let (stdout, stderr) = (Shared::default(), Shared::default());
        let now = Timestamp::from_millis(NOW);
        let mut host = Host::new(Box::new(stdout.clone()), Box::new(stderr.clone()), now);
        host.environment.url = Some(self.store());
        change(&mut host);
        let code = run(self.arguments(line), host);
        Ran { code, stdout: stdout.bytes(), stderr: stderr.text() }
    }

    /// What a user sees of a run, with names for what differs from run to run.
    pub fn seen(&self, line: &str) -> String {
        self.seen_as(line, |_| {})
    }

    pub fn seen_as(&self, line: &str, change: impl FnOnce(&mut Host)) -> String {
        let ran = self.run_as(line, change);
        let stdout = String::from_utf8(ran.stdout).unwrap();
        let mut seen = format!("exit {}\n", ran.code);
        for (name, text) in [("stdout", stdout), ("stderr", ran.stderr)] {
            if !text.is_empty() {
                seen.push_str(&format!("--- {name}\n{text}"));
            }
        }
        // The argument parser leaves blanks at the ends of lines.
        let lines: Vec<_> = seen.lines().map(str::trim_end).collect();
        self.named(&lines.join("\n"))
    }

    /// Names for hashes and paths. A short hash keeps its width, so that tables keep their shape.
    pub fn named(&self, text: &str) -> String {
        let mut text = text.replace(self.folder.path().to_str().unwrap(), "[DIR]");
        for (name, id) in &self.commits {
            text = text.replace(&id.to_string(), &format!("[{name}]"));
            text = text.replace(&id.short(), &format!("{name:_<12}"));
        }
        text
    }
}

/// Without the figures that depend on what the engine keeps as objects of their own and how the store packs them.
pub fn roughly(seen: &str) -> String {
    let lines = seen.lines().map(|line| {
        let name = line.trim_start();
        if let Some((name, end)) = line
            .split_once(": ")
            .filter(|_| name.starts_with("\"objects\"") || name.starts_with("\"bytes\""))
        {
            return format!("{name}: #{}", if end.ends_with(',') { "," } else { "" });
        }
        let mut words: Vec<&str> = line.split(' ').collect();
        let counted =
            |pair: &[&str]| pair[0].parse::<u64>().is_ok() && pair[1].starts_with("object");
        if let Some(at) = words.windows(2).position(counted) {
            words[at] = "#";
            words[at + 1] = "objects";
            if words.get(at + 2).is_some_and(|word| word.starts_with('(')) {
                words.splice(
                    at + 2..at + 4,
                    [if words[at + 3].ends_with(',') { "(#)," } else { "(#)" }],
                );
            }
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub fn stdin(bytes: Vec<u8>) -> Box<dyn io::Read + Send> {
    Box::new(Cursor::new(bytes))
}

fn perform(engine: &Engine, clock: &AtomicI64, call: Call<'_>) -> CommitId {
    perform_outlined(engine, clock, call, Vec::new())
}

fn perform_outlined(
    engine: &Engine,
    clock: &AtomicI64,
    call: Call<'_>,
    outlines: Vec<(u32, Bytes)>,
) -> CommitId {
    let (name, id, record) = call.function;
    let function = Arc::new(Function::new(name, FunctionId::new([id; 32]), record.to_owned()));
    perform_as(engine, clock, function, call, outlines)
}

fn perform_as(
    engine: &Engine,
    clock: &AtomicI64,
    function: Arc<Function>,
    call: Call<'_>,
    outlines: Vec<(u32, Bytes)>,
) -> CommitId {
    let arguments: Vec<Argument> = call
        .arguments
        .iter()
        .map(|(name, preview, source)| {
            let mut encoder = fp1::Encoder::new();
            encoder.str(preview);
            Argument {
                name: (*name).into(),
                digest: encoder.finish(),
                preview: (*preview).into(),
                source: *source,
            }
        })
        .collect();
    let fingerprint: Fingerprint = Argument::fingerprint(&function.id, &function.name, &arguments);
    let created = NOW - i64::try_from(call.ago.as_millis()).unwrap();
    let took = i64::try_from(call.took.as_millis()).unwrap();
    clock.store(created - took, Ordering::Relaxed);
    block_on(async {
        let ticket = engine.start(&fingerprint).await.unwrap().outlined(outlines);
        clock.store(created, Ordering::Relaxed);
        let execution = Execution {
            function,
            inputs: arguments.iter().filter_map(|argument| argument.source).collect(),
            arguments,
            tags: call.tags.iter().map(|tag| tag.parse::<Tag>().unwrap()).collect(),
            ttl: call.ttl,
            took: Some(call.took),
        };
        let finished = match call.outcome {
            Ok(output) => ticket.finish(execution, output).await.unwrap(),
            Err(failure) => ticket.fail(execution, failure, None).await.unwrap(),
        };
        finished.commit
    })
}
