//! Columns in the Arrow layout, row by row.
//!
//! Those whose rows are numbers, truth values, texts or bytes, or codes for such. Of others, such as lists, only the
//! digest of the whole column is known.

use afresh_core::{Rows, sketch};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::rows::Counting;
use super::tree::Maker;
use crate::digest::arrow::pointer;
use crate::digest::buffer::Floats;
use crate::digest::cdata::{Array, Schema, Stream};
use crate::digest::layout::{Layout, bit, offsets};

/// What counts as the content of a row that is not there.
const NULL: u64 = 0x6e75_6c6c_6e75_6c6c;

impl<'py> Maker<'py> {
    /// The rows of a column that hands out arrow memory; nothing where they cannot be read one by one.
    pub(super) fn arrow(
        &mut self,
        column: &Bound<'py, PyAny>,
        dtype: &str,
    ) -> PyResult<Option<Rows>> {
        let len = column.len()?;
        // Texts are longer than this, but not all columns are texts.
        if !self.may_read(len, 16) {
            return Ok(None);
        }
        let Some(mut counting) = self.counting(len) else { return Ok(None) };
        if self.pieces(column, &mut counting)?.is_none() {
            return Ok(None);
        }
        let shape = vec![len as u64];
        Ok(Some(Rows { dtype: dtype.to_owned(), shape, cells: counting.finish() }))
    }

    fn pieces(&self, column: &Bound<'py, PyAny>, counting: &mut Counting) -> PyResult<Option<()>> {
        if let Some(method) = column.getattr_opt("__arrow_c_stream__")? {
            let capsule = method.call0()?;
            // SAFETY: by the capsule's name it holds an `ArrowArrayStream`, alive with the capsule.
            let stream = unsafe { Stream::of(pointer(&capsule, "arrow_array_stream")?) };
            let Some(mut stream) = stream else { return Ok(None) };
            let Some(schema) = stream.schema() else { return Ok(None) };
            loop {
                match stream.next() {
                    Ok(Some(array)) => {
                        if read(self.py, &schema, &array, counting).is_none() {
                            return Ok(None);
                        }
                    }
                    Ok(None) => return Ok(Some(())),
                    Err(()) => return Ok(None),
                }
            }
        }
        let Some(method) = column.getattr_opt("__arrow_c_array__")? else { return Ok(None) };
        let pair = method.call0()?.cast_into::<PyTuple>().map_err(PyErr::from)?;
        let (schema, array) = (pair.get_item(0)?, pair.get_item(1)?);
        // SAFETY: by their names the capsules hold these structures, alive with the capsules.
        let (schema, array) = unsafe {
            (
                Schema::of(pointer(&schema, "arrow_schema")?),
                Array::of(pointer(&array, "arrow_array")?),
            )
        };
        let Some((schema, array)) = schema.zip(array) else { return Ok(None) };
        Ok(read(self.py, &schema, &array, counting))
    }
}

/// Takes the rows of a piece.
fn read(
    py: Python<'_>,
    schema: &Schema<'_>,
    array: &Array<'_>,
    counting: &mut Counting,
) -> Option<()> {
    // Numbers that are all there need no copy.
    if array.no_nulls()
        && schema.dictionary().is_none()
        && let Layout::Fixed(width, floats) = Layout::of(schema.format()?)?
    {
        let bytes = array.buffer(1, array.offset() * width, array.len() * width)?;
        counting.read(py, bytes, width, floats);
        return Some(());
    }
    counting.extend(&contents(schema, array)?);
    Some(())
}

fn contents(schema: &Schema<'_>, array: &Array<'_>) -> Option<Vec<u64>> {
    let (start, len) = (array.offset(), array.len());
    let bits = if array.no_nulls() || array.buffers() == 0 {
        None
    } else {
        array.buffer(0, start / 8, (start + len).div_ceil(8) - start / 8)
    };
    let valid = |row: usize| bits.is_none_or(|bits| bit(bits, start % 8 + row));
    let mut contents = match (schema.dictionary(), Layout::of(schema.format()?)?) {
        (Some(values), Layout::Fixed(width, _)) => {
            let stand_for = self::contents(&values, &array.dictionary()?)?;
            let codes = array.buffer(1, start * width, len * width)?;
            let code = |code: &[u8]| stand_for.get(sketch::content(code) as usize).copied();
            codes.chunks(width.max(1)).map(|bytes| code(bytes).unwrap_or(NULL)).collect()
        }
        (None, Layout::Null) => vec![NULL; len],
        (None, Layout::Bits) => {
            let bits = array.buffer(1, start / 8, (start + len).div_ceil(8) - start / 8)?;
            (0..len).map(|row| u64::from(bit(bits, start % 8 + row))).collect()
        }
        (None, Layout::Fixed(width, floats)) => {
            let bytes = array.buffer(1, start * width, len * width)?;
            bytes.chunks(width.max(1)).map(|bytes| number(bytes, floats)).collect()
        }
        (None, Layout::Bytes { wide }) => {
            let ends = offsets(array, 1, start, len, wide)?;
            let (first, last) = (*ends.first()?, *ends.last()?);
            let bytes = array.buffer(2, first, last.checked_sub(first)?)?;
            let row = |pair: &[usize]| match pair {
                [begin, end] => bytes.get(begin - first..end - first).map(text),
                _ => None,
            };
            ends.windows(2).map(row).collect::<Option<Vec<u64>>>()?
        }
        (None, Layout::View) => views(array, start, len, valid)?,
        _ => return None,
    };
    for (row, content) in contents.iter_mut().enumerate() {
        if !valid(row) {
            *content = NULL;
        }
    }
    Some(contents)
}

/// A text differs from a shorter one that is followed by zeros.
fn text(bytes: &[u8]) -> u64 {
    sketch::content(bytes) ^ (bytes.len() as u64) << 56
}

fn number(bytes: &[u8], floats: Floats) -> u64 {
    let content = sketch::content(bytes);
    match floats {
        Floats::Double if f64::from_bits(content).is_nan() => 0x7ff8_0000_0000_0000,
        Floats::Single if f32::from_bits(content as u32).is_nan() => 0x7fc0_0000,
        Floats::Half if content & 0x7fff > 0x7c00 => 0x7e00,
        _ => content,
    }
}

/// Text or bytes, each in the row itself if short or else in one of several buffers. What lies under a null is anything,
/// and is not read.
fn views(
    array: &Array<'_>,
    start: usize,
    len: usize,
    valid: impl Fn(usize) -> bool,
) -> Option<Vec<u64>> {
    let views = array.buffer(1, start * 16, len * 16)?;
    let row = |view: &[u8; 16]| {
        let number = |at: usize| {
            let bytes = view.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(i32::from_le_bytes(bytes)).ok()
        };
        let size = number(0)?;
        match size {
            0..=12 => view.get(4..4 + size).map(text),
            _ => array.buffer(2 + number(8)?, number(12)?, size).map(text),
        }
    };
    let rows = views.as_chunks::<16>().0.iter().enumerate();
    rows.map(|(at, view)| if valid(at) { row(view) } else { Some(NULL) }).collect()
}
