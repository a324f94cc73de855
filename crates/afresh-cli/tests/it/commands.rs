//! Each command as a person sees it.

use afresh_cli::Host;

use crate::world::{Shared, World, roughly, stdin};

#[test]
fn log_lists_the_newest_first() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("log"), @r"
    exit 0
    --- stdout
    hash          when       function    arguments        took  result     tags
    attack______  30 s ago   report.re…  title='Ü…  1 min 15 s  30 B pic…
    arrow_______  40 s ago   report.re…  title='Ü…  1 min 15 s  1.2 kB a…
    unkept______  50 s ago   report.re…  title='Ü…  1 min 15 s  not kept
    failed______  1 min ago  report.re…  title='Ü…  1 min 15 s  failed: …
    clean3______  5 min ago  etl.clean   data=<li…      2.0 ms  22 B json  team=dat…
    clean2______  1 h ago    etl.clean   data=<li…      900 µs  20 B json  team=dat…
    clean1______  2 h ago    etl.clean   data=<li…      850 µs  20 B json  team=dat…
    load________  3 h ago    etl.load    path='a.…       1.2 s  13 B pic…  team=data
    ");
    insta::assert_snapshot!(world.seen_as("log", |host| host.width = Some(140)), @r"
    exit 0
    --- stdout
    hash          when       function       arguments                                                took  result              tags
    attack______  30 s ago   report.render  title='Übersicht \u{1b}[31m日本語の非常に長い題…   1 min 15 s  30 B pickle
    arrow_______  40 s ago   report.render  title='Übersicht \u{1b}[31m日本語の非常に長い題…   1 min 15 s  1.2 kB arrow
    unkept______  50 s ago   report.render  title='Übersicht \u{1b}[31m日本語の非常に長い題…   1 min 15 s  not kept
    failed______  1 min ago  report.render  title='Übersicht \u{1b}[31m日本語の非常に長い題…   1 min 15 s  failed: ValueError
    clean3______  5 min ago  etl.clean      data=<list of 3>, limit=12                             2.0 ms  22 B json           team=data nightly
    clean2______  1 h ago    etl.clean      data=<list of 3>, limit=10                             900 µs  20 B json           team=data nightly
    clean1______  2 h ago    etl.clean      data=<list of 3>, limit=10                             850 µs  20 B json           team=data nightly
    load________  3 h ago    etl.load       path='a.csv'                                            1.2 s  13 B pickle         team=data
    ");
    insta::assert_snapshot!(world.seen_as("log", |host| host.environment.columns = Some("44".into())), @r"
    exit 0
    --- stdout
    hash          when       function   result
    attack______  30 s ago   report.r…  30 B pi…
    arrow_______  40 s ago   report.r…  1.2 kB …
    unkept______  50 s ago   report.r…  not kept
    failed______  1 min ago  report.r…  failed:…
    clean3______  5 min ago  etl.clean  22 B js…
    clean2______  1 h ago    etl.clean  20 B js…
    clean1______  2 h ago    etl.clean  20 B js…
    load________  3 h ago    etl.load   13 B pi…
    ");
}

#[test]
fn log_can_be_narrowed() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("log --func clean --limit 2"), @r"
    exit 0
    --- stdout
    hash          when       function   arguments       took  result     tags
    clean3______  5 min ago  etl.clean  data=<list …  2.0 ms  22 B json  team=data …
    clean2______  1 h ago    etl.clean  data=<list …  900 µs  20 B json  team=data …
    --- stderr
    hint: there are more; `--limit 4` shows twice as many
    ");
    insta::assert_snapshot!(world.seen("log --status failed"), @r"
    exit 0
    --- stdout
    hash          when       function       arguments            took  result
    failed______  1 min ago  report.render  title='Übers…  1 min 15 s  failed: Valu…
    ");
    insta::assert_snapshot!(world.seen("log --tag team=data --tag nightly --since 70m"), @r"
    exit 0
    --- stdout
    hash          when       function   arguments       took  result     tags
    clean3______  5 min ago  etl.clean  data=<list …  2.0 ms  22 B json  team=data …
    clean2______  1 h ago    etl.clean  data=<list …  900 µs  20 B json  team=data …
    ");
    insta::assert_snapshot!(world.seen("log --func nobody"), @r"
    exit 0
    --- stderr
    nothing on record matches
    ");
    insta::assert_snapshot!(world.seen("log --func nobody --json"), @r"
    exit 0
    --- stdout
    []
    ");
}

#[test]
fn show_tells_everything_about_one_execution() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("show {clean2}"), @r"
    exit 0
    --- stdout
    commit    [clean2]
    function  etl.clean
    outcome   completed: 20 B through json
    started   2026-03-01 11:00:00 +00:00 (1 h ago)
    took      900 µs
    lasts     1 day, 23 h left
    by        anna on box (pid 12)
    tags      team=data nightly
    parent    clean1______
    inputs    load________
    call      a542a88f82d6
    code      020202020202

    arguments
      data = <list of 3>  (output of load________)
      limit = 10

    source  etl.py:12
      def clean(data, limit):
          kept = [row for row in data if row]
          return kept[:limit]

    depends on
      etl.LIMIT = 100  (constant, etl.py:1)
      etl.old  (function, etl.py:30)
    ");
    insta::assert_snapshot!(world.seen("show {failed}"), @r#"
    exit 0
    --- stdout
    commit    [failed]
    function  report.render
    outcome   failed: ValueError: no rows\nat all
    started   2026-03-01 11:57:45 +00:00 (2 min ago)
    took      1 min 15 s
    by        anna on box (pid 12)
    call      ac402887c3d9
    code      040404040404

    arguments
      title = 'Übersicht \u{1b}[31m日本語の非常に長い題名がここに続きます'

    traceback
      Traceback (most recent call last):
        File "report.py", line 4, in render
      ValueError: no rows
      at all
    "#);
    insta::assert_snapshot!(world.seen("show {unkept}"), @r"
    exit 0
    --- stdout
    commit    [unkept]
    function  report.render
    outcome   completed, not kept: a lock cannot be pickled
    started   2026-03-01 11:57:55 +00:00 (2 min ago)
    took      1 min 15 s
    by        anna on box (pid 12)
    call      ac402887c3d9
    code      040404040404

    arguments
      title = 'Übersicht \u{1b}[31m日本語の非常に長い題名がここに続きます'
    ");
}

#[test]
fn json_has_everything_under_names_that_stay() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("show {clean1} --json"), @r#"
    exit 0
    --- stdout
    {
      "hash": "[clean1]",
      "function": "etl.clean",
      "status": "completed",
      "started": "2026-03-01T10:00:00.000Z",
      "finished": "2026-03-01T10:00:00.000Z",
      "took_us": 850,
      "ttl_ms": 86400000,
      "arguments": [
        {
          "name": "data",
          "preview": "<list of 3>",
          "digest": "f086b366bbfb4bcd389d97676ea7eb993c734a026862a29a626504a4ca84a7dc",
          "source": "[load]"
        },
        {
          "name": "limit",
          "preview": "10",
          "digest": "a6c45959f32d1d8148ed3535a2ca80bd441072a95b13c78e76f215e0cd80ca65",
          "source": null
        }
      ],
      "tags": [
        {
          "key": "team",
          "value": "data"
        },
        {
          "key": "nightly",
          "value": null
        }
      ],
      "result": {
        "object": "99d2a2b3385a554b64b6c560ce4b079b41936e7c04266e2eef671401c3843e56",
        "bytes": 20,
        "codec": "json",
        "signed": false
      },
      "not_kept": null,
      "failure": null,
      "parent": null,
      "inputs": [
        "[load]"
      ],
      "fingerprint": "a542a88f82d6d151b3c09d1e1159514784d419b2331e23320411c78639ab1175",
      "function_id": "0202020202020202020202020202020202020202020202020202020202020202",
      "user": "anna",
      "host": "box",
      "pid": 12,
      "record": {
        "components": [
          {
            "digest": "02",
            "file": "etl.py",
            "kind": "function",
            "label": "etl.clean",
            "line": 12,
            "source": "def clean(data, limit):\n    kept = [row for row in data if row]\n    return kept[:limit]\n"
          },
          {
            "digest": "03",
            "file": "etl.py",
            "kind": "constant",
            "label": "etl.LIMIT",
            "line": 1,
            "preview": "100"
          },
          {
            "digest": "09",
            "file": "etl.py",
            "kind": "function",
            "label": "etl.old",
            "line": 30,
            "source": "def old(): pass"
          }
        ]
      },
      "accepted": []
    }
    "#);
    insta::assert_snapshot!(world.seen("log --status failed --json"), @r#"
    exit 0
    --- stdout
    [
      {
        "hash": "[failed]",
        "function": "report.render",
        "status": "failed",
        "started": "2026-03-01T11:57:45.000Z",
        "finished": "2026-03-01T11:59:00.000Z",
        "took_us": 75000000,
        "ttl_ms": null,
        "arguments": [
          {
            "name": "title",
            "preview": "'Übersicht \u001b[31m日本語の非常に長い題名がここに続きます'",
            "digest": "fe38a4409389d10ff5a6969ce57ff60b0ad840c2b45ed86213e21817fd1fb4f5",
            "source": null
          }
        ],
        "tags": [],
        "result": null,
        "not_kept": null,
        "failure": {
          "kind": "ValueError",
          "message": "no rows\nat all",
          "traceback": "Traceback (most recent call last):\n  File \"report.py\", line 4, in render\nValueError: no rows\nat all\n"
        },
        "parent": null,
        "inputs": [],
        "fingerprint": "ac402887c3d9f4ba43e2f641e26e1424630c3273e264a67133fca03f35ece342",
        "function_id": "0404040404040404040404040404040404040404040404040404040404040404",
        "user": "anna",
        "host": "box",
        "pid": 12
      }
    ]
    "#);
    insta::assert_snapshot!(world.seen("get {clean1} --json"), @r#"
    exit 0
    --- stdout
    {
      "hash": "[clean1]",
      "function": "etl.clean",
      "codec": "json",
      "bytes": 20,
      "text": "{\n  \"rows\": [\n    1,\n    2\n  ],\n  \"n\": 2\n}",
      "cut": false,
      "value": {"rows":[1,2],"n":2}
    }
    "#);
    insta::assert_snapshot!(world.seen("get {arrow} --json"), @r#"
    exit 0
    --- stdout
    {
      "hash": "[arrow]",
      "function": "report.render",
      "codec": "arrow",
      "bytes": 1234,
      "text": null,
      "cut": false,
      "value": null
    }
    "#);
}

#[test]
fn get_shows_results_and_executes_nothing() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("get {load}"), @r"
    exit 0
    --- stdout
    [1, 2, 3]
    ");
    insta::assert_snapshot!(world.seen("get {clean1}"), @r#"
    exit 0
    --- stdout
    {
      "rows": [
        1,
        2
      ],
      "n": 2
    }
    "#);
    insta::assert_snapshot!(world.seen("get {attack}"), @r"
    exit 0
    --- stdout
    <os.system('echo gotcha')>
    ");
    insta::assert_snapshot!(world.seen("get {arrow}"), @r"
    exit 0
    --- stdout
    1.2 kB through codec arrow
    --- stderr
    hint: `-o FILE` writes the stored bytes
    ");
    insta::assert_snapshot!(world.seen("get {failed}"), @r"
    exit 1
    --- stderr
    error: failed______ has no result, it failed: ValueError: no rows\nat all
    hint: `afresh show failed______` has the traceback
    ");
    insta::assert_snapshot!(world.seen("get {unkept}"), @r"
    exit 1
    --- stderr
    error: the result of unkept______ was not kept: a lock cannot be pickled
    ");
}

#[test]
fn get_writes_the_stored_bytes() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("get {arrow} -o @out"), @r"
    exit 0
    --- stderr
    wrote 1.2 kB through codec arrow to [DIR]/out
    ");
    assert_eq!(std::fs::read(world.path("out")).unwrap(), [7; 1234]);
    assert_eq!(world.run("get {arrow} -o -").stdout, [7; 1234]);
    insta::assert_snapshot!(world.seen_as("get {arrow} -o -", |host| host.stdout_terminal = true), @r"
    exit 2
    --- stderr
    error: stored bytes go to a file or a pipe, not to a terminal and not beside `--json`
    hint: `-o FILE` names a file
    ");
    insta::assert_snapshot!(world.seen("get {arrow} -o @no/such/folder"), @r"
    exit 1
    --- stderr
    error: could not write `[DIR]/no/such/folder`: No such file or directory (os error 2)
    ");
}

#[test]
fn only_a_host_that_can_unpickles() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("get {load} --unpickle"), @r"
    exit 2
    --- stderr
    error: `--unpickle` needs Python, and this program has none
    hint: the `afresh` of the Python package can do that; without `--unpickle` the value is shown unexecuted
    ");
    let able = |host: &mut Host| {
        host.show_value = Some(Box::new(|codec, bytes| match bytes.len() {
            1..20 => Ok(format!("[really loaded from {codec}]")),
            _ => Err("no module named `etl`".into()),
        }));
    };
    insta::assert_snapshot!(world.seen_as("get {load} --unpickle", able), @r"
    exit 0
    --- stdout
    [really loaded from pickle]
    ");
    insta::assert_snapshot!(world.seen_as("get {attack} --unpickle", able), @r"
    exit 1
    --- stderr
    error: the result of attack______ could not be loaded: no module named `etl`
    ");
}

#[test]
fn diff_tells_what_changed() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("diff {clean1} {clean3}"), @r#"
    exit 0
    --- stdout
    a  clean1______  etl.clean  2 h ago
    b  clean3______  etl.clean  5 min ago

    function  changed
    --- a/etl.clean
    +++ b/etl.clean
    @@ -1,3 +1,3 @@
     def clean(data, limit):
    -    kept = [row for row in data if row]
    +    kept = [row for row in data if row.ok]
         return kept[:limit]
      etl.LIMIT  100 → 200
    --- a/etl.old
    +++ /dev/null
    @@ -1 +0,0 @@
    -def old(): pass

    arguments  differ
      limit  10 → 12

    output  differs
    --- a/output
    +++ b/output
    @@ -1,7 +1,8 @@
     {
       "rows": [
         1,
    -    2
    +    2,
    +    3
       ],
    -  "n": 2
    +  "n": 3
     }
    "#);
    insta::assert_snapshot!(world.seen("diff {clean1} {clean2}"), @r"
    exit 0
    --- stdout
    a  clean1______  etl.clean  2 h ago
    b  clean2______  etl.clean  1 h ago

    function  the same

    arguments  the same

    output  the same
    ");
    insta::assert_snapshot!(world.seen("diff {failed} {arrow}"), @r"
    exit 0
    --- stdout
    a  failed______  report.render  1 min ago
    b  arrow_______  report.render  40 s ago

    function  the same

    arguments  the same

    output  cannot be compared
      a  failed: ValueError
      b  1.2 kB arrow
    ");
    insta::assert_snapshot!(world.seen("diff {load} {attack}"), @r"
    exit 0
    --- stdout
    a  load________  etl.load  3 h ago
    b  attack______  report.render  30 s ago

    function  another one
    --- a/etl.load
    +++ /dev/null
    @@ -1,2 +0,0 @@
    -def load(path):
    -    return read(path)

    arguments  differ
      path  'a.csv' → (not there)
      title  (not there) → 'Übersicht \u{1b}[31m日本語の非常に長い題名がここに続きます'

    output  differs
      a  [1, 2, 3]
      b  <os.system('echo gotcha')>
    ");
    insta::assert_snapshot!(world.seen("diff {clean1} {clean3} --json"), @r#"
    exit 0
    --- stdout
    {
      "a": "[clean1]",
      "b": "[clean3]",
      "name_changed": false,
      "function_changed": true,
      "components": [
        {
          "label": "etl.clean",
          "place": "etl.py:12",
          "change": "changed",
          "diff": "--- a/etl.clean\n+++ b/etl.clean\n@@ -1,3 +1,3 @@\n def clean(data, limit):\n-    kept = [row for row in data if row]\n+    kept = [row for row in data if row.ok]\n     return kept[:limit]\n",
          "a": null,
          "b": null
        },
        {
          "label": "etl.LIMIT",
          "place": "etl.py:1",
          "change": "changed",
          "diff": null,
          "a": "100",
          "b": "200"
        },
        {
          "label": "etl.old",
          "place": "etl.py:30",
          "change": "removed",
          "diff": "--- a/etl.old\n+++ /dev/null\n@@ -1 +0,0 @@\n-def old(): pass\n",
          "a": null,
          "b": null
        }
      ],
      "arguments": [
        {
          "name": "limit",
          "a": "10",
          "b": "12",
          "inside": null
        }
      ],
      "output_changed": true
    }
    "#);
}

#[test]
fn why_tells_what_was_different() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("why {load}"), @r"
    exit 0
    --- stdout
    commit  load________  etl.load  3 h ago, in 1.2 s, by anna on box
    reason  no execution of the function that ended before it is on record
    ");
    insta::assert_snapshot!(world.seen("why clean"), @r"
    exit 0
    --- stdout
    commit   clean3______  etl.clean  5 min ago, in 2.0 ms, by anna on box
    reason   `etl.clean` changed (etl.py:12), and 2 more; argument `limit` differs: 10 → 12
    nearest  clean2______  etl.clean  1 h ago, in 900 µs, by anna on box

    function  changed
    --- a/etl.clean
    +++ b/etl.clean
    @@ -1,3 +1,3 @@
     def clean(data, limit):
    -    kept = [row for row in data if row]
    +    kept = [row for row in data if row.ok]
         return kept[:limit]
      etl.LIMIT  100 → 200
    --- a/etl.old
    +++ /dev/null
    @@ -1 +0,0 @@
    -def old(): pass

    arguments  differ
      limit  10 → 12
    ");
    insta::assert_snapshot!(world.seen("why {clean2}"), @r"
    exit 0
    --- stdout
    commit  clean2______  etl.clean  1 h ago, in 900 µs, by anna on box
    reason  it was forced, or the answer could not be read
    before  clean1______  etl.clean  2 h ago, in 850 µs, by anna on box
    ");
    insta::assert_snapshot!(world.seen("why {unkept}"), @r"
    exit 0
    --- stdout
    commit  unkept______  report.render  50 s ago, in 1 min 15 s, by anna on box
    reason  no execution of the function that ended before it is on record
    ");
    insta::assert_snapshot!(world.seen("why {attack}"), @r"
    exit 0
    --- stdout
    commit  attack______  report.render  30 s ago, in 1 min 15 s, by anna on box
    reason  it was forced, or the answer could not be read
    before  arrow_______  report.render  40 s ago, in 1 min 15 s, by anna on box
    ");
    insta::assert_snapshot!(world.seen("why cleaning"), @r"
    exit 1
    --- stderr
    error: no function is called `cleaning`
    hint: `afresh log` lists the executions of `[DIR]/store`
    ");
    insta::assert_snapshot!(world.seen("why fade"), @r"
    exit 1
    --- stderr
    error: no commit begins with `fade`
    hint: `afresh log` lists the commits of `[DIR]/store`
    ");
    insta::assert_snapshot!(world.seen("why 123456"), @r"
    exit 1
    --- stderr
    error: no commit begins with `123456`
    hint: `afresh log` lists the commits of `[DIR]/store`
    ");
    let json: serde_json::Value =
        serde_json::from_slice(&world.run("why etl.clean --json").stdout).unwrap();
    assert_eq!(json["reason"], "function-and-arguments");
    assert_eq!(json["components"][0]["place"], "etl.py:12");
    assert_eq!(json["arguments"][0]["name"], "limit");
    assert_eq!(json["nearest"]["function"], "etl.clean");
    let first: serde_json::Value =
        serde_json::from_slice(&world.run("why {load} --json").stdout).unwrap();
    assert_eq!((&first["reason"], &first["nearest"]), (&"first".into(), &serde_json::Value::Null));
}

#[test]
fn why_and_diff_look_inside_arguments() {
    let mut world = World::new();
    world.add_outlined();
    insta::assert_snapshot!(world.seen("diff {inside1} {inside2}"), @r#"
    exit 0
    --- stdout
    a  inside1_____  etl.fit  20 s ago
    b  inside2_____  etl.fit  19 s ago

    function  the same

    arguments  differ
      config  3 places
        config["depth"]: 3 → 4
        config["\u{1b}"]: '\u{1b}[31m0' → '\u{1b}[31m1'
        config["price"]: 1 of 200 rows: 40

    output  the same
    "#);
    let json: serde_json::Value =
        serde_json::from_slice(&world.run("why {inside2} --json").stdout).unwrap();
    let inside = &json["arguments"][0]["inside"];
    assert_eq!((&inside["text"], &inside["more"]), (&"3 places".into(), &0.into()));
    assert_eq!(inside["differences"][0]["place"], "config[\"depth\"]");
    assert_eq!(inside["differences"][0]["a"], "3");
    let rows = &inside["differences"][2]["rows"];
    assert_eq!(
        (&rows["differing"], &rows["exact"], &rows["first"]),
        (&1.into(), &true.into(), &vec![40].into())
    );
    let text = world.seen("why {inside2}");
    assert!(text.contains("reason   argument `config` differs: 3 places\n"), "{text}");
    assert!(text.contains("\n    config[\"price\"]: 1 of 200 rows: 40"), "{text}");
}

#[test]
fn history_compares_the_outputs() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("history {clean2}"), @r"
    exit 0
    --- stdout
    hash          when       took  result     output  by           tags
    clean1______  2 h ago  850 µs  20 B json  first   anna on box  team=data nightly
    clean2______  1 h ago  900 µs  20 B json  same    anna on box  team=data nightly
    ");
    insta::assert_snapshot!(world.seen("history {failed}"), @r"
    exit 0
    --- stdout
    hash          when             took  result              output   by
    failed______  1 min ago  1 min 15 s  failed: ValueError           anna on box
    unkept______  50 s ago   1 min 15 s  not kept                     anna on box
    arrow_______  40 s ago   1 min 15 s  1.2 kB arrow        first    anna on box
    attack______  30 s ago   1 min 15 s  30 B pickle         differs  anna on box
    ");
}

#[test]
fn rm_forgets_all_or_none() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("rm {load} 000000000000"), @r"
    exit 1
    --- stderr
    error: no commit begins with `000000000000`
    hint: `afresh log` lists the commits of `[DIR]/store`
    ");
    insta::assert_snapshot!(world.seen("rm {load} {load} {failed}"), @r"
    exit 0
    --- stderr
    forgot 2 executions
    ");
    insta::assert_snapshot!(world.seen("show {load}"), @r"
    exit 1
    --- stderr
    error: no commit begins with `[load]`
    hint: `afresh log` lists the commits of `[DIR]/store`
    ");
    insta::assert_snapshot!(world.seen("rm {clean1} --json"), @r#"
    exit 0
    --- stdout
    {
      "removed": [
        "[clean1]"
      ]
    }
    "#);
}

#[test]
fn invalidate_wants_a_condition() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("invalidate"), @r"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <--func <NAME>|--tag <TAG>>

    Usage: afresh invalidate <--func <NAME>|--tag <TAG>>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("invalidate --tag team=data"), @r"
    exit 0
    --- stderr
    took back 3 answers
    ");
    insta::assert_snapshot!(world.seen("invalidate --func render --json"), @r#"
    exit 0
    --- stdout
    {
      "invalidated": 1
    }
    "#);
}

#[test]
fn gc_says_what_went_and_what_would() {
    let world = World::new();
    insta::assert_snapshot!(roughly(&world.seen("gc --dry-run")), @r"
    exit 0
    --- stderr
    would let go of 0 executions (0 current answers) and # objects (#)
    ");
    insta::assert_snapshot!(roughly(&world.seen("gc --older-than 45m --dry-run --json")), @r#"
    exit 0
    --- stdout
    {
      "dry_run": true,
      "commits": 1,
      "answers": 0,
      "objects": #,
      "bytes": #
    }
    "#);
    insta::assert_snapshot!(roughly(&world.seen("gc --max-size 0")), @r"
    exit 0
    --- stderr
    let go of 8 executions (4 current answers) and # objects (#)
    ");
    assert_eq!(world.run("log --json").stdout, b"[]\n");
}

#[test]
fn clear_asks_and_refuses() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("clear"), @r"
    exit 2
    --- stderr
    error: this would forget everything in `[DIR]/store`
    hint: give `--yes` where nobody can be asked
    ");
    let answer = |text: &'static str| {
        move |host: &mut Host| {
            host.stdin_terminal = true;
            host.stdin = stdin(text.as_bytes().to_vec());
        }
    };
    insta::assert_snapshot!(world.seen_as("clear", answer("\n")), @r"
    exit 1
    --- stderr
    Forget all 8 executions of `[DIR]/store` and their results? [y/N] nothing was forgotten
    ");
    insta::assert_snapshot!(world.seen_as("clear", answer("y\n")), @r"
    exit 0
    --- stderr
    Forget all 8 executions of `[DIR]/store` and their results? [y/N] forgot 8 executions
    ");
    insta::assert_snapshot!(world.seen("clear --yes --json"), @r#"
    exit 0
    --- stdout
    {
      "commits": 0
    }
    "#);
}

#[test]
fn stats_counts() {
    let world = World::new();
    let seen = world.seen("stats");
    // How much there is of these is for the engine and the store to choose.
    assert!(seen.contains("\nhits        ") && seen.contains(" of computing\n"), "{seen}");
    let seen: String = seen
        .lines()
        .filter(|line| {
            !line.starts_with("on disk")
                && !line.starts_with("objects")
                && !line.starts_with("hits")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(seen, @r"
    exit 0
    --- stdout
    store       sqlite:[DIR]/store
    executions  8 (7 completed, 1 failed)
    answers     4
    ");
    let json: serde_json::Value =
        serde_json::from_slice(&world.run("stats --json").stdout).unwrap();
    assert_eq!(json["commits"], 8);
    assert_eq!(json["failed"], 1);
}

#[test]
fn verify_reads_everything() {
    let world = World::new();
    insta::assert_snapshot!(roughly(&world.seen("verify")), @r"
    exit 0
    --- stderr
    read # objects (#), 8 executions and 4 answers: all as written
    ");
    insta::assert_snapshot!(roughly(&world.seen("verify --json")), @r#"
    exit 0
    --- stdout
    {
      "objects": #,
      "bytes": #,
      "commits": 8,
      "answers": 4,
      "repaired": false,
      "problems": []
    }
    "#);
    let progress = world.run_as("verify", |host| host.stderr_terminal = true).stderr;
    let last = " (100 %)\r\u{1b}[Kread ";
    assert!(progress.contains(last), "{progress:?}");
}

#[test]
fn damage_is_found_told_and_repaired() {
    let mut world = World::new();
    let file = world.add_large();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    insta::assert_snapshot!(roughly(&world.seen("verify")), @r"
    exit 1
    --- stdout
    problem         of      hash
    damaged         object  843a5be8d340
    without result  commit  large_______
    without result  answer  d78c93514fbc
    --- stderr
    read # objects (#), 9 executions and 5 answers: 3 problems
    hint: `afresh verify --repair` sets damaged bytes aside and drops what leads nowhere
    ");
    insta::assert_snapshot!(roughly(&world.seen("verify --json")), @r#"
    exit 1
    --- stdout
    {
      "objects": #,
      "bytes": #,
      "commits": 9,
      "answers": 5,
      "repaired": false,
      "problems": [
        {
          "problem": "damaged",
          "of": "object",
          "hash": "843a5be8d3405d42fd0385c3f2c7a3140118aab8c1f9d707ec564c102e0bed63"
        },
        {
          "problem": "without-result",
          "of": "commit",
          "hash": "[large]"
        },
        {
          "problem": "without-result",
          "of": "answer",
          "hash": "d78c93514fbc9a3ed7ccc57982d0511794b50dc87d4e348a22cff791ab28d8b3"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(roughly(&world.seen("verify --repair")), @r"
    exit 0
    --- stdout
    problem         of      hash
    damaged         object  843a5be8d340
    without result  commit  large_______
    without result  answer  d78c93514fbc
    --- stderr
    read # objects (#), 9 executions and 5 answers: 3 problems, put right
    ");
    insta::assert_snapshot!(roughly(&world.seen("verify")), @r"
    exit 0
    --- stderr
    read # objects (#), 8 executions and 4 answers: all as written
    ");
}

#[test]
fn what_the_engine_warns_of_is_said_once() {
    let mut world = World::new();
    let file = world.add_large();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    insta::assert_snapshot!(world.seen("get {large}"), @r"
    exit 1
    --- stderr
    warning: a stored result is damaged, set aside and computed again (843a5be8d340): the object is not what was written (843a5be8d3405d42fd0385c3f2c7a3140118aab8c1f9d707ec564c102e0bed63) [read on sqlite:[DIR]/store]
    error: the result of large_______ is gone or damaged
    hint: it is computed again when it is next asked for
    ");
    assert!(world.run("diff {large} {large}").stderr.matches("warning: ").count() <= 1);
}

#[test]
fn an_archive_goes_there_and_back() {
    let world = World::new();
    insta::assert_snapshot!(roughly(&world.seen("export @all.afresh")), @r"
    exit 0
    --- stderr
    exported 8 executions, 4 answers and # objects
    ");
    insta::assert_snapshot!(roughly(&world.seen("export @all.afresh")), @r"
    exit 1
    --- stderr
    error: `[DIR]/all.afresh` is there already
    hint: `--force` replaces it
    ");
    insta::assert_snapshot!(roughly(&world.seen("export @all.afresh --force --json")), @r#"
    exit 0
    --- stdout
    {
      "file": "[DIR]/all.afresh",
      "objects": #,
      "commits": 8,
      "answers": 4
    }
    "#);
    insta::assert_snapshot!(roughly(&world.seen("import @all.afresh --store @new")), @r"
    exit 0
    --- stderr
    imported 8 executions (0 skipped), 4 current answers and # objects
    ");
    insta::assert_snapshot!(roughly(&world.seen("import @all.afresh --store @new")), @r"
    exit 0
    --- stderr
    imported 0 executions (8 skipped), 0 current answers and # objects
    ");
    let archive = world.run("export -").stdout;
    insta::assert_snapshot!(roughly(&world.seen_as("import - --store @other --json", |host| host.stdin = stdin(archive))), @r#"
    exit 0
    --- stdout
    {
      "imported": 8,
      "skipped": 0,
      "objects": #,
      "answers": 4
    }
    "#);
    insta::assert_snapshot!(world.seen("log --func load --store @other"), @r"
    exit 0
    --- stdout
    hash          when     function  arguments      took  result       tags
    load________  3 h ago  etl.load  path='a.csv'  1.2 s  13 B pickle  team=data
    ");
}

#[test]
fn what_is_no_archive_makes_no_store() {
    let world = World::empty();
    std::fs::write(world.path("junk"), "junk").unwrap();
    insta::assert_snapshot!(world.seen("import @junk"), @r"
    exit 1
    --- stderr
    error: `[DIR]/junk` is not an afresh archive
    hint: archives are made by `afresh export FILE`
    ");
    insta::assert_snapshot!(world.seen("import @missing"), @r"
    exit 1
    --- stderr
    error: could not open `[DIR]/missing`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(world.seen_as("import -", |host| host.stdin = stdin(Vec::new())), @r"
    exit 1
    --- stderr
    error: standard input is not an afresh archive
    hint: archives are made by `afresh export FILE`
    ");
    insta::assert_snapshot!(world.seen_as("import -", |host| host.stdin_terminal = true), @r"
    exit 2
    --- stderr
    error: an archive is not read from a terminal
    hint: name a file, or redirect standard input
    ");
    assert!(!world.path("store").exists());
}

#[test]
fn looking_makes_no_store() {
    let world = World::empty();
    let lines = [
        "log",
        "show 1",
        "get 1",
        "diff 1 2",
        "why f",
        "history 1",
        "rm 1",
        "invalidate --tag a",
        "gc",
        "clear --yes",
        "stats",
        "verify",
        "export @file",
    ];
    for line in lines {
        let ran = world.run(line);
        assert_eq!(ran.code, 1, "{line}");
        assert!(ran.stderr.starts_with("error: no store at "), "{line}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
    assert_eq!(std::fs::read_dir(world.folder.path()).unwrap().count(), 0);
    insta::assert_snapshot!(world.seen("log"), @r"
    exit 1
    --- stderr
    error: no store at `[DIR]/store`
    hint: a store is made when a memoized function first runs; `--store`, $AFRESH_URL or $AFRESH_DIR name another
    ");
    insta::assert_snapshot!(world.seen("log --store @nowhere"), @r"
    exit 1
    --- stderr
    error: no store at `[DIR]/nowhere`
    hint: a store is made when a memoized function first runs; `--store`, $AFRESH_URL or $AFRESH_DIR name another
    ");
}

#[test]
fn what_is_said_stands_below_the_data() {
    let world = World::new();
    let both = Shared::default();
    world.run_as("log --limit 1", |host| {
        host.stdout = Box::new(both.clone());
        host.stderr = Box::new(both.clone());
    });
    insta::assert_snapshot!(world.named(&both.text()), @r"
    hash          when      function       arguments               took  result
    attack______  30 s ago  report.render  title='Übersich…  1 min 15 s  30 B pickle
    hint: there are more; `--limit 2` shows twice as many
    ");
}

#[test]
fn colour_only_repeats_the_words() {
    let world = World::new();
    let forced = |host: &mut Host| host.environment.clicolor_force = Some("1".into());
    let plain = world.run("log").stdout;
    let coloured = world.run_as("log", forced).stdout;
    assert!(coloured.contains(&0x1b) && !plain.contains(&0x1b));
    let stripped = strip(&String::from_utf8(coloured).unwrap());
    assert_eq!(stripped.into_bytes(), plain);
    let terminal = |host: &mut Host| host.stdout_terminal = true;
    assert!(world.run_as("log", terminal).stdout.contains(&0x1b));
    for (force, dumb) in [(true, false), (false, true)] {
        let ran = world.run_as("log", |host| {
            host.stdout_terminal = true;
            host.environment.no_color = force.then(|| "1".into());
            host.environment.clicolor_force = force.then(|| "1".into());
            host.environment.term = dumb.then(|| "dumb".into());
        });
        assert_eq!(ran.stdout, plain);
    }
}

fn strip(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

#[test]
fn every_width_is_kept() {
    let world = World::new();
    for width in [30, 40, 60, 80, 100, 200] {
        for line in ["log", "history {clean1}"] {
            let ran = world.run_as(line, |host| host.width = Some(width));
            for line in String::from_utf8(ran.stdout).unwrap().lines() {
                assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{width}: {line}");
            }
        }
    }
}
