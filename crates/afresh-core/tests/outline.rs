//! Outlines and sketches: what is stored reads back, and few differences are found exactly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use afresh_core::sketch::{Changed, Size, Sketch, Sketcher, content};
use afresh_core::{Cells, Inside, Kind, Name, OUTLINE_DEPTH, Outline, Rest, Rows};
use proptest::prelude::*;

fn sketch(size: Size, rows: impl Iterator<Item = u64>) -> Sketch {
    let mut sketcher = Sketcher::new(size);
    let rows: Vec<u64> = rows.collect();
    // In pieces of no particular length: how the rows come does not show.
    for piece in rows.chunks(777) {
        sketcher.extend(piece);
    }
    assert_eq!(sketcher.rows(), rows.len() as u64);
    sketcher.finish()
}

fn value(row: u64) -> u64 {
    (row as f64).sqrt().to_bits()
}

/// The comparison after `changed` rows of `rows` got another value.
fn after(size: Size, rows: u64, changed: &BTreeSet<u64>) -> Changed {
    let other = |row| if changed.contains(&row) { value(row + 1) } else { value(row) };
    sketch(size, (0..rows).map(value)).compare(&sketch(size, (0..rows).map(other)), rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn few_changes_are_found_exactly(rows in 300_u64..20_000, seeds in prop::collection::btree_set(any::<u64>(), 0..=8)) {
        let changed: BTreeSet<u64> = seeds.iter().map(|seed| seed % rows).collect();
        let exactly = Changed::Exactly(changed.iter().copied().collect());
        prop_assert_eq!(after(Size::Large, rows, &changed), exactly.clone());
        // Less memory can be less certain, and is never wrong.
        for size in [Size::Medium, Size::Small, Size::Tiny] {
            let found = after(size, rows, &changed);
            prop_assert!(found == exactly || matches!(found, Changed::About(_)));
        }
    }

    #[test]
    fn a_run_of_changes_is_found_exactly(rows in 300_u64..20_000, start in any::<u64>(), len in 1_u64..100) {
        let start = start % (rows - len);
        let changed: BTreeSet<u64> = (start..start + len).collect();
        let exactly = Changed::Exactly(changed.iter().copied().collect());
        prop_assert_eq!(after(Size::Large, rows, &changed), exactly);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        match Outline::decode(&bytes) {
            Ok(outline) => prop_assert_eq!(Outline::decode(&outline.encode().unwrap()).unwrap(), outline),
            Err(error) => prop_assert_eq!(error.kind(), Kind::Corrupt),
        }
    }

    #[test]
    fn outlines_read_back(outline in outlines()) {
        let bytes = outline.encode().unwrap();
        prop_assert_eq!(Outline::decode(&bytes).unwrap(), outline);
        prop_assert!(Outline::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}

fn outlines() -> impl Strategy<Value = Outline> {
    let rest = prop::option::of((1_u64..9, any::<[u8; 8]>()))
        .prop_map(|rest| rest.map(|(count, whole)| Rest { count, whole }));
    let name = ("[a-z]{0,4}", 0..4).prop_map(|(name, kind)| match kind {
        0 => Name::Key(name),
        1 => Name::Attribute(name),
        2 => Name::Column(name),
        _ => Name::Part(name),
    });
    let cells = prop_oneof![
        prop::collection::vec(any::<[u8; 4]>(), 5).prop_map(Cells::Exact),
        any::<[u8; 8]>().prop_map(Cells::Whole),
        any::<u64>()
            .prop_map(|seed| Cells::Sketch(sketch(Size::Tiny, seed..seed.saturating_add(40)))),
    ];
    let rows =
        cells.prop_map(|cells| Inside::Rows(Rows { dtype: "f8".into(), shape: vec![5, 1], cells }));
    let leaf = prop_oneof![any::<[u8; 8]>().prop_map(Inside::Leaf), rows]
        .prop_map(|inside| Outline { preview: "é".into(), inside });
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let fields = prop::collection::vec((name.clone(), inner.clone()), 0..4);
        let items = prop::collection::vec(inner, 0..4);
        let members = prop::collection::vec((any::<[u8; 8]>(), "[a-z]{0,3}"), 0..4);
        prop_oneof![
            (fields, rest.clone()).prop_map(|(fields, rest)| Inside::Fields(fields, rest)),
            (items, rest.clone()).prop_map(|(items, rest)| Inside::Items(items, rest)),
            (members, rest.clone()).prop_map(|(members, rest)| Inside::Members(members, rest)),
        ]
        .prop_map(|inside| Outline { preview: "x".into(), inside })
    })
}

#[test]
fn many_changes_are_estimated_within_a_fifth() {
    let rows = 200_000;
    for (place, many) in [400_u64, 1_200, 5_000, 30_000, 120_000].into_iter().enumerate() {
        // A fixed, scattered set.
        let step = |at: u64| content(&(at + 1).wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        let mut changed = BTreeSet::new();
        let mut at = place as u64 * 1_000_000;
        while changed.len() < many as usize {
            at += 1;
            changed.insert((step(at) >> 20) % rows);
        }
        let Changed::About(found) = after(Size::Large, rows, &changed) else {
            panic!("{many} changes cannot be told exactly")
        };
        let error = (found as f64 - many as f64).abs() / many as f64;
        assert!(error < 0.2, "{many} changes were taken for {found}");
    }
}

#[test]
fn the_whole_can_change() {
    let rows = 100_000;
    let Changed::About(found) = after(Size::Large, rows, &(0..rows).collect()) else {
        panic!("so many cannot be told exactly")
    };
    assert!(found > 80_000 && found <= rows);
}

#[test]
fn appended_rows_are_found_as_such() {
    let (short, long) =
        (sketch(Size::Large, (0..5000).map(value)), sketch(Size::Large, (0..5009).map(value)));
    assert_eq!(short.compare(&long, 5009), Changed::Exactly((5000..5009).collect()));
    assert_eq!(short.compare(&sketch(Size::Small, (0..5000).map(value)), 5000), Changed::Unknown);
}

#[test]
fn swapped_rows_are_two_changes() {
    let other = |row| match row {
        90 => value(79 + 90),
        169 => value(90),
        row => value(row),
    };
    let (a, b) =
        (sketch(Size::Large, (0..1000).map(value)), sketch(Size::Large, (0..1000).map(other)));
    assert_eq!(a.compare(&b, 1000), Changed::Exactly(vec![90, 169]));
}

#[test]
fn contents_of_any_length_differ() {
    let all: BTreeSet<u64> = (0..40).map(|len| content(&vec![7; len])).collect();
    assert_eq!(all.len(), 40);
    assert_eq!(content(&1_u64.to_le_bytes()), 1);
    assert_ne!(content(b"12345678abcdefgh"), content(b"abcdefgh12345678"));
}

#[test]
fn nesting_has_a_bound() {
    let mut outline = Outline { preview: String::new(), inside: Inside::Leaf([0; 8]) };
    for depth in 2..=OUTLINE_DEPTH + 1 {
        outline = Outline { preview: String::new(), inside: Inside::Items(vec![outline], None) };
        assert_eq!(Outline::decode(&outline.encode().unwrap()).is_ok(), depth <= OUTLINE_DEPTH);
    }
}

/// The format is written down: these bytes are read for ever.
#[test]
fn a_stored_outline_is_still_read() {
    let bytes = b"\x01\x02\x04{\xe2\x80\xa6}\x01\x01\x00\x03\"a\"\x00\x011\x00\x01\x02\x03\x04\x05\x06\x07\x08";
    let mut bytes = bytes.to_vec();
    bytes[2] = 5;
    let leaf = Outline { preview: "1".into(), inside: Inside::Leaf([1, 2, 3, 4, 5, 6, 7, 8]) };
    let fields = vec![(Name::Key("\"a\"".into()), leaf)];
    let outline = Outline { preview: "{…}".into(), inside: Inside::Fields(fields, None) };
    assert_eq!(Outline::decode(&bytes).unwrap(), outline);
    assert_eq!(outline.encode().unwrap(), bytes);
}

#[test]
#[ignore = "a measurement: cargo test --release -p afresh-core --test outline -- --ignored --nocapture"]
fn the_speed_of_a_sketch() {
    let data: Vec<u64> = (0..12_500_000).map(value).collect();
    let begun = std::time::Instant::now();
    let mut sketcher = Sketcher::new(Size::Large);
    sketcher.extend(&data);
    let sketch = sketcher.finish();
    eprintln!("100 MB of f8 in {:?}", begun.elapsed());
    assert_eq!(sketch.compare(&sketch, 1), Changed::Exactly(vec![]));
}
