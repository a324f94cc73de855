//! What the nouns promise, through the public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use afresh_core::fp1::{Digest, Encoder};
use afresh_core::{
    Argument, Commit, CommitId, Error, Failure, Fingerprint, FunctionId, Head, Kept, Kind,
    ObjectId, ObjectRef, Outcome, Outlined, Retry, Status, Tag, Timestamp, Who,
};

fn digest(write: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::new();
    write(&mut encoder);
    encoder.finish().to_string()
}

fn commit(outcome: Outcome) -> Commit {
    Commit {
        fingerprint: Fingerprint::new([1; 32]),
        function: "etl.clean".into(),
        function_id: FunctionId::new([2; 32]),
        function_record: Some(ObjectId::of(b"record")),
        arguments: vec![Argument {
            name: "path".into(),
            digest: Digest([3; 32]),
            preview: "'a.csv'".into(),
            source: None,
        }],
        parent: None,
        inputs: vec![CommitId::new([4; 32])],
        outcome,
        started: Timestamp::from_millis(1_700_000_000_000),
        took_us: 1_500,
        ttl_ms: None,
        tags: vec![Tag::new("team", Some("a".into())).unwrap()],
        who: Who { user: "ana".into(), host: "box".into(), pid: 7 },
        nonce: 9,
        outlines: Vec::new(),
    }
}

fn kept() -> Outcome {
    Outcome::Completed(Kept::Object {
        object: ObjectRef { id: ObjectId::of(b"value"), len: 5 },
        codec: "json".into(),
        signature: None,
        value: None,
        inline: None,
    })
}

#[test]
fn ids_round_trip_and_refuse_other_text() {
    let id = ObjectId::of(b"abc");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    for text in ["", "12", &"g".repeat(64), &"é".repeat(32), &format!("{id}0")] {
        assert!(text.parse::<ObjectId>().is_err(), "{text}");
    }
    assert_eq!(ObjectId::of_parts([b"a".as_slice(), b"bc"]), id);
}

#[test]
fn integers_are_minimal_and_of_any_size() {
    assert_eq!(digest(|e| e.int(0)), digest(|e| e.big_int(&[0, 0, 0])));
    assert_eq!(digest(|e| e.int(-1)), digest(|e| e.big_int(&[0xff; 40])));
    assert_eq!(digest(|e| e.int(255)), digest(|e| e.big_int(&[0xff, 0])));
    assert_ne!(digest(|e| e.int(255)), digest(|e| e.int(-1)));
    assert_ne!(digest(|e| e.int(128)), digest(|e| e.int(-128)));
}

#[test]
fn types_and_nesting_do_not_collide() {
    let all = [
        digest(Encoder::none),
        digest(|e| e.bool(false)),
        digest(|e| e.bool(true)),
        digest(|e| e.int(1)),
        digest(|e| e.float(1.0)),
        digest(|e| e.float(0.0)),
        digest(|e| e.float(-0.0)),
        digest(|e| e.complex(1.0, 0.0)),
        digest(|e| e.str("1")),
        digest(|e| e.bytes(b"1")),
        digest(|e| e.list(0)),
        digest(|e| e.tuple(0)),
        digest(|e| e.set(false, vec![])),
        digest(|e| e.set(true, vec![])),
        digest(|e| e.dict(vec![])),
        digest(|e| e.node("list", 0)),
        digest(|e| e.back(0)),
        digest(|e| e.opaque("x", b"")),
        digest(|e| {
            e.list(1);
            e.list(0);
        }),
        digest(|e| {
            e.list(2);
            e.str("a");
            e.str("b");
        }),
        digest(|e| {
            e.list(1);
            e.str("ab");
        }),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(digest(|e| e.float(f64::NAN)), digest(|e| e.float(-f64::NAN)));
}

#[test]
fn unordered_containers_have_no_order() {
    let (a, b) = (Digest([1; 32]), Digest([2; 32]));
    assert_eq!(digest(|e| e.set(false, vec![a, b])), digest(|e| e.set(false, vec![b, a])));
    assert_eq!(digest(|e| e.dict(vec![(a, b), (b, a)])), digest(|e| e.dict(vec![(b, a), (a, b)])));
    assert_ne!(digest(|e| e.dict(vec![(a, b)])), digest(|e| e.dict(vec![(b, a)])));
}

#[test]
fn commits_round_trip_and_name_their_bytes() {
    let failed = Outcome::Failed(Failure {
        kind: "ValueError".into(),
        message: "no".into(),
        traceback: "…".into(),
    });
    for outcome in [kept(), Outcome::Completed(Kept::No { reason: "a lock".into() }), failed] {
        let commit = commit(outcome);
        let (id, bytes) = commit.encode().unwrap();
        assert_eq!(Commit::decode(&id, &bytes).unwrap(), commit);
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert_eq!(Commit::decode(&id, &damaged).unwrap_err().kind(), Kind::Corrupt);
        }
    }
}

