//! A column in the Arrow layout, read piece by piece into running hashes.
//!
//! The content of a column is: which rows are null; for types of variable length the length of each
//! row; and the values, where a null counts as zeros or as nothing. Each is hashed as one stream
//! over all pieces, so neither how the column is cut into chunks, nor offsets, nor what lies under
//! nulls or outside a slice shows. Values behind a dictionary are those they stand for.

use std::borrow::Cow;

use pyo3::prelude::*;

use super::buffer::{self, Floats};
use super::cdata::{Array, Schema};
use super::layout::{Layout, bit, offsets, runs};
use super::node::Part;

pub(super) struct Column {
    format: String,
    name: String,
    flags: i64,
    metadata: Vec<(Vec<u8>, Vec<u8>)>,
    layout: Layout,
    rows: u64,
    nulls: u64,
    null_rows: blake3::Hasher,
    lengths: blake3::Hasher,
    values: blake3::Hasher,
    bytes: u64,
    children: Vec<Column>,
}

impl Column {
    /// A column of a type, without rows; nothing if the type is not known.
    pub(super) fn new(schema: &Schema<'_>) -> Option<Self> {
        let format = schema.format()?.to_owned();
        let dictionary = schema.dictionary();
        let mut children = Vec::new();
        let layout = match (&dictionary, Layout::of(&format)?) {
            (Some(values), Layout::Fixed(width, _)) => {
                children.push(Self::new(values)?);
                Layout::Dictionary { width }
            }
            (Some(_), _) => return None,
            (None, layout) => {
                for child in schema.children() {
                    children.push(Self::new(&child)?);
                }
                layout
            }
        };
        // What the codes of a dictionary are kept in is no content.
        let format = if dictionary.is_some() { "dictionary".to_owned() } else { format };
        Some(Self {
            format,
            name: schema.name().to_owned(),
            flags: schema.flags(),
            metadata: schema.metadata(),
            layout,
            rows: 0,
            nulls: 0,
            null_rows: blake3::Hasher::new(),
            lengths: blake3::Hasher::new(),
            values: blake3::Hasher::new(),
            bytes: 0,
            children,
        })
    }

    /// Reads a piece of the column; `false` if it is not what its type says.
    pub(super) fn append(&mut self, py: Python<'_>, array: &Array<'_>) -> bool {
        self.read(py, array, 0, array.len(), None).is_some()
    }

    /// What was read.
    pub(super) fn part<'py>(self) -> Part<'py> {
        let number = |n: u64| Part::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let hash = |rows: u64, hasher: &blake3::Hasher, dtype: &str| Part::Array {
            dtype: dtype.to_owned(),
            shape: vec![rows],
            content: *hasher.finalize().as_bytes(),
        };
        let metadata = self.metadata.into_iter();
        let metadata = metadata
            .map(|(key, value)| Part::Sequence(vec![Part::Bytes(key), Part::Bytes(value)]))
            .collect();
        Part::node(
            "arrow",
            [
                Part::text(self.format),
                Part::text(self.name),
                Part::Int(self.flags),
                Part::Sequence(metadata),
                number(self.rows),
                hash(self.nulls, &self.null_rows, "u8"),
                hash(self.rows, &self.lengths, "u8"),
                hash(self.bytes, &self.values, "u1"),
                Part::Sequence(self.children.into_iter().map(Self::part).collect()),
            ],
        )
    }

