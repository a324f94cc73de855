//! `plan` and `accept` on a Python file that is edited.

use std::fs;

use afresh::{Function, FunctionId, Who};
use afresh_cli::Host;
use afresh_pysource::{Source, Style, combine};

use crate::world::{World, hours};

const TEXT: &str = "RATE = 2\n\n\ndef square(x):\n    return x * x * RATE\n";

/// What Python keeps of `etl.square` of such a file.
fn function(world: &World, text: &str, rate: i64) -> Function {
    let source = Source::parse(text).unwrap();
    let found = source.functions("square", &Style::default()).unwrap().remove(0);
    let mut encoder = afresh::fp1::Encoder::new();
    encoder.int(rate);
    let (own, data) = (combine("source", [&found.digest[..]]), encoder.finish().0);
    let parts = [
        combine("function", [&own[..], b"RATE", &1u32.to_le_bytes()]),
        combine("data", [&data[..]]),
    ];
    let id = FunctionId::new(combine("graph", parts.iter().map(|part| &part[..])));
    let file = world.path("etl.py");
    let hexadecimal = |bytes: [u8; 32]| FunctionId::new(bytes).to_string();
    let record = serde_json::json!({
        "format": 1, "name": "etl.square", "digest": id.to_string(), "opaque": [],
        "files": {file.to_str().unwrap(): hexadecimal(source.digest(&Style::default()).unwrap())},
        "components": [
            {"label": "function etl.square", "kind": "function", "digest": hexadecimal(own), "module": "etl",
             "file": file, "line": found.first_line, "source": found.text, "uses": [["RATE", 1]]},
            {"label": "data RATE", "kind": "data", "digest": hexadecimal(data), "uses": [], "preview": rate.to_string()},
        ],
    });
    Function::new("etl.square", id, record.to_string())
}

/// A store in which `etl.square` has run, and its file.
fn world() -> World {
    let mut world = World::empty();
    fs::write(world.path("etl.py"), TEXT).unwrap();
    let square = function(&world, TEXT, 2);
    world.add("before", square, hours(5));
    world
}

fn at(world: &World) -> impl Fn(&mut Host) {
    let folder = world.folder.path().to_owned();
    move |host| {
        host.folder.clone_from(&folder);
        host.who = Who { user: "ben".into(), host: "desk".into(), pid: 7 };
        host.width = Some(110);
    }
}

fn edit(world: &World, old: &str, new: &str) -> String {
    let text = TEXT.replace(old, new);
    fs::write(world.path("etl.py"), &text).unwrap();
    text
}