#[test]
fn outlines_stand_behind_a_commit_that_has_some() {
    let plain = commit(kept());
    let (_, before) = plain.encode().unwrap();
    assert_eq!(before[0], 1);
    let inline = Outlined {
        argument: 0,
        object: ObjectRef { id: ObjectId::of(b"small"), len: 5 },
        inline: Some(b"small".to_vec()),
    };
    let stored = Outlined {
        argument: 1,
        object: ObjectRef { id: ObjectId::of(b"large"), len: 5 },
        inline: None,
    };
    let outlined = Commit { outlines: vec![inline, stored.clone()], ..plain };
    let (id, bytes) = outlined.encode().unwrap();
    assert_eq!((bytes[0], &bytes[1..before.len()]), (2, &before[1..]));
    assert_eq!(Commit::decode(&id, &bytes).unwrap(), outlined);
    let explained: Vec<_> = outlined.explanations().collect();
    assert_eq!(explained, [ObjectId::of(b"record"), stored.object.id]);
    // None of them is written as if there were no such thing.
    let mut none = before.to_vec();
    none[0] = 2;
    none.push(0);
    assert_eq!(Commit::decode(&Commit::id_of(&none), &none).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn heads_round_trip_and_refuse_other_formats() {
    let head = Head {
        commit: CommitId::new([1; 32]),
        started: Timestamp::from_millis(1),
        created: Timestamp::from_millis(2),
        took_us: 3,
        ttl_ms: Some(4),
        codec: "pickle".into(),
        signature: Some([5; 32]),
        value: None,
        object: ObjectRef { id: ObjectId::of(b"x"), len: 1 },
        inline: Some(b"x".to_vec()),
    };
    let bytes = head.encode().unwrap();
    assert_eq!(Head::decode(&bytes).unwrap(), head);
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    assert!(Head::decode(&newer).unwrap_err().to_string().contains("format 2"));
    for end in 0..bytes.len() {
        assert_eq!(Head::decode(&bytes[..end]).unwrap_err().kind(), Kind::Corrupt);
    }
}

#[test]
fn tags_parse_and_select() {
    let tag: Tag = "team=a=b".parse().unwrap();
    assert_eq!((tag.key.as_str(), tag.value.as_deref()), ("team", Some("a=b")));
    assert_eq!(tag.to_string(), "team=a=b");
    assert!("team".parse::<Tag>().unwrap().selects(&tag));
    assert!(!"team=a".parse::<Tag>().unwrap().selects(&tag));
    for text in ["", "=a", "a\nb", &"x".repeat(300)] {
        let error = text.parse::<Tag>().unwrap_err();
        assert!(error.hint().unwrap().contains("key=value"), "{text}");
    }
}

#[test]
fn errors_say_where_and_whether_to_retry() {
    let error = Error::new(Kind::Unavailable, "the server is down")
        .with_store("redis://box")
        .with_op("get")
        .with_source(std::io::Error::other("refused"));
    assert_eq!(error.retry(), Retry::Maybe);
    assert_eq!(error.to_string(), "the server is down [get on redis://box]: refused");
    assert_eq!("pending".parse::<Status>().unwrap_err().kind(), Kind::Config);
}
