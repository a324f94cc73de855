//! The vectors of `docs/format-fp1.md` that mean the same in every language.

use std::collections::HashMap;

use afresh_core::fp1::{Digest, Encoder};

fn digest(write: impl FnOnce(&mut Encoder)) -> Digest {
    let mut encoder = Encoder::new();
    write(&mut encoder);
    encoder.finish()
}

fn ints(encoder: &mut Encoder, count: usize) {
    encoder.list(count);
    (0..count).for_each(|_| encoder.int(1));
}

fn squares(encoder: &mut Encoder) {
    let numbers = (0..100).map(|n| digest(|e| e.int(n)));
    encoder.dict(numbers.map(|number| (number, number)).collect());
}

/// A value, and how it is written.
type Vector = (&'static str, fn(&mut Encoder));

const VECTORS: &[Vector] = &[
    ("None", Encoder::none),
    ("False", |e| e.bool(false)),
    ("True", |e| e.bool(true)),
    ("0", |e| e.int(0)),
    ("1", |e| e.int(1)),
    ("-1", |e| e.int(-1)),
    ("127", |e| e.int(127)),
    ("128", |e| e.int(128)),
    ("-128", |e| e.int(-128)),
    ("255", |e| e.int(255)),
    ("256", |e| e.int(256)),
    ("2**63", |e| e.big_int(&(1_i128 << 63).to_le_bytes())),
    ("-2**63", |e| e.int(i64::MIN)),
    ("2**64", |e| e.big_int(&(1_i128 << 64).to_le_bytes())),
    ("0.0", |e| e.float(0.0)),
    ("-0.0", |e| e.float(-0.0)),
    ("1.0", |e| e.float(1.0)),
    ("float('nan')", |e| e.float(-f64::NAN)),
    ("float('inf')", |e| e.float(f64::INFINITY)),
    ("0.1", |e| e.float(0.1)),
    ("1j", |e| e.complex(0.0, 1.0)),
    ("complex(1, -0.0)", |e| e.complex(1.0, -0.0)),
    ("''", |e| e.str("")),
    ("'a'", |e| e.str("a")),
    ("'1'", |e| e.str("1")),
    ("'é'", |e| e.str("é")),
    ("'\\ud800'", |e| e.wtf8(b"\xed\xa0\x80")),
    ("'a' * 1015", |e| e.str(&"a".repeat(1015))),
    ("'a' * 1016", |e| e.str(&"a".repeat(1016))),
    ("'a' * 100000", |e| e.str(&"a".repeat(100_000))),
    ("b''", |e| e.bytes(b"")),
    ("b'a'", |e| e.bytes(b"a")),
    ("b'a' * 100000", |e| e.bytes(&b"a".repeat(100_000))),
    ("[]", |e| e.list(0)),
    ("[1]", |e| ints(e, 1)),
    ("[[], []]", |e| {
        e.list(2);
        e.list(0);
        e.list(0);
    }),
    ("[[[]]]", |e| {
        e.list(1);
        e.list(1);
        e.list(0);
    }),
    ("['a', 'b']", |e| {
        e.list(2);
        e.str("a");
        e.str("b");
    }),
    ("['ab']", |e| {
        e.list(1);
        e.str("ab");
    }),
    ("['a' * 1015]", |e| {
        e.list(1);
        e.str(&"a".repeat(1015));
    }),
    ("['a' * 1016]", |e| {
        e.list(1);
        e.digest(&digest(|e| e.str(&"a".repeat(1016))));
    }),
    ("[[1] * 101]", |e| {
        e.list(1);
        ints(e, 101);
    }),
    ("[[1] * 102]", |e| {
        e.list(1);
        e.digest(&digest(|e| ints(e, 102)));
    }),
    ("[1] * 10000", |e| ints(e, 10_000)),
    ("[[1] * 10000, 2]", |e| {
        e.list(2);
        ints(e, 10_000);
        e.int(2);
    }),
    ("()", |e| e.tuple(0)),
    ("(1, 2)", |e| {
        e.tuple(2);
        e.int(1);
        e.int(2);
    }),
    ("(1, (2, 3))", |e| {
        e.tuple(2);
        e.int(1);
        e.tuple(2);
        e.int(2);
        e.int(3);
    }),
    ("set()", |e| e.set(false, vec![])),
    ("{1, 2, 3}", |e| e.set(false, [3, 1, 2].map(|n| digest(|e| e.int(n))).to_vec())),
    ("frozenset()", |e| e.set(true, vec![])),
    ("frozenset({'a', 'b'})", |e| {
        e.set(true, ["b", "a"].map(|text| digest(|e| e.str(text))).to_vec());
    }),
    ("{}", |e| e.dict(vec![])),
    ("{'a': 1}", |e| e.dict(vec![(digest(|e| e.str("a")), digest(|e| e.int(1)))])),
    ("{i: i for i in range(100)}", squares),
    ("[{i: i for i in range(100)}]", |e| {
        e.list(1);
        squares(e);
    }),
    ("range(3)", |e| {
        e.node("range", 3);
        e.int(0);
        e.int(3);
        e.int(1);
    }),
    ("...", |e| e.node("ellipsis", 0)),
    ("datetime.date(2020, 2, 29)", |e| {
        e.node("date", 3);
        e.int(2020);
        e.int(2);
        e.int(29);
    }),
    ("fractions.Fraction(1, 3)", |e| {
        e.node("fraction", 2);
        e.int(1);
        e.int(3);
    }),
    ("np.arange(6).reshape(2, 3)", |e| {
        let elements: Vec<u8> = (0..6_i64).flat_map(i64::to_le_bytes).collect();
        e.array("i8", &[2, 3], blake3::hash(&elements).as_bytes());
    }),
    ("np.zeros((0, 3), 'f4')", |e| e.array("f4", &[0, 3], blake3::hash(b"").as_bytes())),
];

#[test]
fn the_documented_vectors_hold() {
    let document = include_str!("../../../docs/format-fp1.md");
    let documented: HashMap<&str, &str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `"))
        .collect();
    for (value, write) in VECTORS {
        assert_eq!(documented.get(value), Some(&digest(write).to_string().as_str()), "{value}");
    }
}
