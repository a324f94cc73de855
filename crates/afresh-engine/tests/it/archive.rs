//! Out and in again.

use std::time::Duration;

use afresh_core::{Failure, Kind};
use pollster::block_on;
use proptest::prelude::*;

use crate::support::*;

fn filled() -> afresh_engine::Engine {
    let engine = memory();
    for n in 0..5 {
        compute(&engine, "f", n, &format!("{n}").repeat(1 + 20_000 * n as usize));
    }
    let failure = Failure { kind: "E".into(), message: "m".into(), traceback: "t".into() };
    block_on(ticket(&engine, "f", 9).fail(execution("f", 9), failure, None)).unwrap();
    engine
}

fn export(engine: &afresh_engine::Engine) -> Vec<u8> {
    let mut archive = Vec::new();
    block_on(engine.export(&mut archive)).unwrap();
    archive
}

#[test]
fn everything_comes_back_in_another_kind_of_store() {
    let archive = export(&filled());
    for (engine, _dir) in engines() {
        let report = block_on(engine.import(&archive[..])).unwrap();
        assert_eq!((report.imported, report.skipped, report.heads), (6, 0, 5));
        for n in 0..5 {
            let expected = format!("{n}").repeat(1 + 20_000 * n as usize);
            assert_eq!(hit(&engine, "f", n).unwrap().bytes, expected);
        }
        let stats = block_on(engine.stats()).unwrap();
        assert_eq!((stats.commits, stats.failed), (6, 1));
        assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
        let again = block_on(engine.import(&archive[..])).unwrap();
        assert_eq!((again.imported, again.skipped, again.heads), (0, 6, 0));
    }
}

#[test]
fn the_younger_answer_stays() {
    let old = filled();
    std::thread::sleep(Duration::from_millis(5));
    let young = memory();
    compute(&young, "f", 1, "young");
    block_on(young.import(&export(&old)[..])).unwrap();
    assert_eq!(&hit(&young, "f", 1).unwrap().bytes[..], b"young");
    block_on(old.import(&export(&young)[..])).unwrap();
    assert_eq!(&hit(&old, "f", 1).unwrap().bytes[..], b"young");
}

#[test]
fn what_is_not_an_archive_is_refused() {
    let engine = memory();
    for bytes in [&b""[..], b"nonsense", &export(&engine)[..20]] {
        let error = block_on(engine.import(bytes)).unwrap_err();
        assert!(matches!(error.kind(), Kind::Config | Kind::Corrupt), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However an archive is cut or damaged, what was taken in is whole.
    #[test]
    fn a_damaged_archive_leaves_a_sound_store(cut in 0.0f64..1.0, flip in proptest::option::of(0.0f64..1.0)) {
        let mut archive = export(&filled());
        let at = |part: f64, len: usize| (part * len as f64) as usize;
        if let Some(flip) = flip {
            let index = at(flip, archive.len());
            archive[index] ^= 0x10;
        } else {
            archive.truncate(at(cut, archive.len()));
        }
        let engine = memory();
        let _ = block_on(engine.import(&archive[..]));
        prop_assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
        for n in 0..5 {
            let expected = format!("{n}").repeat(1 + 20_000 * n as usize);
            if let Some(hit) = hit(&engine, "f", n) {
                prop_assert_eq!(hit.bytes, expected);
            }
        }
    }
}
