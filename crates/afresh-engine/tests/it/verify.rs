//! Damage: found, survived, put right.

use std::fs;
use std::path::{Path, PathBuf};

use afresh_engine::{Begun, Problem};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::*;

/// The files of large objects below the store's folder.
fn object_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "quarantine" && name != "tmp" {
                folders.push(path);
            } else if name.len() > 40 {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_damaged_result_is_computed_again_and_its_remains_are_kept() {
    for damage in ["flip", "truncate", "remove"] {
        let dir = TempDir::new().unwrap();
        let engine = sqlite(&dir);
        let bytes = noise(1 << 20, 1);
        block_on(ticket(&engine, "f", 1).finish(execution("f", 1), output(bytes.clone()))).unwrap();
        let files = object_files(&dir.path().join("store"));
        assert_eq!(files.len(), 1, "{files:?}");
        match damage {
            "flip" => {
                let mut content = fs::read(&files[0]).unwrap();
                content[500_000] ^= 1;
                fs::write(&files[0], content).unwrap();
            }
            "truncate" => {
                fs::OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(1000).unwrap()
            }
            _ => fs::remove_file(&files[0]).unwrap(),
        }
        let report = block_on(engine.verify(false, |_, _| ())).unwrap();
        assert!(!report.is_clean(), "{damage}");
        let Begun::Run(ticket) = begin(&engine, "f", 1) else { panic!("{damage}: a damaged hit") };
        block_on(ticket.finish(execution("f", 1), output(bytes.clone()))).unwrap();
        assert_eq!(hit(&engine, "f", 1).unwrap().bytes, bytes, "{damage}");
        assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean(), "{damage}");
        if damage != "remove" {
            assert!(
                fs::read_dir(dir.path().join("store/quarantine")).unwrap().count() > 0,
                "{damage}"
            );
        }
    }
}

#[test]
fn repair_removes_what_leads_nowhere() {
    let dir = TempDir::new().unwrap();
    let engine = sqlite(&dir);
    for n in 0..3 {
        let done =
            ticket(&engine, "f", n).finish(execution("f", n), output(noise(1 << 20, n as u64)));
        block_on(done).unwrap();
    }
    let files = object_files(&dir.path().join("store"));
    fs::write(&files[0], b"nonsense").unwrap();
    let report = block_on(engine.verify(true, |_, _| ())).unwrap();
    let damaged = report.problems.iter().filter(|p| matches!(p, Problem::DamagedObject(_))).count();
    assert_eq!(
        (damaged, report.problems.len()),
        (1, 3),
        "object, commit, head: {:?}",
        report.problems
    );
    let again = block_on(engine.verify(false, |_, _| ())).unwrap();
    assert!(again.is_clean(), "{:?}", again.problems);
    assert_eq!((again.commits, again.heads), (2, 2));
}

#[test]
fn progress_counts_every_object() {
    for (engine, _dir) in engines() {
        for n in 0..3 {
            compute(&engine, "f", n, &n.to_string());
        }
        let mut last = (0, 0);
        let report = block_on(engine.verify(false, |done, of| last = (done, of))).unwrap();
        assert!(report.is_clean());
        assert_eq!(last, (report.objects, report.objects));
        assert_eq!((report.commits, report.heads), (3, 3));
    }
}
