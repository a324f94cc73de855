//! Where arguments differ inside, and that what tells it is kept as long as its execution.

use afresh_core::sketch::{Size, Sketcher};
use afresh_core::{Bytes, Cells, CommitId, INLINE_MAX, Inside, Name, Outline, Rest, Rows};
use afresh_engine::{Engine, GcOptions, Inner, Turn};
use pollster::block_on;
use proptest::prelude::*;

use crate::support::*;

fn leaf(number: u64) -> Outline {
    Outline { preview: number.to_string(), inside: Inside::Leaf(number.to_le_bytes()) }
}

fn keys(fields: &[(&str, Outline)]) -> Outline {
    let fields = fields.iter().map(|(key, part)| (Name::Key(format!("\"{key}\"")), part.clone()));
    Outline { preview: "{…}".into(), inside: Inside::Fields(fields.collect(), None) }
}

fn items(numbers: &[u64]) -> Outline {
    let items = numbers.iter().map(|number| leaf(*number)).collect();
    Outline { preview: "[…]".into(), inside: Inside::Items(items, None) }
}

fn rows(shape: &[u64], content: impl Fn(u64) -> u64) -> Outline {
    let mut sketcher = Sketcher::new(Size::Large);
    let all: Vec<u64> = (0..shape.iter().product()).map(content).collect();
    sketcher.extend(&all);
    let cells = Cells::Sketch(sketcher.finish());
    let rows = Rows { dtype: "float64".into(), shape: shape.to_vec(), cells };
    Outline { preview: "float64".into(), inside: Inside::Rows(rows) }
}

fn told(a: &Outline, b: &Outline) -> (String, Vec<String>) {
    let inner = Inner::of(a, b).unwrap();
    (inner.headline("x"), inner.lines("x"))
}

fn headline(a: &Outline, b: &Outline) -> String {
    let (headline, lines) = told(a, b);
    assert!(lines.is_empty(), "{lines:?}");
    headline
}

#[test]
fn a_path_leads_to_what_changed() {
    let config = |depth| keys(&[("model", keys(&[("depth", leaf(depth)), ("width", leaf(9))]))]);
    assert_eq!(headline(&config(3), &config(4)), "x[\"model\"][\"depth\"]: 3 → 4");
    assert_eq!(headline(&keys(&[]), &keys(&[("a", leaf(1))])), "x[\"a\"] is new: 1");
    assert_eq!(headline(&keys(&[("a", leaf(1))]), &keys(&[])), "x[\"a\"] is gone: 1");
    assert_eq!(headline(&leaf(1), &keys(&[])), "x: 1 → {…}");
    assert!(Inner::of(&config(3), &config(3)).is_none());
}

#[test]
fn items_are_counted_and_found_where_they_moved() {
    let many: Vec<u64> = (0..50).collect();
    let mut other = many.clone();
    (other[7], other[30]) = (99, 98);
    let (said, lines) = told(&items(&many), &items(&other));
    assert_eq!((said.as_str(), lines.len()), ("2 of 50 items", 2));
    assert_eq!(lines[1], "x[30]: 30 → 98");
    other = many.clone();
    other.insert(20, 77);
    assert_eq!(headline(&items(&many), &items(&other)), "x[20] is new: 77");
    assert_eq!(headline(&items(&other), &items(&many)), "x[20] is gone: 77");
    let all = Inner::of(&items(&[0; 40]), &items(&[1; 40])).unwrap();
    assert_eq!((all.differences.len(), all.more), (8, 32));
    assert_eq!(all.lines("x").last().unwrap(), "and 32 more");
}

#[test]
fn members_come_and_go() {
    let set = |members: &[u64]| Outline {
        preview: "set".into(),
        inside: Inside::Members(
            members.iter().map(|n| (n.to_le_bytes(), n.to_string())).collect(),
            None,
        ),
    };
    assert_eq!(headline(&set(&[1, 2]), &set(&[2, 1, 3])), "x: 3 is new");
    let inner = Inner::of(&set(&[1, 2]), &set(&[2])).unwrap();
    assert_eq!(inner.differences[0].turn, Turn::Removed);
}

#[test]
fn rows_of_columns_and_elements_of_arrays() {
    let plain = |row: u64| row;
    let changed = |row: u64| if [5, 77, 900].contains(&row) { 1 << 40 } else { row };
    let table = |price: Outline, count: u64| {
        let columns = vec![
            (Name::Column("\"price\"".into()), price),
            (Name::Column("\"n\"".into()), rows(&[count], plain)),
        ];
        Outline { preview: "<DataFrame>".into(), inside: Inside::Fields(columns, None) }
    };
    let (a, b) = (table(rows(&[12_000], plain), 12_000), table(rows(&[12_000], changed), 12_000));
    let (said, lines) = told(&a, &b);
    assert_eq!(said, "column `price`, 3 of 12,000 rows");
    assert_eq!(lines, ["x[\"price\"]: 3 of 12,000 rows: 5, 77, 900"]);
    let longer = table(rows(&[12_005], plain), 12_005);
    assert_eq!(headline(&a, &longer), "12,000 → 12,005 rows, the first 12,000 are the same");
    assert_eq!(headline(&b, &longer), "12,000 → 12,005 rows");
    let (grid, other) = (rows(&[100, 8], plain), rows(&[100, 8], changed));
    assert_eq!(told(&grid, &other).1, ["x: 2 of 800 elements: x[0, 5], x[9, 5]"]);
    assert_eq!(headline(&grid, &rows(&[8, 100], plain)), "shape (100, 8) → (8, 100)");
    let many = rows(&[12_000], |row| row + (row % 2) * (1 << 50));
    let said = headline(&rows(&[12_000], plain), &many);
    assert!(said.starts_with("about ") && said.ends_with(" of 12,000 elements"), "{said}");
}