    /// Reads `len` rows from `from`, those alone being there for which `parent` says so.
    fn read(
        &mut self,
        py: Python<'_>,
        array: &Array<'_>,
        from: usize,
        len: usize,
        parent: Option<&[bool]>,
    ) -> Option<()> {
        if len == 0 {
            return Some(());
        }
        let start = array.offset() + from;
        let valid = self.validity(array, start, len, parent)?;
        let valid = valid.as_deref();
        let is_valid = |row: usize| valid.is_none_or(|valid| valid.get(row) == Some(&true));
        match self.layout {
            Layout::Null => {}
            Layout::Bits => {
                let bits = array.buffer(1, start / 8, (start + len).div_ceil(8) - start / 8)?;
                let octets =
                    (0..len).map(|row| u8::from(is_valid(row) && bit(bits, start % 8 + row)));
                self.put(py, &octets.collect::<Vec<_>>(), Floats::None);
            }
            Layout::Fixed(width, floats) => {
                let bytes = array.buffer(1, start * width, len * width)?;
                let mut bytes = Cow::Borrowed(bytes);
                if valid.is_some() {
                    for (row, value) in bytes.to_mut().chunks_mut(width.max(1)).enumerate() {
                        if !is_valid(row) {
                            value.fill(0);
                        }
                    }
                }
                self.put(py, &bytes, floats);
            }
            Layout::Bytes { wide } => {
                let ends = offsets(array, 1, start, len, wide)?;
                self.lengths(&ends, valid);
                let (first, last) = (*ends.first()?, *ends.last()?);
                let bytes = array.buffer(2, first, last.checked_sub(first)?)?;
                for range in runs(&ends, valid) {
                    self.put(py, bytes.get(range.0 - first..range.1 - first)?, Floats::None);
                }
            }
            Layout::View => self.views(py, array, start, len, valid)?,
            Layout::List { wide } => {
                let ends = offsets(array, 1, start, len, wide)?;
                self.lengths(&ends, valid);
                let child = array.child(0)?;
                let column = self.children.first_mut()?;
                for (begin, end) in runs(&ends, valid) {
                    column.read(py, &child, begin, end.checked_sub(begin)?, None)?;
                }
            }
            Layout::FixedList(size) => {
                let inner = valid.map(|valid| {
                    valid.iter().flat_map(|valid| std::iter::repeat_n(*valid, size)).collect()
                });
                let inner: Option<Vec<bool>> = inner;
                let child = array.child(0)?;
                let column = self.children.first_mut()?;
                column.read(py, &child, start * size, len * size, inner.as_deref())?;
            }
            Layout::Struct => {
                for (place, column) in self.children.iter_mut().enumerate() {
                    column.read(py, &array.child(place)?, start, len, valid)?;
                }
            }
            Layout::Dictionary { width } => self.codes(py, array, start, len, width, valid)?,
        }
        self.rows += len as u64;
        Some(())
    }

    /// Which rows are there, and notes those that are not; nothing if all are.
    fn validity(
        &mut self,
        array: &Array<'_>,
        start: usize,
        len: usize,
        parent: Option<&[bool]>,
    ) -> Option<Option<Vec<bool>>> {
        let bits = if array.no_nulls() || array.buffers() == 0 {
            None
        } else {
            array.buffer(0, start / 8, (start + len).div_ceil(8) - start / 8)
        };
        if bits.is_none() && parent.is_none() {
            return Some(None);
        }
        let valid: Vec<bool> = (0..len)
            .map(|row| {
                bits.is_none_or(|bits| bit(bits, start % 8 + row))
                    && parent.is_none_or(|parent| parent.get(row) == Some(&true))
            })
            .collect();
        for (row, _) in valid.iter().enumerate().filter(|(_, valid)| !**valid) {
            self.nulls += 1;
            self.null_rows.update(&(self.rows + row as u64).to_le_bytes());
        }
        Some(Some(valid))
    }

    fn put(&mut self, py: Python<'_>, bytes: &[u8], floats: Floats) {
        buffer::update(py, &mut self.values, bytes, floats);
        self.bytes += bytes.len() as u64;
    }

    /// The length of each row, zero for a null.
    fn lengths(&mut self, ends: &[usize], valid: Option<&[bool]>) {
        let lengths = ends.windows(2).enumerate().map(|(row, ends)| match ends {
            [begin, end] if valid.is_none_or(|valid| valid.get(row) == Some(&true)) => {
                end.saturating_sub(*begin) as u64
            }
            _ => 0,
        });
        let bytes: Vec<u8> = lengths.flat_map(u64::to_le_bytes).collect();
        self.lengths.update(&bytes);
    }

