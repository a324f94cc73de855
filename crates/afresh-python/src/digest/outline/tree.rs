//! The tree of an outline: what each kind of value is taken apart into, and where to stop.
//!
//! A value is taken apart by the same functions as for its digest, so what has no part in the digest is not told, and
//! what has can be. Arrays and Arrow memory alone are read here, in `rows` and `arrow`: hashing them once more as a
//! whole would say nothing.

use afresh_core::fp1::{Digest, Encoder};
use afresh_core::{Inside, Name, OUTLINE_DEPTH, Outline, Rest, short};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::has_inside;
use crate::digest::context::Context;
use crate::digest::node::Part;
use crate::digest::{Digester, KINDS, kind};
use crate::preview::{is_secret, preview};

/// How many nodes there are at most, and of how many bytes without sketches.
const NODES: usize = 512;
const BYTES: usize = 16 << 10;
/// How many bytes of sketches and hashes of rows.
const SKETCHES: usize = 32 << 10;
/// How many bytes of arrays are read at most. What is beyond is told as a whole.
const UNREAD: usize = 128 << 20;
const DEPTH: usize = 8;

const _: () = assert!(DEPTH < OUTLINE_DEPTH);

pub(super) type Fields = Vec<(Name, Outline)>;

pub(super) struct Maker<'py> {
    pub(super) py: Python<'py>,
    /// Bytes left for sketches, and among how many columns they are to be divided.
    pub(super) sketches: usize,
    pub(super) siblings: usize,
    /// Bytes of arrays that may still be read.
    pub(super) unread: usize,
    nodes: usize,
    bytes: usize,
    digester: Digester,
    /// The address of the argument itself, of which the digest is known.
    root: usize,
    whole: Digest,
}

impl<'py> Maker<'py> {
    /// For a value with this digest.
    pub(super) fn new(py: Python<'py>, whole: &Digest) -> Self {
        Self {
            py,
            sketches: SKETCHES,
            siblings: 1,
            unread: UNREAD,
            nodes: NODES,
            bytes: BYTES,
            digester: Digester::new(),
            root: 0,
            whole: *whole,
        }
    }

    pub(super) fn outline(mut self, name: &str, value: &Bound<'py, PyAny>) -> PyResult<Outline> {
        self.root = value.as_ptr() as usize;
        self.value(name, value, DEPTH)
    }

