//! What commits are found by, as names that a list tells. Specified in `docs/format-store-object.md`.
//!
//! Invariant: a label says too much rather than too little. Whoever finds one fetches what it leads to and compares.
//! It does not say whether the commit is there.

use afresh_core::{Labels, ObjectId, Scan, Tag};

use crate::entry::hex;

/// The folder of labels.
pub(crate) const FOLDER: &str = "label";

/// Sorts before all that names are made of, so that labels are in the order of the names.
const MARK: char = '!';

/// What may be anything.
const ANY: &str = "+";

/// A file's name has 255 bytes at most; drivers add some while they write.
const LONGEST: usize = 240;

/// Four bytes that stand for a text.
fn short(text: &str) -> String {
    hex(ObjectId::of(text.as_bytes()).as_bytes().first_chunk::<4>().unwrap_or(&[0; 4]))
}

fn key(tag: &Tag) -> String {
    short(&format!("k{}", tag.key))
}

/// What a tag is found by: with its value where it has one.
fn whole(tag: &Tag) -> String {
    match &tag.value {
        None => key(tag),
        Some(value) => short(&format!("v{}={value}", tag.key)),
    }
}

/// The name of a label of the commit with this name.
pub(crate) fn label(name: &str, labels: &Labels, random: u32) -> String {
    let mut tags: Vec<String> = labels.tags.iter().flat_map(|tag| [key(tag), whole(tag)]).collect();
    tags.sort_unstable();
    tags.dedup();
    let text = |part: Option<String>| part.unwrap_or_default();
    let parts = [
        text(labels.function.as_deref().map(short)),
        text(labels.group.map(|group| format!("{group:016x}"))),
        text(labels.status.map(|status| status.number().to_string())),
        text(labels.time.map(|time| time.as_millis().to_string())),
        tags.concat(),
        format!("{random:08x}"),
    ];
    let label = format!("{name}{MARK}{}", parts.join("."));
    match label.len() <= LONGEST {
        true => label,
        false => format!("{name}{MARK}{ANY}.{random:08x}"),
    }
}

/// The name of the commit that a label leads to, and what it says of it.
pub(crate) fn parts(label: &str) -> Option<(&str, &str)> {
    label.split_once(MARK)
}

/// Greater than all labels of the commit with this name, and less than those of the next.
pub(crate) fn after(name: &str) -> String {
    format!("{name}{MARK}z")
}

/// What a scan looks for, as labels say it.
#[derive(Debug)]
pub(crate) struct Wanted {
    function: Option<String>,
    group: Option<String>,
    status: Option<String>,
    since: Option<i64>,
    tags: Vec<String>,
}

impl Wanted {
    /// `None` where it looks for everything.
    pub(crate) fn new(scan: &Scan) -> Option<Self> {
        let wanted = Self {
            function: scan.function.as_deref().map(short),
            group: scan.group.map(|group| format!("{group:016x}")),
            status: scan.status.map(|status| status.number().to_string()),
            since: scan.since.map(|since| since.as_millis()),
            tags: scan.tags.iter().map(whole).collect(),
        };
        let all = wanted.function.is_none()
            && wanted.group.is_none()
            && wanted.status.is_none()
            && wanted.since.is_none()
            && wanted.tags.is_empty();
        (!all).then_some(wanted)
    }

    /// Whether a commit of which this is said may be one of those.
    pub(crate) fn may_be(&self, said: &str) -> bool {
        let parts: Vec<&str> = said.split('.').collect();
        let [function, group, status, time, tags, _] = parts.as_slice() else { return true };
        let is = |wanted: &Option<String>, part: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == part)
        };
        let found: Vec<&[u8]> = tags.as_bytes().chunks(8).collect();
        is(&self.function, function)
            && is(&self.group, group)
            && is(&self.status, status)
            && self.since.is_none_or(|since| time.parse().map_or(true, |time: i64| time >= since))
            && self.tags.iter().all(|tag| found.contains(&tag.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use afresh_core::{Space, Status, Timestamp};

    use super::*;

    fn tag(key: &str, value: Option<&str>) -> Tag {
        Tag::new(key, value.map(str::to_owned)).unwrap()
    }

    fn labels(tags: Vec<Tag>) -> Labels {
        Labels {
            function: Some("etl.load".to_owned()),
            status: Some(Status::Failed),
            tags,
            group: Some(7),
            time: Some(Timestamp::from_millis(-5)),
        }
    }

    fn may_be(labels: &Labels, scan: Scan) -> bool {
        let label = label("k61", labels, 9);
        let (name, said) = parts(&label).unwrap();
        assert_eq!(name, "k61");
        Wanted::new(&scan).unwrap().may_be(said)
    }

    #[test]
    fn a_label_says_what_its_commit_is_found_by() {
        let all = || Scan::new(Space::Commit);
        let labels = labels(vec![tag("day", Some("monday")), tag("raw", None)]);
        let of = |name: &str| Some(name.to_owned());
        let since = |millis| Some(Timestamp::from_millis(millis));
        for (scan, is) in [
            (Scan { function: of("etl.load"), ..all() }, true),
            (Scan { function: of("etl.save"), ..all() }, false),
            (Scan { group: Some(7), status: Some(Status::Failed), ..all() }, true),
            (Scan { group: Some(8), ..all() }, false),
            (Scan { status: Some(Status::Completed), ..all() }, false),
            (Scan { since: since(-5), ..all() }, true),
            (Scan { since: since(-4), ..all() }, false),
            (Scan { tags: vec![tag("day", None), tag("raw", None)], ..all() }, true),
            (Scan { tags: vec![tag("day", Some("monday"))], ..all() }, true),
            (Scan { tags: vec![tag("day", Some("friday"))], ..all() }, false),
            (Scan { tags: vec![tag("raw", None), tag("none", None)], ..all() }, false),
        ] {
            assert_eq!(may_be(&labels, scan.clone()), is, "{scan:?}");
        }
        assert!(Wanted::new(&all()).is_none());
    }

    #[test]
    fn too_many_tags_may_be_any() {
        let many = (0..50).map(|n| tag("n", Some(&n.to_string()))).collect();
        let many = labels(many);
        let name = "k".repeat(226);
        assert!(label(&name, &Labels::default(), 1).len() <= 255);
        assert!(label("k61", &many, 1).len() <= 255);
        let other = Scan { tags: vec![tag("other", None)], ..Scan::new(Space::Commit) };
        assert!(may_be(&many, other));
    }

    #[test]
    fn labels_are_in_the_order_of_names() {
        for (one, next) in [("k61", "k6100"), ("k61", "k62"), ("k6", "k6-5")] {
            let (one, labels) = (label(one, &Labels::default(), u32::MAX), Labels::default());
            let (name, _) = parts(&one).unwrap();
            assert!(one < after(name), "{one}");
            assert!(after(name) < label(next, &labels, 0), "{one} {next}");
        }
    }
}
