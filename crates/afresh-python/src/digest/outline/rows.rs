//! Long sequences: a hash of each row where they are few, a sketch where they are many.
//!
//! Memory is read in place and without the interpreter's lock. A NaN counts as in the digest: all are one.

use afresh_core::sketch::{self, Size, Sketcher};
use afresh_core::{Cells, Rows, short};
use pyo3::prelude::*;

use super::tree::Maker;
use crate::digest::buffer::{Floats, View};

/// Up to so many rows each has its own hash.
const EXACT: usize = 256;
/// Values that are read at once.
const BLOCK: usize = 4096;
/// Above this, the interpreter's lock is released.
const RELEASE: usize = 1 << 16;

/// What is being learnt of rows that come in order.
pub(super) enum Counting {
    Exact(Vec<[u8; 4]>),
    Sketch(Box<Sketcher>),
}

impl Counting {
    pub(super) fn extend(&mut self, contents: &[u64]) {
        match self {
            Self::Sketch(sketcher) => sketcher.extend(contents),
            Self::Exact(hashes) => {
                for content in contents {
                    let hash = sketch::row(hashes.len() as u64, *content).to_le_bytes();
                    hashes.push(hash.first_chunk().copied().unwrap_or_default());
                }
            }
        }
    }

    pub(super) fn finish(self) -> Cells {
        match self {
            Self::Exact(hashes) => Cells::Exact(hashes),
            Self::Sketch(sketcher) => Cells::Sketch(sketcher.finish()),
        }
    }

    /// Takes elements of `width` bytes each.
    pub(super) fn read(&mut self, py: Python<'_>, bytes: &[u8], width: usize, floats: Floats) {
        if bytes.len() > RELEASE {
            py.detach(|| self.elements(bytes, width, floats));
        } else {
            self.elements(bytes, width, floats);
        }
    }

    fn elements(&mut self, bytes: &[u8], width: usize, floats: Floats) {
        let mut contents = Vec::with_capacity(BLOCK);
        for block in bytes.chunks(BLOCK * width.max(1)) {
            contents.clear();
            match (width, floats) {
                (1, _) => contents.extend(block.iter().map(|byte| u64::from(*byte))),
                (2, floats) => contents.extend(block.as_chunks::<2>().0.iter().map(|bytes| {
                    let bits = u16::from_le_bytes(*bytes);
                    let nan = floats == Floats::Half && bits & 0x7fff > 0x7c00;
                    u64::from(if nan { 0x7e00 } else { bits })
                })),
                (4, Floats::Single) => {
                    contents.extend(block.as_chunks::<4>().0.iter().map(|bytes| single(*bytes)));
                }
                (4, _) => contents.extend(
                    block.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b))),
                ),
                (8, Floats::Double) => {
                    contents.extend(block.as_chunks::<8>().0.iter().map(|bytes| double(*bytes)));
                }
                (8, Floats::None) => {
                    contents.extend(block.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)))
                }
                (8, _) => contents.extend(block.as_chunks::<8>().0.iter().map(|pair| {
                    let (halves, _) = pair.as_chunks::<4>();
                    halves.iter().rev().fold(0, |sum, half| sum << 32 | single(*half))
                })),
                (16, Floats::Double) => {
                    contents.extend(block.as_chunks::<16>().0.iter().map(|pair| {
                        let halves = pair.as_chunks::<8>().0.iter().map(|half| double(*half));
                        let bytes: Vec<u8> = halves.flat_map(u64::to_le_bytes).collect();
                        sketch::content(&bytes)
                    }));
                }
                (width, _) => contents.extend(block.chunks(width.max(1)).map(sketch::content)),
            }
            self.extend(&contents);
        }
    }
}

fn single(bytes: [u8; 4]) -> u64 {
    let value = f32::from_le_bytes(bytes);
    u64::from(if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() })
}

fn double(bytes: [u8; 8]) -> u64 {
    let value = f64::from_le_bytes(bytes);
    if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }
}

