//! Edits that look as if nothing of the function had changed: a record is kept, a file is edited, and the plan is asked.
//!
//! The records are what Python writes for these files; `python/tests/identity/test_planned.py` does the same with all of
//! the identity corpus.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named by what they say")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use afresh_core::{Argument, Function, FunctionId, fp1};
use afresh_engine::{Begun, Engine, Execution, Options, Output, Policy};
use afresh_plan::{Planned, Scope, Verdict, plan};
use afresh_pysource::{Source, Style, combine};
use afresh_store_memory::MemoryStore;
use pollster::block_on;
use serde_json::{Value, json};
use tempfile::TempDir;

type Local = [u8; 32];

/// A component: label, kind, digest, what it uses.
struct Row(&'static str, &'static str, Local, Vec<(&'static str, usize)>);

/// The function `main.f` of some files, with an answer.
struct Kept {
    dir: TempDir,
    engine: Engine,
}

fn text(value: &[u8; 32]) -> String {
    FunctionId::new(*value).to_string()
}

fn definition(file: &str, name: &str) -> Local {
    let source = Source::parse(file).unwrap();
    let digest = source.functions(name, &Style::default()).unwrap().remove(0).digest;
    combine("source", [&digest[..]])
}

fn shell(file: &str, name: &str) -> (Local, String) {
    let found = Source::parse(file).unwrap().class(name, None, &Style::default()).unwrap();
    (combine("class-source", [&found.digest[..]]), found.text)
}

fn number(value: i64) -> Local {
    let mut encoder = fp1::Encoder::new();
    encoder.int(value);
    encoder.finish().0
}

fn root(rows: &[Row]) -> Local {
    let parts: Vec<Local> = rows
        .iter()
        .map(|Row(_, kind, digest, uses)| {
            let mut own = vec![digest.to_vec()];
            for (label, used) in uses {
                own.push(label.as_bytes().to_vec());
                own.push(u32::try_from(*used).unwrap().to_le_bytes().to_vec());
            }
            combine(kind, own.iter().map(Vec::as_slice))
        })
        .collect();
    combine("graph", parts.iter().map(|part| &part[..]))
}

/// Writes the files, and keeps an answer of `main.f` with this record. `sources`: the text of components, by label.
fn keep(files: &[(&str, &str)], rows: &[Row], sources: &[(&str, &str)]) -> Kept {
    let dir = TempDir::new().unwrap();
    let mut digests = serde_json::Map::new();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        let digest = Source::parse(content).unwrap().digest(&Style::default()).unwrap();
        digests.insert(path.display().to_string(), json!(text(&digest)));
    }
    let components: Vec<Value> = rows
        .iter()
        .map(|Row(label, kind, digest, uses)| {
            let mut row =
                json!({"label": label, "kind": kind, "digest": text(digest), "uses": uses});
            if matches!(*kind, "function" | "class" | "module") {
                let (_, name) = label.split_once(' ').unwrap();
                let module = if *kind == "module" { name } else { name.split('.').next().unwrap() };
                let file = dir.path().join(format!("{module}.py"));
                let source = sources.iter().find(|(one, _)| one == label).map(|(_, text)| text);
                let fields = row.as_object_mut().unwrap();
                fields.insert("module".into(), json!(module));
                fields.insert("file".into(), json!(file.display().to_string()));
                fields.insert("line".into(), json!(1));
                fields.insert("source".into(), json!(source));
            }
            row
        })
        .collect();
    let id = FunctionId::new(root(rows));
    let record = json!({"format": 1, "name": "main.f", "digest": id.to_string(), "components": components,
        "opaque": [], "files": digests});
    let function = Arc::new(Function::new("main.f", id, record.to_string()));
    let engine = Engine::new(Arc::new(MemoryStore::new()), Options::default());
    let fingerprint = Argument::fingerprint(&function.id, "main.f", &[]);
    let begun = block_on(engine.begin(&fingerprint, &Policy { ttl: None, except: None })).unwrap();
    let Begun::Run(ticket) = begun else { panic!("nothing is kept yet") };
    let execution = Execution {
        function,
        arguments: vec![],
        inputs: vec![],
        tags: vec![],
        ttl: None,
        took: None,
    };
    let output = Output::Bytes { codec: "json".into(), blob: b"1".to_vec().into(), value: None };
    block_on(ticket.finish(execution, output)).unwrap();
    Kept { dir, engine }
}

impl Kept {
    fn planned(&self, file: &str, content: &str) -> Planned {
        fs::write(self.path().join(file), content).unwrap();
        let scope = Scope::of(self.path(), None);
        block_on(plan(&self.engine, &scope)).unwrap().functions.remove(0)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

#[test]
fn a_module_that_is_passed_on_counts_by_what_its_names_lead_to() {
    const MAIN: &str = "import conf\ndef run(m): return m.N\ndef f(): return run(conf)\n";
    const CONF: &str = "from other import N\n";
    let rows = |value: i64| {
        [
            Row(
                "function main.f",
                "function",
                definition(MAIN, "f"),
                vec![("conf", 1), ("run", 2)],
            ),
            Row("module conf", "module", combine("module", []), vec![("N", 3)]),
            Row("helper main.run", "function", definition(MAIN, "run"), vec![]),
            Row("data conf.N", "data", number(value), vec![]),
        ]
    };
    let files = [("main.py", MAIN), ("conf.py", CONF), ("other.py", "N = 1\n")];
    let sources = [
        ("function main.f", "def f(): return run(conf)"),
        ("helper main.run", "def run(m): return m.N"),
    ];
    let kept = keep(&files, &rows(1), &sources);
    assert_eq!(kept.planned("other.py", "N = 1  # one\n").verdict, Verdict::Unchanged);
    let edited = kept.planned("other.py", "N = 2\n");
    assert_eq!(edited.verdict, Verdict::Recompute, "{:?}", edited.untold);
    assert_eq!(edited.digest, Some(FunctionId::new(root(&rows(2)))));
    // One name more is one component more, which is not foretold.
    kept.planned("other.py", "N = 1\n");
    let edited = kept.planned("conf.py", "from other import N\nK = 1\n");
    assert_eq!((edited.verdict, edited.digest), (Verdict::Recompute, None));
}

#[test]
fn what_a_decorator_registers_with_shows_when_it_runs() {
    const MAIN: &str = "import functools\n@functools.singledispatch\ndef h(x): return 0\n\
        def f(): return h(1)\n";
    let library = combine("external", [&b"functools.singledispatch"[..]]);
    let rows = [
        Row("function main.f", "function", definition(MAIN, "f"), vec![("h", 1)]),
        Row("wrapper main.h", "wrapper", library, vec![("library", 2), ("func", 3)]),
        Row("library functools.singledispatch", "external", library, vec![]),
        Row("helper main.h", "function", definition(MAIN, "h"), vec![]),
    ];
    let sources = [
        ("function main.f", "def f(): return h(1)"),
        ("helper main.h", "@functools.singledispatch\ndef h(x): return 0"),
    ];
    let kept = keep(&[("main.py", MAIN)], &rows, &sources);
    assert_eq!(
        kept.planned("main.py", &format!("# untouched\n{MAIN}")).verdict,
        Verdict::Unchanged
    );
    let edited = kept.planned("main.py", &format!("{MAIN}@h.register(int)\ndef _(x): return 1\n"));
    assert_eq!((edited.verdict, edited.digest), (Verdict::CannotTell, None));
    assert!(edited.untold.iter().any(|one| one.contains("`h`")), "{:?}", edited.untold);
}

#[test]
fn attributes_of_a_class_follow_from_literals_and_not_from_helpers() {
    const MAIN: &str = "def h(): return 1\nclass C:\n    n = 1\n    k = h()\ndef f(): return C.n\n";
    let rows = |main: &str, n: i64| {
        [
            Row("function main.f", "function", definition(main, "f"), vec![("C.n", 1)]),
            Row("class main.C", "class", shell(main, "C").0, vec![("h", 2), ("k", 3), ("n", 4)]),
            Row("helper main.h", "function", definition(main, "h"), vec![]),
            Row("data C.k", "data", number(1), vec![]),
            Row("data C.n", "data", number(n), vec![]),
        ]
    };
    let class = shell(MAIN, "C").1;
    let sources = [
        ("function main.f", "def f(): return C.n"),
        ("class main.C", class.as_str()),
        ("helper main.h", "def h(): return 1"),
    ];
    let kept = keep(&[("main.py", MAIN)], &rows(MAIN, 1), &sources);
    let literal = MAIN.replace("n = 1\n", "n = 2\n");
    let edited = kept.planned("main.py", &literal);
    assert_eq!(edited.verdict, Verdict::Recompute, "{:?}", edited.untold);
    assert_eq!(edited.digest, Some(FunctionId::new(root(&rows(&literal, 2)))));
    // `C.k` is another as well, and only running tells which.
    let edited = kept.planned("main.py", &MAIN.replace("return 1", "return 2"));
    assert_eq!((edited.verdict, edited.digest), (Verdict::Recompute, None));
}
