//! Objects: the class, and what an instance holds.
//!
//! Attributes stand by name whatever the digest found them in: a dict, slots, the state of a pydantic model.

use afresh_core::{Inside, Name, Outline, short};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::tree::{Fields, Maker};
use crate::digest::node::Part;
use crate::preview::preview;

impl<'py> Maker<'py> {
    /// An object: its class and its attributes, or what it says of itself.
    pub(super) fn object(
        &mut self,
        kind: &str,
        fields: Vec<Part<'py>>,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Inside> {
        let mut fields = fields.into_iter();
        let mut found = Fields::new();
        let mut skipped = 0;
        let names: &[&str] = match kind {
            "slots" => &["", ""],
            "sub" => {
                found.push(self.class(owner)?);
                fields.next();
                &["value", ""]
            }
            "reduced" => {
                found.push(self.class(owner)?);
                fields.next();
                &["constructor", "arguments", "", "members", "items", "setter"]
            }
            "key" => {
                found.push(self.class(owner)?);
                fields.next();
                &["__afresh_key__()"]
            }
            _ => {
                found.push(self.class(owner)?);
                fields.next();
                &[""]
            }
        };
        for (name, part) in names.iter().zip(fields) {
            match (*name, part) {
                (_, Part::None) => {}
                ("", Part::Dict(state)) => skipped += self.attributes(&state, &mut found, depth)?,
                ("", Part::Node(kind, parts)) => {
                    if let Inside::Fields(more, rest) = self.object(&kind, parts, owner, depth)? {
                        found.extend(more);
                        skipped += rest.map_or(0, |rest| rest.count as usize);
                    }
                }
                ("", Part::Value(state)) => {
                    found.push(self.named("state", Part::Value(state), depth)?)
                }
                ("value", part) => {
                    // The parts of the value itself stand where those of a plain one would.
                    match self.part(part, owner, depth)? {
                        Some(Inside::Fields(more, None)) => found.extend(more),
                        Some(inside) => {
                            let outline = Outline { preview: String::new(), inside };
                            found.push((Name::Part("values".into()), outline));
                        }
                        None => {
                            let inside = Inside::Leaf(short(&self.digest(owner)?));
                            let preview = preview("", owner);
                            found.push((Name::Part("value".into()), Outline { preview, inside }));
                        }
                    }
                }
                (name, Part::Tuple(tuple)) => {
                    found.push(self.named(name, Part::Value(tuple.into_any()), depth)?);
                }
                (name, part) => found.push(self.named(name, part, depth)?),
            }
        }
        let rest = self.rest(0, skipped, owner)?;
        Ok(Inside::Fields(found, rest))
    }

    /// How many there was no room for.
    fn attributes(
        &mut self,
        state: &Bound<'py, PyDict>,
        found: &mut Fields,
        depth: usize,
    ) -> PyResult<usize> {
        for (place, (name, value)) in state.iter().enumerate() {
            if self.is_exhausted() {
                return Ok(state.len() - place);
            }
            let name = name.str()?.to_string_lossy().into_owned();
            // What pydantic's models say of themselves.
            if name == "__dict__"
                && let Ok(inner) = value.cast_exact::<PyDict>()
                && !inner.is(state)
            {
                let skipped = self.attributes(inner, found, depth)?;
                if skipped > 0 {
                    return Ok(skipped + state.len() - place);
                }
                continue;
            }
            let outline = self.value(&name, &value, depth)?;
            self.charge_name(&name);
            found.push((Name::Attribute(name), outline));
        }
        Ok(0)
    }

    /// The class of an object: its name, and its code.
    fn class(&mut self, owner: &Bound<'py, PyAny>) -> PyResult<(Name, Outline)> {
        let class = owner.get_type();
        let preview = class.qualname()?.to_string();
        self.charge(&preview);
        let inside = Inside::Leaf(short(&self.digest(class.as_any())?));
        Ok((Name::Part("class".into()), Outline { preview, inside }))
    }
}