#[test]
fn plan_says_what_an_edit_costs() {
    let world = world();
    insta::assert_snapshot!(world.seen_as("plan", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict    answers  took
    etl.square  unchanged        1  41 s
    --- stderr
    edits invalidate none of 1 function
    ");
    edit(&world, "x * x * RATE", "x ** 2 * RATE");
    insta::assert_snapshot!(world.seen_as("plan -v", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict         answers  took  why
    etl.square  will recompute        1  41 s  function `etl.square` changed (etl.py:4)

    etl.square  will recompute
      function `etl.square` changed (etl.py:4)
    --- a/function etl.square
    +++ b/function etl.square
    @@ -1,2 +1,2 @@
     def square(x):
    -    return x * x * RATE
    +    return x ** 2 * RATE
    --- stderr
    edits invalidate 1 of 1 function: 1 answer, which took 41 s
    ");
    edit(&world, "RATE = 2", "RATE = 3");
    insta::assert_snapshot!(world.seen_as("plan etl -v", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict         answers  took  why
    etl.square  will recompute        1  41 s  data `RATE` changed (etl.py:1)

    etl.square  will recompute
      data `RATE` changed (etl.py:1)
        2 → 3
    --- stderr
    edits invalidate 1 of 1 function: 1 answer, which took 41 s
    ");
    edit(&world, "RATE = 2", "RATE = rates()[0]");
    insta::assert_snapshot!(world.seen_as("plan @etl.py -v", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict      answers  took  why
    etl.square  cannot tell        1  41 s  `RATE` is computed when the program runs (etl.py:1)

    etl.square  cannot tell
      cannot tell: `RATE` is computed when the program runs (etl.py:1)
    --- stderr
    edits invalidate none of 1 function; 1 cannot be told
    ");
    edit(&world, "def square", "def cube");
    insta::assert_snapshot!(world.seen_as("plan", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict  answers  took  why
    etl.square  gone           1  41 s  function `etl.square`: it is no longer defined (etl.py:4)
    --- stderr
    edits invalidate 1 of 1 function: 1 answer, which took 41 s
    ");
    insta::assert_snapshot!(world.seen_as("plan elsewhere", at(&world)), @r"
    exit 1
    --- stderr
    error: `elsewhere` is no file, no folder, and no module of a function on record
    hint: `afresh plan` without it looks at every function on record
    ");
}

#[test]
fn plan_tells_programs_everything() {
    let world = world();
    edit(&world, "RATE = 2", "RATE = 3");
    insta::assert_snapshot!(world.seen_as("plan --json", at(&world)), @r#"
    exit 0
    --- stdout
    {
      "functions": [
        {
          "function": "etl.square",
          "place": "etl.py:4",
          "verdict": "recompute",
          "answers": 1,
          "took_us": 41000000,
          "found_again": 0,
          "changes": [
            {
              "label": "data RATE",
              "place": "etl.py:1",
              "kind": "changed",
              "digest": "fdcb1d312f5d1b5bc58956352bd7ac6291c02780dfdc1a104712416beff96e82",
              "before": "2",
              "after": "3",
              "note": null
            }
          ],
          "untold": [],
          "accepted": [],
          "current": "fc9d03818b1e4cf7e183618ffd290aac53adf0ddf937df625f7ab9a8e504fc5b",
          "digest": "f5e636398688f3e5cc364846e281e4d07982b867d65501e4683f746e0bc0627c",
          "commit": "[before]"
        }
      ],
      "total": {
        "functions": 1,
        "answers": 1,
        "took_us": 41000000
      }
    }
    "#);
}

#[test]
fn an_accepted_edit_is_on_record_until_it_is_taken_back() {
    let mut world = world();
    insta::assert_snapshot!(world.seen_as("accept square", at(&world)), @r"
    exit 1
    --- stderr
    error: `etl.square` has no edit to accept: only one version of it is on record
    hint: edit the function, see what that costs with `afresh plan`, then accept it
    ");
    edit(&world, "x * x * RATE", "x ** 2 * RATE");
    insta::assert_snapshot!(world.seen_as("accept square --reason faster", at(&world)), @r"
    exit 0
    --- stderr
    accepted: `etl.square` answers as before the edit of function `etl.square` (etl.py:4)
    hint: `afresh accept etl.square --undo` takes it back
    ");
    insta::assert_snapshot!(world.seen_as("plan", at(&world)), @r"
    exit 0
    --- stdout
    function    verdict   answers  took  why
    etl.square  accepted        1  41 s  just now by ben on desk: faster
    --- stderr
    edits invalidate none of 1 function
    ");
    insta::assert_snapshot!(world.seen_as("accept --list", at(&world)), @r"
    exit 0
    --- stdout
    function    code          answers as    edit                              accepted
    etl.square  da0165dfb794  fc9d03818b1e  function `etl.square` (etl.py:4)  just now by ben on desk: faster
    ");
    insta::assert_snapshot!(world.seen_as("log --func square", at(&world)), @r"
    exit 0
    --- stdout
    hash          when     function    arguments  took  result
    before______  5 h ago  etl.square  x=1        41 s  1 B json
    --- stderr
    accepted: `etl.square` answers as before the edit of function `etl.square` (etl.py:4), just now by ben on desk: faster
    ");
    insta::assert_snapshot!(world.seen_as("show {before}", at(&world)), @r"
    exit 0
    --- stdout
    commit    [before]
    function  etl.square
    outcome   completed: 1 B through json
    started   2026-03-01 06:59:19 +00:00 (5 h ago)
    took      41 s
    call      a4555d233b40
    code      fc9d03818b1e
    accepted  da0165dfb794 answers as this code: the edit of function `etl.square` (etl.py:4), just now by ben on desk: faster

    arguments
      x = 1

    source  [DIR]/etl.py:4
      def square(x):
          return x * x * RATE

    depends on
      data RATE = 2  (data)
    ");
    insta::assert_snapshot!(world.seen_as("accept square --undo", at(&world)), @r"
    exit 0
    --- stderr
    no longer accepted of `etl.square`: the edit of function `etl.square` (etl.py:4)
    ");
    insta::assert_snapshot!(world.seen_as("accept --list", at(&world)), @r"
    exit 0
    --- stderr
    nothing was accepted
    ");
    insta::assert_snapshot!(world.seen_as("accept square --undo", at(&world)), @r"
    exit 1
    --- stderr
    error: nothing of that kind was accepted of `etl.square`
    hint: `afresh accept --list` lists what was accepted
    ");

    // After it has run, the edit is the one between the newest two versions.
    let text = edit(&world, "x * x * RATE", "x ** 2 * RATE");
    let square = function(&world, &text, 2);
    world.add("after", square, hours(1));
    insta::assert_snapshot!(world.seen_as("accept etl.square --json", at(&world)), @r#"
    exit 0
    --- stdout
    {
      "function": "etl.square",
      "new": "da0165dfb794632183bbd2ca8e7c6eb7c4332dfd68273c2ae504b384f6211e7c",
      "old": "fc9d03818b1e4cf7e183618ffd290aac53adf0ddf937df625f7ab9a8e504fc5b",
      "edits": [
        {
          "label": "function etl.square",
          "place": "etl.py:4",
          "digest": "8f2055758d22f33fe31b0af9c35456e1295b71a7733cc75021f1f611cb9fdc2d"
        }
      ],
      "at": "2026-03-01T12:00:00.000Z",
      "user": "ben",
      "host": "desk",
      "reason": null
    }
    "#);
}

#[test]
fn accept_refuses_what_cannot_be() {
    let world = world();
    let mut full = World::new();
    full.commits.extend(world.commits.iter().copied());
    for line in ["accept", "accept nobody", "accept clean --of {load}", "accept load --undo --list"]
    {
        let ran = full.run(line);
        assert!(matches!(ran.code, 1 | 2), "{line}: {}", ran.stderr);
    }
    insta::assert_snapshot!(full.seen("accept clean --of {load}"), @r"
    exit 1
    --- stderr
    error: the files alone do not tell what `etl.clean` will be: what it was made of is not on record, or not of Python
    hint: call `clean.accept()` in Python, or run it once and then `afresh accept etl.clean`
    ");
    insta::assert_snapshot!(full.seen("accept load"), @r"
    exit 1
    --- stderr
    error: the files alone do not tell what `etl.load` will be: what it was made of is not on record, or not of Python
    hint: call `load.accept()` in Python, or run it once and then `afresh accept etl.load`
    ");
    edit(&world, "RATE = 2", "RATE = rates()[0]");
    insta::assert_snapshot!(world.seen_as("accept square", at(&world)), @r"
    exit 1
    --- stderr
    error: the files alone do not tell what `etl.square` will be: `RATE` is computed when the program runs (etl.py:1)
    hint: call `square.accept()` in Python, or run it once and then `afresh accept etl.square`
    ");
}
