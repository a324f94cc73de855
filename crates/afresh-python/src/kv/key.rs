//! By what the tables of this process find an entry: an area and a name, looked up without making either.
//!
//! Invariant: a [`Key`] and a [`Query`] of the same area and name are equal and have one hash.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::Equivalent;

use super::backend::Area;

pub(crate) struct Key {
    pub(crate) area: Area,
    pub(crate) name: Arc<str>,
}

pub(crate) struct Query<'a> {
    pub(crate) area: Area,
    pub(crate) name: &'a str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Query { area: self.area, name: &self.name }.hash(state);
    }
}

impl Hash for Query<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.area, self.name).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.area == other.area && self.name == other.name
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Query<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.area == key.area && *self.name == *key.name
    }
}