impl<'py> Maker<'py> {
    /// What to learn of so many rows, as far as there is room.
    pub(super) fn counting(&mut self, rows: usize) -> Option<Counting> {
        let siblings = self.siblings.max(1);
        let exact = rows.saturating_mul(4);
        let small = exact <= Size::Tiny.bytes().min(self.sketches);
        if rows <= EXACT && (small || exact * siblings <= self.sketches) {
            self.sketches -= exact;
            self.siblings = siblings - 1;
            return Some(Counting::Exact(Vec::with_capacity(rows)));
        }
        let sizes = [Size::Large, Size::Medium, Size::Small, Size::Tiny];
        let room = |size: &Size| size.bytes() * siblings <= self.sketches;
        let last = Size::Tiny.bytes() <= self.sketches;
        let size = sizes.into_iter().find(room).or(last.then_some(Size::Tiny))?;
        self.sketches -= size.bytes();
        self.siblings = siblings - 1;
        Some(Counting::Sketch(Box::new(Sketcher::new(size))))
    }

    /// Whether so many elements of so many bytes may still be read; from then on they count as read.
    pub(super) fn may_read(&mut self, count: usize, size: usize) -> bool {
        let left = count.checked_mul(size).and_then(|bytes| self.unread.checked_sub(bytes));
        self.unread = left.unwrap_or(self.unread);
        left.is_some()
    }

    /// The elements of a numpy array, unless they are objects or have fields.
    pub(super) fn ndarray(&mut self, value: &Bound<'py, PyAny>) -> PyResult<Option<Rows>> {
        let dtype = value.getattr("dtype")?;
        let kind: char = dtype.getattr("kind")?.extract()?;
        let size: usize = dtype.getattr("itemsize")?.extract()?;
        let floats = match (kind, size) {
            ('f', 2) => Floats::Half,
            ('f', 4) | ('c', 8) => Floats::Single,
            ('f', 8) | ('c', 16) => Floats::Double,
            ('f' | 'c', _) => return Ok(None),
            _ => Floats::None,
        };
        let shape: Vec<u64> = value.getattr("shape")?.extract()?;
        if matches!(kind, 'O' | 'T') || !dtype.getattr("fields")?.is_none() || shape.is_empty() {
            return Ok(None);
        }
        let rows = Rows {
            dtype: dtype.str()?.to_string_lossy().into_owned(),
            shape,
            cells: Cells::Whole(Default::default()),
        };
        let len = usize::try_from(rows.len()).unwrap_or(usize::MAX);
        let counting = if size > 0 && self.may_read(len, size) { self.counting(len) } else { None };
        let cells = match counting {
            Some(mut counting) => {
                counting.read(self.py, self.memory(value, kind)?.bytes()?, size, floats);
                counting.finish()
            }
            None => Cells::Whole(short(&self.digest(value)?)),
        };
        Ok(Some(Rows { cells, ..rows }))
    }

    /// The elements in row-major order.
    fn memory(&self, value: &Bound<'py, PyAny>, kind: char) -> PyResult<View> {
        // Times do not export their memory.
        let value = if matches!(kind, 'M' | 'm') {
            value.call_method1("view", ("i8",))?
        } else {
            value.clone()
        };
        if let Ok(view) = View::of(&value) {
            return Ok(view);
        }
        let numpy = self.py.import("numpy")?;
        View::of(&numpy.getattr("ascontiguousarray")?.call1((value,))?)
    }

    /// A long list, or whatever else holds objects: each counts by its digest.
    pub(super) fn elements(
        &mut self,
        dtype: String,
        shape: Vec<u64>,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<Option<Rows>> {
        let rows = Rows { dtype, shape, cells: Cells::Whole(Default::default()) };
        let len = usize::try_from(rows.len()).unwrap_or(usize::MAX);
        let Some(mut counting) = self.counting(len) else { return Ok(None) };
        let mut contents = Vec::with_capacity(BLOCK);
        for element in elements {
            contents.push(u64::from_le_bytes(short(&self.digest(&element)?)));
            if contents.len() == BLOCK {
                counting.extend(&contents);
                contents.clear();
            }
        }
        counting.extend(&contents);
        Ok(Some(Rows { cells: counting.finish(), ..rows }))
    }
}
