//! Wrong usage: every message names what was given and what is allowed; the exit code is 2.

use crate::world::World;

#[test]
fn wrong_values_are_told_what_is_allowed() {
    let world = World::new();
    insta::assert_snapshot!(world.seen("log --since fortnight"), @r"
    exit 2
    --- stderr
    error: invalid value 'fortnight' for '--since <SPAN>': write seconds, or numbers with the units us, ms, s, m, h, d, w: `90`, `1.5s`, `2h5m`, `30d`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("log --tag =x"), @r"
    exit 2
    --- stderr
    error: invalid value '=x' for '--tag <TAG>': a tag is `key` or `key=value`: no `=` in the key, no control characters, 256 bytes each

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("log --status done"), @r"
    exit 2
    --- stderr
    error: invalid value 'done' for '--status <STATUS>'
      [possible values: completed, failed]

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("log --limit many"), @r"
    exit 2
    --- stderr
    error: invalid value 'many' for '--limit <N>': write a whole number, such as `20`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("gc --max-size huge"), @r"
    exit 2
    --- stderr
    error: invalid value 'huge' for '--max-size <SIZE>': write bytes, or a number with a unit: `500`, `64KiB`, `200MB`, `1.5GB`, `1GiB`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("completions tcsh"), @r"
    exit 2
    --- stderr
    error: invalid value 'tcsh' for '<SHELL>'
      [possible values: bash, elvish, fish, powershell, zsh]

      tip: a similar value exists: 'zsh'

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("logs"), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'logs'

      tip: a similar subcommand exists: 'log'

    Usage: afresh [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("show"), @r"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <HASH>

    Usage: afresh show <HASH>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(world.seen("show xyz"), @r"
    exit 2
    --- stderr
    error: `xyz` is not a hash
    hint: give the first few hexadecimal digits of a commit, as `log` shows them
    ");
    insta::assert_snapshot!(world.seen("log --store sqlight:x"), @r"
    exit 2
    --- stderr
    error: no store has the scheme `sqlight:`
    hint: an address is `sqlite:PATH`, `memory:`, or just a path, or that of a server such as `redis://HOST`
    ");
    insta::assert_snapshot!(world.seen("log --store https://h"), @r"
    exit 2
    --- stderr
    error: this build of afresh has no driver for `https:`
    hint: it can open `sqlite:PATH`, `memory:`, or just a path; drivers of servers come with the feature `stores`
    ");
    insta::assert_snapshot!(world.seen("export - --json"), @r"
    exit 2
    --- stderr
    error: `--json` and the archive cannot both go to standard output
    hint: name a file instead of `-`
    ");
}

#[test]
fn an_ambiguous_hash_lists_the_candidates() {
    let mut world = World::new();
    // Sixteen digits, and more commits than that.
    for _ in 0..2 {
        let more = World::new();
        assert_eq!(more.run("export @x.afresh").code, 0);
        let import = format!("import {}", more.path("x.afresh").display());
        assert_eq!(world.run(&import).code, 0);
        world.commits.extend(more.commits);
    }
    let digits: Vec<String> =
        world.commits.iter().map(|(_, id)| id.to_string()[..1].to_owned()).collect();
    let twice =
        digits.iter().find(|digit| digits.iter().filter(|other| other == digit).count() > 1);
    let ran = world.run(&format!("show {}", twice.unwrap()));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("begins several hashes"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: add digits to tell these apart: "), "{}", ran.stderr);
}

#[test]
fn help_teaches() {
    let world = World::empty();
    insta::assert_snapshot!(world.seen("--help"), @r"
    exit 0
    --- stdout
    See what was remembered, why, and how much it saved; and look after the store

    Usage: afresh [OPTIONS] <COMMAND>

    Commands:
      log          List executions, newest first
      show         Show one execution: arguments, outcome, source, traceback
      get          Show the result of one execution, or write it to a file
      diff         Compare two executions: the source of the function, the
                   arguments, the output
      why          Tell why an execution took place: what was different from the
                   nearest one before
      plan         Tell, before anything runs, which functions will be computed
                   again because of an edit
      accept       Say that an edit of a function does not matter: results survive
                   it
      history      List every execution of one call, oldest first
      rm           Forget executions: their records, and their answers where they
                   are the current ones
      invalidate   Take answers back, so that the next such call is executed
      gc           Let go of what is expired, old, or too much; safe while programs
                   use the store
      clear        Forget everything: answers, executions, results
      stats        Show what the store holds, and how much computing it saved
      verify       Read every stored byte and see whether it is what was written
      export       Write everything to an archive
      import       Take in an archive that `afresh export` wrote; makes the store
                   where there is none
      completions  Write a completion script for a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --store <URL>  The store: `sqlite:PATH` or just a path [default:
                         $AFRESH_URL, $AFRESH_DIR, .afresh]
          --json         Write one JSON document: an array of commits (log, history)
                         or one object (all others)

    Hashes: any beginning that only one commit has will do.

    Exit codes:
      0  done, or whoever read the output has had enough
      1  not found, or failed; `verify`: there are problems
      2  the arguments cannot be understood

    Environment:
      AFRESH_URL      the store, where --store names none
      AFRESH_DIR      the folder of the store, where AFRESH_URL names none either
      NO_COLOR        never use colour
      CLICOLOR_FORCE  use colour also where the output is not a terminal
      COLUMNS         the width of tables
    ");
    insta::assert_snapshot!(world.seen("log --help"), @r"
    exit 0
    --- stdout
    List executions, newest first

    Hits are not executions: what was answered from the store does not appear here,
    `stats` counts it.

    Usage: afresh log [OPTIONS]

    Options:
          --func <NAME>
              Only this function: its full name, or the last part of it

          --tag <TAG>
              Only with this tag: `key=value`, or `key` for any value; all of them
              where given again

          --status <STATUS>
              Only those that ended so

              Possible values:
              - completed: It returned
              - failed:    It raised

          --limit <N>
              At most this many

              [default: 20]

          --since <SPAN>
              Only this recent, such as `90`, `2h`, `30d`

      -h, --help
              Print help (see a summary with '-h')

    Global options:
          --store <URL>
              The store: `sqlite:PATH` or just a path [default: $AFRESH_URL,
              $AFRESH_DIR, .afresh]

          --json
              Write one JSON document: an array of commits (log, history) or one
              object (all others)

    Examples:
      afresh log                            the last 20 executions
      afresh log --func clean --since 2h    of `clean` or `etl.clean`, last two
      hours
      afresh log --status failed --limit 5  the last five that raised
      afresh log --tag team=data --tag day  those that have both tags
      afresh log --json | jq '.[].hash'     for programs: an array, newest first
    ");
    for command in [
        "log",
        "show",
        "get",
        "diff",
        "why",
        "plan",
        "accept",
        "history",
        "rm",
        "invalidate",
        "gc",
        "clear",
        "stats",
        "verify",
        "export",
        "import",
        "completions",
    ] {
        let ran = world.run(&format!("{command} --help"));
        let text = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.code, 0);
        assert!(text.contains("Examples:") && text.contains("--store <URL>"), "{text}");
    }
}

#[test]
fn every_shell_gets_its_completions() {
    let world = World::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = world.run(&format!("completions {shell}"));
        assert_eq!(ran.code, 0);
        assert!(String::from_utf8(ran.stdout).unwrap().contains("invalidate"));
    }
    let json: serde_json::Value =
        serde_json::from_slice(&world.run("completions fish --json").stdout).unwrap();
    assert_eq!(json["shell"], "fish");
}
