//! The pickle reader against real pickles of every protocol, and against bytes that no pickler writes.

use afresh_cli::pickle::{Limits, literal};
use proptest::collection::vec;
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/pickles/{name}.pickle", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn shown(bytes: &[u8]) -> String {
    literal(bytes, &Limits::default()).unwrap().text
}

#[test]
fn plain_values_look_the_same_in_every_protocol() {
    let last = shown(&fixture("plain-5"));
    insta::assert_snapshot!(last, @r#"
    {
        'none': None,
        'truth': [True, False],
        'ints': [
            0,
            -1,
            255,
            65536,
            -2147483648,
            2147483648,
            9223372036854775808,
            -18446744073709551616,
            10000000000000000000000000000000000000000,
        ],
        'floats': [0.5, -0.0, 1e+16, 1e-07, inf],
        'text': ['', "it's", '日本\n\x1b[31m', 'a\\b', '\u202e'],
        'bytes': [b'', b"\x00\xffab'"],
        'bytearray': bytearray(b'xyz'),
        'tuples': [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        'sets': [set(), {7}, frozenset(), frozenset({8})],
        'nested': {'a': {(1, 2): [[], {}]}},
    }
    "#);
    for protocol in 0..5 {
        let text = shown(&fixture(&format!("plain-{protocol}")));
        assert_eq!(text, last, "protocol {protocol}");
    }
}

#[test]
fn objects_are_described_not_made() {
    insta::assert_snapshot!(shown(&fixture("objects-5")), @r"
    [
        <etl.Point(x=1, y=2)>,
        <etl.Slotted(x=3, label='s')>,
        <etl.Bag(name='b', 1, 2)>,
        <collections.OrderedDict('a': 1)>,
        <collections.deque(1, 2)>,
        <collections.defaultdict(<builtins.int>, 'a': 1)>,
        <datetime.date(b'\x07\xea\x01\x02')>,
        <decimal.Decimal('1.5')>,
        <builtins.complex(1.0, 2.0)>,
        <builtins.range(0, 3, 1)>,
        <builtins.len>,
        <etl.Point>,
        [[1], [1], [...]],
    ]
    ");
    insta::assert_snapshot!(shown(&fixture("objects-0")), @r"
    [
        <etl.Point(x=1, y=2)>,
        <etl.Bag([1, 2], name='b')>,
        <collections.OrderedDict('a': 1)>,
        <collections.deque(1, 2)>,
        <collections.defaultdict(<__builtin__.long>, 'a': 1)>,
        <datetime.date(b'\x07\xea\x01\x02')>,
        <decimal.Decimal('1.5')>,
        <__builtin__.complex(1.0, 2.0)>,
        <__builtin__.xrange(0, 3, 1)>,
        <__builtin__.len>,
        <etl.Point>,
        [[1], [1], [...]],
    ]
    ");
    for protocol in 1..5 {
        shown(&fixture(&format!("objects-{protocol}")));
    }
}

#[test]
fn frames_and_their_buffers_are_read() {
    insta::assert_snapshot!(shown(&fixture("framed")), @"{'data': <buffer of 10 B>, 'n': 3}");
}

#[test]
fn attacks_are_only_told() {
    let attacks: [&[u8]; 6] = [
        b"cos\nsystem\n(S'rm -rf /'\ntR.",
        b"(S'rm'\nios\nsystem\n.",
        b"\x80\x02c__builtin__\neval\n(X\x04\x00\x00\x001//0tR}X\x01\x00\x00\x00aK\x01sb.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"(cos\nsystem\nS'id'\no.",
        b"c\x1b[31mos\nsystem\n.",
    ];
    let told: Vec<_> = attacks.map(shown).to_vec();
    insta::assert_snapshot!(told.join("\n"), @r"
    <os.system('rm -rf /')>
    <os.system('rm')>
    <__builtin__.eval('1//0', a=1)>
    <os.system('id')>
    <os.system('id')>
    <\u{1b}[31mos.system>
    ");
}

#[test]
fn what_is_too_long_or_too_deep_is_cut() {
    let mut deep = vec![b'('; 100_000];
    deep.extend(vec![b't'; 100_000]);
    deep.push(b'.');
    let cut = literal(&deep, &Limits::default()).unwrap();
    assert!(cut.cut);

    // A list in a list in a list, each twice: two to the power of two hundred items.
    let mut bomb = b"\x80\x04]q\x00".to_vec();
    for _ in 0..200 {
        bomb.extend(b"]h\x00ah\x00aq\x00");
    }
    bomb.push(b'.');
    let cut = literal(&bomb, &Limits::default()).unwrap();
    assert!(cut.cut);

    let mut long = b"\x80\x04B".to_vec();
    long.extend(1_000_000u32.to_le_bytes());
    long.extend(vec![0; 1_000_000]);
    long.push(b'.');
    let cut = literal(&long, &Limits { characters: 100, ..Limits::default() }).unwrap();
    assert!(cut.cut && cut.text.chars().count() <= 101, "{}", cut.text);

    let limits = Limits { characters: 300, width: 30, depth: 3 };
    insta::assert_snapshot!(literal(&fixture("plain-5"), &limits).unwrap().text, @r"
    {
        'none': None,
        'truth': [True, False],
        'ints': [
            0,
            -1,
            255,
            65536,
            -2147483648,
            2147483648,
            9223372036854775808,
            -18446744073709551616,
            10000000000000000000000000000000000000000,
        ],
        'floats': [
            0.5,…
    ");
}

#[test]
fn nothing_is_cut_that_has_room() {
    // More bytes than columns.
    let text = "é".repeat(70);
    let pickled = [b"\x80\x04]X", &140u32.to_le_bytes()[..], text.as_bytes(), b"a."].concat();
    let shown = literal(&pickled, &Limits::default()).unwrap();
    assert_eq!((shown.text, shown.cut), (format!("['{text}']"), false));
}

#[test]
fn what_is_no_pickle_is_refused_with_a_place() {
    let wrong: [&[u8]; 8] = [
        b"",
        b".",
        b"N",
        b"\x80\x09N.",
        b"hello",
        b"h\x00.",
        b"K\x01K\x02a.",
        b"X\xff\xff\xff\xffabc.",
    ];
    let told: Vec<_> =
        wrong.map(|bytes| literal(bytes, &Limits::default()).unwrap_err().to_string()).to_vec();
    insta::assert_snapshot!(told.join("\n"), @r"
    the pickle ends too early at byte 0
    nothing on the stack at byte 0
    the pickle ends too early at byte 1
    pickle protocol 9; 0 to 5 are known, at byte 1
    nothing in the memo at byte 1
    nothing in the memo at byte 1
    an append to what is no list at byte 4
    the pickle ends too early at byte 5
    ");
}

/// Opcodes with plausible arguments: random bytes alone hardly ever get past the first opcode.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        8 => prop::sample::select(&b"(]})0125NtlduaesbRo.\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92\x97\x98Q"[..])
            .prop_map(|byte| vec![byte]),
        3 => (prop::sample::select(&b"KqhU\x8cC\x8a"[..]), 0u8..4).prop_map(|(op, n)| vec![op, n]),
        2 => Just(b"\x8c\x02os".to_vec()),
        1 => Just(b"cos\nsystem\n".to_vec()),
        1 => Just(b"cbuiltins\nset\n".to_vec()),
        1 => Just(b"c_codecs\nencode\n".to_vec()),
        1 => Just(b"ccopyreg\n_reconstructor\n".to_vec()),
        1 => Just(b"X\x06\x00\x00\x00latin1".to_vec()),
        1 => Just(b"V\\u00e9\\Uffffffff\\\n".to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    vec(opcode, 0..80).prop_map(|parts| [parts.concat(), b".".to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = literal(&bytes, &Limits::default());
    }

    #[test]
    fn no_program_makes_the_reader_panic(bytes in program(), width in 0usize..100, characters in 0usize..500, depth in 0usize..5) {
        if let Ok(shown) = literal(&bytes, &Limits { width, characters, depth }) {
            prop_assert!(shown.text.chars().count() <= characters + 1);
            prop_assert!(!shown.text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }

    #[test]
    fn no_damage_to_a_real_pickle_makes_the_reader_panic(at in 0usize..400, byte in any::<u8>(), protocol in 0u8..6) {
        let mut bytes = fixture(&format!("objects-{protocol}"));
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = literal(&bytes, &Limits::default());
    }
}
