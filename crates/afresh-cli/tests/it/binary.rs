//! The real program: what only a process has, such as exit codes, pipes and an environment.

use std::io::Read;
use std::process::{Command, Output, Stdio};

use crate::world::World;

fn command(world: &World, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afresh"));
    command.args(world.arguments(line).into_iter().skip(1));
    command.current_dir(world.folder.path());
    for name in ["AFRESH_URL", "AFRESH_DIR", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

fn output(world: &World, line: &str, environment: &[(&str, &str)]) -> Output {
    command(world, line).envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn exit_codes_tell_what_happened() {
    let world = World::new();
    let store = world.store();
    let here = [("AFRESH_URL", store.as_str())];
    for (line, code) in [
        ("log", 0),
        ("--version", 0),
        ("--help", 0),
        ("show 0000000000000000", 1),
        ("get {failed}", 1),
        ("show not-a-hash", 2),
        ("log --since soon", 2),
        ("nothing", 2),
        ("", 2),
        ("clear", 2),
    ] {
        let output = output(&world, line, &here);
        assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{line}: {output:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{line}: {output:?}");
    }
}

#[test]
fn the_environment_names_the_store() {
    let world = World::new();
    let store = world.store();
    assert_eq!(output(&world, "log", &[("AFRESH_DIR", &store)]).status.code(), Some(0));
    assert_eq!(
        output(&world, "log", &[("AFRESH_URL", &store), ("AFRESH_DIR", "x")]).status.code(),
        Some(0)
    );
    // None of them: `.afresh` here, which there is not.
    let none = output(&world, "log", &[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no store at `.afresh`"));
    assert!(!world.path(".afresh").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::new();
    let store = world.store();
    for line in ["log", "log --json", "export -", "completions bash", "--help", "get {arrow} -o -"]
    {
        let mut child = command(&world, line)
            .env("AFRESH_URL", &store)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut words = String::new();
        child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{line}: {words}");
        assert!(!words.contains("error"), "{line}: {words}");
    }
}

#[test]
fn every_command_can_speak_json() {
    let world = World::new();
    let store = world.store();
    for line in [
        "log",
        "show {load}",
        "get {load}",
        "get {clean1}",
        "get {arrow} -o @raw",
        "diff {load} {clean1}",
        "history {load}",
        "stats",
        "verify",
        "gc --dry-run",
        "export @a",
        "import @a",
        "invalidate --func load",
        "rm {load}",
        "clear --yes",
        "completions zsh",
    ] {
        let output = output(&world, &format!("{line} --json"), &[("AFRESH_URL", &store)]);
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout)
            .unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"));
        assert!(output.stderr.is_empty(), "{line}: {output:?}");
    }
}

#[test]
fn colour_and_width_come_from_the_environment() {
    let world = World::new();
    let store = world.store();
    let coloured = output(&world, "log", &[("AFRESH_URL", &store), ("CLICOLOR_FORCE", "1")]);
    assert!(coloured.stdout.contains(&0x1b));
    let plain = output(
        &world,
        "log",
        &[("AFRESH_URL", &store), ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"), ("COLUMNS", "50")],
    );
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(!text.contains('\u{1b}'));
    assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= 50), "{text}");
}