#[test]
fn what_was_left_out_is_not_called_different() {
    let cut = |whole: u8| Outline {
        preview: "<cut>".into(),
        inside: Inside::Items(vec![], Some(Rest { count: 1, whole: [whole; 8] })),
    };
    assert!(Inner::of(&cut(1), &cut(1)).is_none());
    assert!(Inner::of(&cut(1), &keys(&[("a", leaf(1))])).is_none());
    assert_eq!(headline(&cut(1), &cut(2)), "x: <cut> (looks the same, is not)");
    let part = |number, rest: u8| Outline {
        preview: "{…}".into(),
        inside: Inside::Fields(
            vec![(Name::Key("1".into()), leaf(number))],
            Some(Rest { count: 499, whole: [rest; 8] }),
        ),
    };
    assert_eq!(headline(&part(1, 1), &part(2, 2)), "x[1]: 1 → 2");
    assert_eq!(headline(&part(1, 1), &part(1, 2)), "some of 500 parts");
}

proptest! {
    /// Whatever was written by others is compared and told without trouble.
    #[test]
    fn damaged_outlines_are_refused_or_compared(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let rest = Some(Rest { count: u64::MAX, whole: [1; 8] });
        let fields = vec![
            (Name::Key("1".into()), items(&[1, 2, 3])),
            (Name::Column("\"a\"".into()), rows(&[20, 2], |row| row)),
            (Name::Part("index".into()), Outline { preview: String::new(), inside: Inside::Items(vec![], rest) }),
        ];
        let outline = Outline { preview: "x".into(), inside: Inside::Fields(fields, None) };
        let mut bytes = outline.encode().unwrap();
        for (place, flip) in flips {
            let len = bytes.len();
            bytes[place.index(len.min(60))] ^= flip;
        }
        if let Ok(other) = Outline::decode(&bytes) {
            for inner in [Inner::of(&outline, &other), Inner::of(&other, &outline)].into_iter().flatten() {
                prop_assert!(!inner.headline("x").is_empty());
                prop_assert!(inner.lines("x").len() <= 9);
            }
        }
    }
}

/// Computes `f(n)` with an outline of its argument.
fn outlined(engine: &Engine, n: i64, outline: &Outline) -> CommitId {
    let ticket = ticket(engine, "f", n).outlined(vec![(0, Bytes::from(outline.encode().unwrap()))]);
    block_on(ticket.finish(execution("f", n), output("value"))).unwrap().commit
}

fn shown(engine: &Engine, id: &CommitId) -> afresh_core::Commit {
    block_on(engine.show(id)).unwrap().unwrap()
}

#[test]
fn an_outline_lives_as_long_as_its_execution() {
    for (engine, _dir) in engines() {
        let (small, large) = (items(&[1, 2]), rows(&[5000], |row| row));
        let one = outlined(&engine, 1, &small);
        let two = outlined(&engine, 2, &large);
        let three = outlined(&engine, 3, &large);
        let kept = &shown(&engine, &one).outlines[0];
        assert!(kept.inline.is_some() && kept.object.len <= INLINE_MAX as u64);
        let (second, third) = (shown(&engine, &two), shown(&engine, &three));
        assert_eq!(second.outlines, third.outlines, "equal outlines are one object");
        std::thread::sleep(std::time::Duration::from_millis(15));
        block_on(engine.gc(&GcOptions::default())).unwrap();
        block_on(engine.forget(&second.fingerprint)).unwrap();
        block_on(engine.gc(&GcOptions::default())).unwrap();
        assert_eq!(block_on(engine.outline(&third, "n")).unwrap(), Some(large.clone()));
        let mut archive = Vec::new();
        block_on(engine.export(&mut archive)).unwrap();
        let other = memory();
        block_on(other.import(&archive[..])).unwrap();
        block_on(other.gc(&GcOptions::default())).unwrap();
        for id in [&one, &three] {
            let commit = shown(&other, id);
            let outline = block_on(other.outline(&commit, "n")).unwrap();
            assert_eq!(outline, block_on(engine.outline(&commit, "n")).unwrap());
            assert!(outline.is_some());
        }
        assert!(block_on(other.verify(false, |_, _| ())).unwrap().is_clean());
        block_on(engine.clear()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(15));
        block_on(engine.gc(&GcOptions::default())).unwrap();
        let left = block_on(engine.store().read(&third.outlines[0].object.id)).unwrap();
        assert!(left.is_none(), "nothing refers to it any more");
    }
}

#[test]
fn a_lost_outline_costs_an_explanation() {
    let engine = memory();
    let (one, two) = (
        outlined(&engine, 1, &rows(&[900], |r| r)),
        outlined(&engine, 2, &rows(&[900], |r| r + 1)),
    );
    let (one, two) = (shown(&engine, &one), shown(&engine, &two));
    let said = |inner: &Option<Inner>| inner.as_ref().map(|inner| inner.headline("n"));
    let found = block_on(engine.diff(&one, &two)).unwrap();
    assert!(said(&found.arguments[0].inside).unwrap().ends_with(" of 900 elements"));
    block_on(engine.store().remove(&[one.outlines[0].object.id], std::time::Duration::ZERO))
        .unwrap();
    assert!(block_on(engine.diff(&one, &two)).unwrap().arguments[0].inside.is_none());
    assert!(block_on(engine.verify(false, |_, _| ())).unwrap().is_clean());
}