    /// Text or bytes, each in the row itself if short or else in one of several buffers.
    fn views(
        &mut self,
        py: Python<'_>,
        array: &Array<'_>,
        start: usize,
        len: usize,
        valid: Option<&[bool]>,
    ) -> Option<()> {
        let views = array.buffer(1, start * 16, len * 16)?;
        let mut values = Vec::new();
        let mut lengths = Vec::with_capacity(len * 8);
        for (row, view) in views.as_chunks::<16>().0.iter().enumerate() {
            if valid.is_some_and(|valid| valid.get(row) != Some(&true)) {
                lengths.extend_from_slice(&0_u64.to_le_bytes());
                continue;
            }
            let number = |at: usize| {
                let bytes = view.get(at..at + 4)?.try_into().ok()?;
                usize::try_from(i32::from_le_bytes(bytes)).ok()
            };
            let size = number(0)?;
            lengths.extend_from_slice(&(size as u64).to_le_bytes());
            if size <= 12 {
                values.extend_from_slice(view.get(4..4 + size)?);
            } else {
                values.extend_from_slice(array.buffer(2 + number(8)?, number(12)?, size)?);
            }
            if values.len() > 1 << 20 {
                self.put(py, &values, Floats::None);
                values.clear();
            }
        }
        self.put(py, &values, Floats::None);
        self.lengths.update(&lengths);
        Some(())
    }

    /// Values behind a dictionary, each as the digest of what it stands for.
    fn codes(
        &mut self,
        py: Python<'_>,
        array: &Array<'_>,
        start: usize,
        len: usize,
        width: usize,
        valid: Option<&[bool]>,
    ) -> Option<()> {
        let values = array.dictionary()?;
        let template = self.children.first()?;
        let mut known: Vec<Option<[u8; 32]>> = vec![None; values.len()];
        let codes = array.buffer(1, start * width, len * width)?;
        let mut out = Vec::new();
        for (row, code) in codes.chunks(width.max(1)).enumerate() {
            let mut digest = [0; 32];
            if valid.is_none_or(|valid| valid.get(row) == Some(&true)) {
                let mut wide = [0; 8];
                wide.get_mut(..width)?.copy_from_slice(code);
                let code = usize::try_from(u64::from_le_bytes(wide)).ok()?;
                let slot = known.get_mut(code)?;
                digest = match slot {
                    Some(digest) => *digest,
                    None => *slot.insert(template.one(py, &values, code)?),
                };
            }
            out.extend_from_slice(&digest);
            if out.len() > 1 << 20 {
                self.values.update(&out);
                out.clear();
            }
        }
        self.values.update(&out);
        self.bytes += len as u64 * 32;
        Some(())
    }

    /// The digest of one value of a column of this type.
    fn one(&self, py: Python<'_>, array: &Array<'_>, row: usize) -> Option<[u8; 32]> {
        let mut column = self.empty();
        column.read(py, array, row, 1, None)?;
        Some(column.state())
    }

    fn state(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.nulls.to_le_bytes()).update(&self.bytes.to_le_bytes());
        hasher.update(self.lengths.finalize().as_bytes());
        hasher.update(self.values.finalize().as_bytes());
        for child in &self.children {
            hasher.update(&child.rows.to_le_bytes()).update(&child.state());
        }
        *hasher.finalize().as_bytes()
    }

    /// A column of the same type without rows.
    fn empty(&self) -> Self {
        Self {
            format: String::new(),
            name: String::new(),
            flags: 0,
            metadata: Vec::new(),
            layout: self.layout,
            rows: 0,
            nulls: 0,
            null_rows: blake3::Hasher::new(),
            lengths: blake3::Hasher::new(),
            values: blake3::Hasher::new(),
            bytes: 0,
            children: self.children.iter().map(Self::empty).collect(),
        }
    }
}
