//! The record of a function: what it was made of, as JSON written by whoever computed its identity.
//!
//! Read leniently, since every language writes its own and newer ones know more: what is missing or of another
//! shape is passed over, never an error. Nothing here is ever part of a digest.

use afresh::Bytes;
use serde_json::Value;

/// One thing that a function is made of: its own code, a helper, a constant, a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) label: String,
    pub(crate) kind: String,
    pub(crate) digest: String,
    pub(crate) file: String,
    pub(crate) line: Option<u64>,
    pub(crate) source: Option<String>,
    pub(crate) preview: Option<String>,
    /// Whether it has no part in the function's digest and is there for people to look at.
    pub(crate) aside: bool,
}

impl Component {
    /// `etl.py:12`, as far as it is known.
    pub(crate) fn place(&self) -> String {
        match self.line {
            Some(line) if !self.file.is_empty() => format!("{}:{line}", self.file),
            _ => self.file.clone(),
        }
    }
}

/// The components, in the order of the record; none where there is no such list.
pub(crate) fn components(record: &Bytes) -> Vec<Component> {
    let Ok(record) = serde_json::from_slice::<Value>(record) else { return Vec::new() };
    let list = record.get("components").and_then(Value::as_array);
    list.into_iter().flatten().map(component).collect()
}

/// The function's own component: the one with its name, else the first that has a source.
pub(crate) fn own<'a>(components: &'a [Component], function: &str) -> Option<&'a Component> {
    let sourced = || components.iter().filter(|component| component.source.is_some());
    sourced().find(|component| component.label == function).or_else(|| sourced().next())
}

fn component(value: &Value) -> Component {
    let text = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
    Component {
        label: text("label").unwrap_or_default(),
        kind: text("kind").unwrap_or_default(),
        digest: text("digest").unwrap_or_default(),
        file: text("file").unwrap_or_default(),
        line: value.get("line").and_then(Value::as_u64),
        source: text("source"),
        preview: text("preview"),
        aside: value.get("aside").and_then(Value::as_bool).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_shape_is_read_as_far_as_it_goes() {
        for odd in ["", "{}", "[]", "{\"components\":3}", "not json"] {
            assert_eq!(components(&Bytes::from_static(odd.as_bytes())), []);
        }
        let some = components(&Bytes::from_static(
            b"{\"components\":[7,{\"label\":\"a\",\"line\":\"x\",\"source\":null},{\"label\":\"f\",\"source\":\"s\"}]}",
        ));
        assert_eq!(some.len(), 3);
        assert_eq!(own(&some, "f").map(|component| component.label.as_str()), Some("f"));
    }
}