    pub(super) fn digest(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Digest> {
        if value.as_ptr() as usize == self.root {
            return Ok(self.whole);
        }
        self.digester.digest(value)
    }

    /// A value that is called so where it is.
    pub(super) fn value(
        &mut self,
        name: &str,
        value: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Outline> {
        let preview = preview(name, value);
        self.charge(&preview);
        let scalar = !has_inside(value) || is_secret(name);
        if !scalar && (depth == 0 || self.is_exhausted()) {
            let whole = short(&self.digest(value)?);
            return Ok(Outline {
                preview,
                inside: Inside::Items(Vec::new(), Some(Rest { count: 1, whole })),
            });
        }
        let inside = match if scalar { Ok(None) } else { self.inside(value, depth - 1) } {
            Ok(Some(inside)) => inside,
            // What cannot be taken apart once more is told as a whole.
            Err(error) if !error.is_instance_of::<PyException>(self.py) => return Err(error),
            Ok(None) | Err(_) => Inside::Leaf(short(&self.digest(value)?)),
        };
        Ok(Outline { preview, inside })
    }

    pub(super) fn charge(&mut self, text: &str) {
        self.nodes = self.nodes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(text.len() + 12);
    }

    /// The name of a part whose value is charged for itself.
    pub(super) fn charge_name(&mut self, name: &str) {
        self.bytes = self.bytes.saturating_sub(name.len());
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.nodes == 0 || self.bytes == 0
    }

    fn inside(&mut self, value: &Bound<'py, PyAny>, depth: usize) -> PyResult<Option<Inside>> {
        let class = value.get_type();
        let module = class.module().map_or_else(|_| String::new(), |module| module.to_string());
        let class = class.name()?.to_string();
        match (module.split('.').next().unwrap_or_default(), class.as_str()) {
            ("numpy", "ndarray" | "memmap") => {
                if let Some(rows) = self.ndarray(value)? {
                    return Ok(Some(Inside::Rows(rows)));
                }
            }
            ("polars", "DataFrame") => {
                let columns = value.call_method0("get_columns")?.try_iter()?;
                let names = value.getattr("columns")?;
                return self.table(value, columns.collect::<PyResult<_>>()?, &names);
            }
            ("pyarrow", "Table" | "RecordBatch") => {
                let columns = value.getattr("columns")?.try_iter()?;
                let names = value.getattr("schema")?.getattr("names")?;
                return self.table(value, columns.collect::<PyResult<_>>()?, &names);
            }
            ("polars", "Series") => return self.column(value).map(Some),
            ("pyarrow", _) if value.hasattr("type")? && value.hasattr("__len__")? => {
                return self.column(value).map(Some);
            }
            ("scipy" | "torch" | "polars" | "pyarrow", _) => return Ok(None),
            _ => {}
        }
        let part = self.take(value)?;
        self.part(part, value, depth)
    }

    /// One level of a value, as the digest sees it.
    fn take(&self, value: &Bound<'py, PyAny>) -> PyResult<Part<'py>> {
        let mut kinds = KINDS.take().unwrap_or_default();
        let mut notes = Vec::new();
        let part = kind::part(&mut Context::new(self.py, &mut kinds, &mut notes), value);
        KINDS.set(Some(kinds));
        part.map_err(|failure| failure.into_error())
    }

    /// What is inside a part of `owner`; nothing where it is not looked into.
    pub(super) fn part(
        &mut self,
        part: Part<'py>,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Option<Inside>> {
        match part {
            Part::Value(value) if depth > 0 && has_inside(&value) => self.inside(&value, depth - 1),
            // The numpy array in an array of pandas.
            Part::Sequence(parts) => match <[Part<'py>; 1]>::try_from(parts) {
                Ok([part]) => self.part(part, owner, depth),
                Err(_) => Ok(None),
            },
            Part::List(list) => self.items(list.iter(), list.len(), owner, depth),
            Part::Tuple(tuple) => self.items(tuple.iter(), tuple.len(), owner, depth),
            Part::Dict(dict) => self.dict(&dict, owner, depth),
            Part::Set { members, .. } => self.set(&members, owner),
            Part::Node(kind, fields) => self.node(&kind, fields, owner, depth),
            _ => Ok(None),
        }
    }

    /// A part that has a name of ours.
    pub(super) fn named(
        &mut self,
        name: &str,
        part: Part<'py>,
        depth: usize,
    ) -> PyResult<(Name, Outline)> {
        let outline = match part {
            Part::Value(value) => self.value(name, &value, depth)?,
            part => {
                let text = match &part {
                    Part::Str(text) => text.to_string(),
                    Part::Int(number) => number.to_string(),
                    _ => String::new(),
                };
                self.charge(&text);
                let mut encoder = Encoder::new();
                match part {
                    Part::Sequence(parts) => {
                        encoder.tuple(parts.len());
                        for part in parts {
                            match part {
                                Part::Value(value) => encoder.digest(&self.digest(&value)?),
                                part => part.write(&mut encoder, self.py)?,
                            }
                        }
                    }
                    Part::List(list) => encoder.digest(&self.digest(list.as_any())?),
                    Part::Dict(dict) => encoder.digest(&self.digest(dict.as_any())?),
                    part => part.write(&mut encoder, self.py)?,
                }
                Outline { preview: text, inside: Inside::Leaf(short(&encoder.finish())) }
            }
        };
        Ok((Name::Part(name.to_owned()), outline))
    }

    fn node(
        &mut self,
        kind: &str,
        fields: Vec<Part<'py>>,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Option<Inside>> {
        let names: &[&str] = match kind {
            "object" | "slots" | "sub" | "reduced" | "key" => {
                return self.object(kind, fields, owner, depth).map(Some);
            }
            "collections.OrderedDict" => {
                return self.dict(owner.cast::<PyDict>()?, owner, depth);
            }
            "collections.deque" | "mappingproxy" | "view" => {
                let Some(content) = fields.into_iter().next_back() else { return Ok(None) };
                return self.part(content, owner, depth);
            }
            "structured" | "pandas.DataFrame" => return self.columns(kind, fields, owner, depth),
            "objects" => {
                let shape = owner.getattr("shape")?.extract()?;
                let Some(Part::List(list)) = fields.into_iter().next_back() else {
                    return Ok(None);
                };
                return Ok(self.elements("O".into(), shape, list.iter())?.map(Inside::Rows));
            }
            "pandas.MultiIndex" => {
                let Some(Part::Sequence(levels)) = fields.into_iter().next() else {
                    return Ok(None);
                };
                let mut found = Fields::new();
                for (place, level) in levels.into_iter().enumerate() {
                    found.push(self.named(&format!("levels[{place}]"), level, depth)?);
                }
                return Ok(Some(Inside::Fields(found, None)));
            }
            "collections.defaultdict" => &["default_factory", "values"],
            "masked" => &["values", "mask", "fill_value", "hardmask"],
            "partial" => &["func", "args", "keywords"],
            "pandas.Series" => &["name", "index", "values", "attrs", "metadata"],
            "pandas.RangeIndex" => &["start", "stop", "step", "name"],
            "pandas.Index" => &["name", "values", "freq"],
            "pandas.Categorical" => &["categories", "values", "ordered"],
            "pandas.masked" => &["dtype", "values", "missing"],
            "pandas.array" => &["dtype", "values"],
            "pandas.IntervalArray" => &["left", "right", "closed"],
            _ => return Ok(None),
        };
        let mut found = Fields::new();
        for (name, part) in names.iter().zip(fields) {
            match (*name, part) {
                // A plain dict, in place of its name.
                ("values", Part::Dict(dict)) => match self.dict(&dict, dict.as_any(), depth)? {
                    Some(Inside::Fields(more, None)) => found.extend(more),
                    _ => return Ok(None),
                },
                ("values", Part::List(list)) => {
                    let shape = vec![list.len() as u64];
                    let Some(rows) = self.elements(String::new(), shape, list.iter())? else {
                        return Ok(None);
                    };
                    let outline = Outline { preview: String::new(), inside: Inside::Rows(rows) };
                    found.push((Name::Part("values".into()), outline));
                }
                (name, part) => found.push(self.named(name, part, depth)?),
            }
        }
        Ok(Some(Inside::Fields(found, None)))
    }
}
