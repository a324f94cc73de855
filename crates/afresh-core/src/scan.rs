//! Looking through entries. A scan may return too much, never too little: whoever asks filters.

use bytes::Bytes;

use crate::{Entry, Key, Space, Status, Tag, Timestamp};

/// The order of a scan's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By key, ascending.
    #[default]
    Key,
    /// By the time label, newest first, on stores that are `ordered`; others answer in any order.
    Newest,
}

/// What to look for. All conditions hold together.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Where.
    pub space: Space,
    /// Keys that begin so.
    pub prefix: Bytes,
    /// Entries of this function.
    pub function: Option<String>,
    /// Entries with this status.
    pub status: Option<Status>,
    /// Entries with all these tags; a tag without a value means "has the key".
    pub tags: Vec<Tag>,
    /// Entries of this group.
    pub group: Option<u64>,
    /// Entries of this moment or later.
    pub since: Option<Timestamp>,
    /// In which order.
    pub order: Order,
    /// At most this many in the page; a page may be shorter and yet not the last.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<Bytes>,
}

impl Scan {
    /// Everything in `space`, by key, a thousand at a time.
    pub fn new(space: Space) -> Self {
        Self {
            space,
            prefix: Bytes::new(),
            function: None,
            status: None,
            tags: Vec::new(),
            group: None,
            since: None,
            order: Order::Key,
            limit: 1000,
            cursor: None,
        }
    }

    /// Whether an entry is one of those looked for (the space and the cursor aside).
    pub fn matches(&self, key: &Key, entry: &Entry) -> bool {
        let labels = &entry.labels;
        key.bytes().starts_with(&self.prefix)
            && self.function.as_ref().is_none_or(|name| labels.function.as_ref() == Some(name))
            && self.status.is_none_or(|status| labels.status == Some(status))
            && self.tags.iter().all(|wanted| labels.tags.iter().any(|tag| wanted.selects(tag)))
            && self.group.is_none_or(|group| labels.group == Some(group))
            && self.since.is_none_or(|since| labels.time.is_some_and(|time| time >= since))
    }
}

/// Where keys that begin so end, for a range of keys: the first that sorts after all of them; `None` where nothing does.
///
/// ```
/// assert_eq!(afresh_core::prefix_end(&[7, 255]).as_deref(), Some(&[8][..]));
/// assert_eq!(afresh_core::prefix_end(&[255]), None);
/// ```
pub fn prefix_end(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end.into())
}

/// Some of a scan's answers.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries. Their `attached` is always `None`.
    pub entries: Vec<(Key, Entry)>,
    /// Where to go on; `None` when this was the last page.
    pub next: Option<Bytes>,
}
