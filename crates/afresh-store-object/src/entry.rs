//! Under what name an entry is stored. Specified in `docs/format-store-object.md`.
//!
//! Invariant: names of short keys are in the order of the keys, and what keys with one prefix have in common their names
//! have too.

use afresh_core::{ObjectId, Space};

/// Keys up to this length are spelled out in the name; of longer ones only their beginning is.
const SPELLED: usize = 100;

/// How much of a longer key is spelled out.
const BEGINNING: usize = 80;

/// The folder of a space.
pub(crate) fn folder(space: Space) -> &'static str {
    match space {
        Space::Head => "head",
        Space::Commit => "commit",
        Space::Lease => "lease",
        Space::Count => "count",
        Space::Named => "named",
    }
}

/// The folder in its folder in which a name is: its beginning, so that the order of paths is that of names.
pub(crate) fn part(name: &str) -> &str {
    let digits = usize::from(name.starts_with('k'));
    let more = name.bytes().skip(digits).take(2).take_while(u8::is_ascii_hexdigit).count();
    name.get(..digits + more).unwrap_or(name)
}

/// The name of a key within its folder.
pub(crate) fn name(key: &[u8]) -> String {
    match key.get(..BEGINNING) {
        Some(beginning) if key.len() > SPELLED => {
            let digest = ObjectId::of(key);
            format!("k{}-{}", hex(beginning), hex(digest.as_bytes()))
        }
        _ => format!("k{}", hex(key)),
    }
}

/// What the names of all keys that begin with `prefix` begin with.
pub(crate) fn common(prefix: &[u8]) -> String {
    format!("k{}", hex(prefix.get(..BEGINNING).unwrap_or(prefix)))
}

/// A text that is not less than the names before those that begin with `stem`, and less than those.
pub(crate) fn before(stem: &str) -> String {
    let mut text = stem.to_owned();
    // After all digits there is room up to the next one.
    match text.pop() {
        None | Some('0') => {}
        Some('a') => text.push_str("9z"),
        Some(last) => {
            text.extend(char::from_u32(u32::from(last).saturating_sub(1)));
            text.push('z');
        }
    }
    text
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_the_order_of_names() {
        let names = ["k", "k!a", "k00", "k61", "k61!z", "k6100", "k61ff-0", "k6a"];
        let paths = names.map(|name| format!("{}/{name}", part(name)));
        assert_eq!(paths[..3], ["k/k", "k/k!a", "k00/k00"]);
        assert_eq!(paths[6], "k61/k61ff-0");
        assert!(names.is_sorted() && paths.is_sorted(), "{paths:?}");
        assert_eq!((part("0af9"), part("jz"), part("k69z")), ("0a", "", "k69"));
    }

    #[test]
    fn names_keep_prefixes_and_fit_in_a_file_name() {
        for len in [0, 1, 79, 80, 81, 100, 101, 512] {
            let key: Vec<u8> = (0..len).map(|n| (n % 256) as u8).collect();
            assert!(name(&key).len() <= 240, "{len}");
            for prefix in 0..=len {
                let common = common(&key[..prefix]);
                assert!(name(&key).starts_with(&common), "{prefix} of {len}");
                assert!(before(&common) < name(&key));
            }
        }
        assert!(before("k62") > name(b"a\xff\xff"));
        assert!(before("k6a") > name(b"\x69\xff") && before("k6a") < name(b"\x6a"));
        assert!(before("k60") > name(b"\x5f\xff") && before("k60") < name(b"\x60"));
        assert_ne!(name(&[1; 101]), name(&[1; 102]));
    }
}
