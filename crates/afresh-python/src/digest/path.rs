//! The containers that are being read, outermost first.
//!
//! A value that is on the path refers to itself and is written as the distance to where it began.
//! Nothing else is ever recognised by its address: two places that share a list and two that hold
//! equal lists are the same value.

use super::address::ByAddress;

/// Up to this depth a scan beats a table.
const SCAN: usize = 48;

#[derive(Default)]
pub(super) struct Path {
    addresses: Vec<usize>,
    deep: ByAddress<usize>,
}

impl Path {
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Where on the path the object at this address began.
    pub(super) fn find(&self, address: usize) -> Option<usize> {
        let near = self.addresses.iter().take(SCAN).position(|other| *other == address);
        near.or_else(|| self.deep.get(&address).copied())
    }

    pub(super) fn push(&mut self, address: usize) {
        if self.addresses.len() >= SCAN {
            self.deep.insert(address, self.addresses.len());
        }
        self.addresses.push(address);
    }

    pub(super) fn pop(&mut self) {
        if let Some(address) = self.addresses.pop()
            && self.addresses.len() >= SCAN
        {
            self.deep.remove(&address);
        }
    }

    pub(super) fn clear(&mut self) {
        self.addresses.clear();
        self.deep.clear();
    }
}
