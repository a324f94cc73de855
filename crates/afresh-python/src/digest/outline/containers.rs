//! Lists, tuples, dicts and sets: each member while they are few, some or hashes of them where they are many.

use afresh_core::{Inside, Name, Rest, Short, short};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::tree::{Fields, Maker};
use crate::preview::preview;

/// A list with more items is told by hashes of them.
const ITEMS: usize = 64;
/// Of a dict or set with more members, those with the smallest digests are told.
const MEMBERS: usize = 128;
/// A list, dict or set with more members is not looked into.
const MOST: usize = 1 << 20;

impl<'py> Maker<'py> {
    pub(super) fn dict(
        &mut self,
        dict: &Bound<'py, PyDict>,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Option<Inside>> {
        if dict.len() > MOST {
            return Ok(None);
        }
        let mut pairs: Vec<_> = dict.iter().collect();
        if pairs.len() > MEMBERS {
            let mut keyed = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                keyed.push((self.digest(&key)?, key, value));
            }
            keyed.sort_by_key(|(digest, ..)| *digest);
            pairs = keyed.into_iter().map(|(_, key, value)| (key, value)).take(MEMBERS).collect();
        }
        let mut found = Fields::new();
        for (key, value) in pairs {
            if self.is_exhausted() {
                break;
            }
            let mut text = label_name(&key);
            if text.contains('…') || text.ends_with('>') {
                // Another key may look like it.
                text.push_str(&format!(
                    " #{}",
                    self.digest(&key)?.to_string().get(..8).unwrap_or_default()
                ));
            }
            let name = match key.cast_exact::<PyString>() {
                Ok(key) => key.to_string_lossy().into_owned(),
                Err(_) => String::new(),
            };
            self.charge_name(&text);
            found.push((Name::Key(text), self.value(&name, &value, depth)?));
        }
        let rest = self.rest(found.len(), dict.len(), owner)?;
        Ok(Some(Inside::Fields(found, rest)))
    }

    pub(super) fn items(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        len: usize,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Option<Inside>> {
        if len > MOST {
            return Ok(None);
        }
        if len > ITEMS {
            return Ok(self.elements(String::new(), vec![len as u64], items)?.map(Inside::Rows));
        }
        let mut found = Vec::with_capacity(len);
        for item in items {
            if self.is_exhausted() {
                break;
            }
            found.push(self.value("", &item, depth)?);
        }
        let rest = self.rest(found.len(), len, owner)?;
        Ok(Some(Inside::Items(found, rest)))
    }

    pub(super) fn set(
        &mut self,
        members: &Bound<'py, PyAny>,
        owner: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Inside>> {
        let len = members.len()?;
        if len > MOST {
            return Ok(None);
        }
        let mut found: Vec<(Short, Bound<'py, PyAny>)> = Vec::with_capacity(len);
        for member in members.try_iter()? {
            let member = member?;
            found.push((short(&self.digest(&member)?), member));
        }
        found.sort_by_key(|(digest, _)| *digest);
        found.truncate(MEMBERS);
        let mut told = Vec::with_capacity(found.len());
        for (digest, member) in found {
            let text = preview("", &member);
            self.charge(&text);
            told.push((digest, text));
        }
        let rest = self.rest(told.len(), len, owner)?;
        Ok(Some(Inside::Members(told, rest)))
    }

    /// What was left out of a container of so many.
    pub(super) fn rest(
        &mut self,
        kept: usize,
        all: usize,
        owner: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Rest>> {
        if kept == all {
            return Ok(None);
        }
        let whole = short(&self.digest(owner)?);
        Ok(Some(Rest { count: (all - kept) as u64, whole }))
    }
}

/// A key or label as it is written between the brackets.
pub(super) fn label_name(label: &Bound<'_, PyAny>) -> String {
    match label.cast_exact::<PyString>() {
        Ok(text) => subscript(&text.to_string_lossy()),
        Err(_) => preview("", label),
    }
}

fn subscript(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", shown.replace('\\', "\\\\").replace('"', "\\\""))
}
