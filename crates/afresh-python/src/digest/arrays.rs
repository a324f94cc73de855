//! Arrays: numpy's, and whatever else is one block of memory.
//!
//! An array is the name of its element type, its shape and its elements in row-major order,
//! little-endian: strides, memory layout and whether it is mapped from a file do not show. Element
//! types of the machine's byte order have numpy's names without the sign of it (`f8`); others begin
//! with `~`. Structured arrays go field by field, so padding does not show; arrays of objects go
//! element by element; masked arrays count with what is under the mask.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::buffer::{self, Floats, View};
use super::context::Context;
use super::failure::Fallible;
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// Larger than this, an array that is not contiguous is copied block by block.
const COPIED: usize = 64 << 20;

pub(super) fn ndarray<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let py = context.py;
    let dtype = value.getattr("dtype")?;
    let shape: Vec<u64> = value.getattr("shape")?.extract()?;
    let fields = dtype.getattr("fields")?;
    if !fields.is_none() {
        let class = py.import("numpy")?.getattr("ndarray")?;
        let mut columns = Vec::new();
        for name in dtype.getattr("names")?.try_iter()? {
            let name = name?;
            let column = class.call_method1("__getitem__", (value, &name))?;
            columns.push(Part::Sequence(vec![Part::Value(name), Part::Value(column)]));
        }
        return Ok(Part::node("structured", [shape_part(&shape), Part::Sequence(columns)]));
    }
    let kind: char = dtype.getattr("kind")?.extract()?;
    let code: String = dtype.getattr("str")?.extract()?;
    let name = name_of(&dtype, kind, &code)?;
    if matches!(kind, 'O' | 'T') {
        let elements = value.call_method0("ravel")?.call_method0("tolist")?;
        let elements = elements.cast_into::<PyList>().map_err(PyErr::from)?;
        let fields = [Part::text(name), shape_part(&shape), Part::List(elements)];
        return Ok(Part::node("objects", fields));
    }
    let content = content(py, value, &dtype, kind, code.starts_with('>'))?;
    Ok(Part::Array { dtype: name, shape, content })
}

fn shape_part<'py>(shape: &[u64]) -> Part<'py> {
    let extents = shape.iter().map(|extent| Part::Int(i64::try_from(*extent).unwrap_or(i64::MAX)));
    Part::Sequence(extents.collect())
}

/// The name of an element type: numpy's, with `~` in place of the sign for a byte order that is not
/// the machine's.
fn name_of(dtype: &Bound<'_, PyAny>, kind: char, code: &str) -> PyResult<String> {
    if kind == 'V' {
        // Also the types that libraries add (bfloat16), which look like raw bytes.
        return dtype.getattr("name")?.extract();
    }
    if kind == 'T' {
        return Ok("T".into());
    }
    let foreign = if cfg!(target_endian = "little") { '>' } else { '<' };
    let plain = code.trim_start_matches(['<', '>', '=', '|']);
    Ok(if code.starts_with(foreign) { format!("~{plain}") } else { plain.into() })
}

/// The digest of the elements.
fn content<'py>(
    py: Python<'py>,
    value: Value<'_, 'py>,
    dtype: &Bound<'py, PyAny>,
    kind: char,
    big_endian: bool,
) -> Fallible<[u8; 32]> {
    let size: usize = dtype.getattr("itemsize")?.extract()?;
    let floats = floats(kind, size);
    let extended = matches!(kind, 'f' | 'c') && floats == Floats::None;
    let contiguous = !big_endian && !extended && size > 0;
    if contiguous && let Ok(view) = View::of(value) {
        return Ok(buffer::digest(py, view.bytes()?, floats));
    }
    let mut hasher = blake3::Hasher::new();
    let numpy = py.import("numpy")?;
    let value = numpy.getattr("asarray")?.call1((value,))?;
    let value = if value.getattr("ndim")?.extract::<usize>()? == 0 {
        value.call_method1("reshape", (1,))?
    } else {
        value
    };
    let rows: usize = value.len()?;
    let total: usize = value.getattr("nbytes")?.extract()?;
    let step = if total > COPIED { (COPIED / (total / rows).max(1)).max(1) } else { rows.max(1) };
    let mut row = 0;
    while row < rows && total > 0 {
        let until = (row + step).min(rows);
        let block = value.get_item(pyo3::types::PySlice::new(
            py,
            isize::try_from(row).unwrap_or(isize::MAX),
            isize::try_from(until).unwrap_or(isize::MAX),
            1,
        ))?;
        let mut block = numpy.getattr("ascontiguousarray")?.call1((block,))?;
        if big_endian {
            block = block.call_method0("byteswap")?;
        }
        if extended {
            extended_update(&mut hasher, &block, kind, size)?;
        } else {
            buffer::update(py, &mut hasher, View::of(&block)?.bytes()?, floats);
        }
        row = until;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// `longdouble`: on x86 ten bytes in a place for sixteen (or twelve), and nothing in the others.
fn extended_update(
    hasher: &mut blake3::Hasher,
    block: &Bound<'_, PyAny>,
    kind: char,
    size: usize,
) -> PyResult<()> {
    let view = View::of(block)?;
    let width = if kind == 'c' { size / 2 } else { size };
    let used = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) { 10 } else { width };
    for element in view.bytes()?.chunks(width.max(1)) {
        hasher.update(element.get(..used).unwrap_or(element));
    }
    Ok(())
}

fn floats(kind: char, size: usize) -> Floats {
    match (kind, size) {
        ('f', 2) => Floats::Half,
        ('f', 4) | ('c', 8) => Floats::Single,
        ('f', 8) | ('c', 16) => Floats::Double,
        _ => Floats::None,
    }
}

/// A numpy scalar, which is neither the Python number nor an array without axes.
pub(super) fn scalar<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let array = context.py.import("numpy")?.getattr("asarray")?.call1((value,))?;
    Ok(Part::node("numpy", [ndarray(context, &array)?]))
}

pub(super) fn masked<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let ma = context.py.import("numpy.ma")?;
    if value.is(ma.getattr("masked")?) {
        return Ok(Part::node("masked.constant", []));
    }
    let data = Part::Value(ma.call_method1("getdata", (value,))?);
    let mask = Part::Value(ma.call_method1("getmaskarray", (value,))?);
    let fill = Part::Value(value.getattr("fill_value")?);
    let hard = Part::Value(value.getattr("hardmask")?);
    Ok(Part::node("masked", [data, mask, fill, hard]))
}

/// `array.array`: the type code of C, whose size depends on the machine, is written as numpy's name.
pub(super) fn array<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let code: char = value.getattr("typecode")?.extract()?;
    let size: usize = value.getattr("itemsize")?.extract()?;
    let kind = match code {
        'f' | 'd' => 'f',
        'u' | 'w' => 'U',
        code if code.is_ascii_uppercase() => 'u',
        _ => 'i',
    };
    let content = memory(context.py, value, floats(kind, size))?;
    let len = u64::try_from(value.len()?).unwrap_or(u64::MAX);
    let elements = Part::Array { dtype: format!("{kind}{size}"), shape: vec![len], content };
    Ok(Part::node("array.array", [elements]))
}

fn memory(py: Python<'_>, value: &Bound<'_, PyAny>, floats: Floats) -> PyResult<[u8; 32]> {
    let view = View::of(value)?;
    Ok(buffer::digest(py, view.bytes()?, floats))
}

fn octets<'py>(py: Python<'py>, value: Value<'_, 'py>) -> PyResult<Part<'py>> {
    let view = View::of(value)?;
    let len = view.bytes()?.len() as u64;
    drop(view);
    let content = memory(py, value, Floats::None)?;
    Ok(Part::Array { dtype: "u1".into(), shape: vec![len], content })
}

pub(super) fn bytearray<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    Ok(Part::node("bytearray", [octets(context.py, value)?]))
}

pub(super) fn mmap<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    Ok(Part::node("mmap", [octets(context.py, value)?]))
}

pub(super) fn memoryview<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let format = Part::Value(value.getattr("format")?);
    let shape = value.getattr("shape")?;
    let shape = shape.cast_into::<PyTuple>().map_err(PyErr::from)?;
    let content = value.call_method0("tobytes")?;
    let content = content.cast_into::<PyBytes>().map_err(PyErr::from)?;
    let content = octets(context.py, content.as_any())?;
    Ok(Part::node("memoryview", [format, Part::Tuple(shape), content]))
}

/// The digest of elements of a torch type, given as bytes.
pub(super) fn octets_of(
    py: Python<'_>,
    value: &Bound<'_, PyAny>,
    dtype: &str,
) -> PyResult<[u8; 32]> {
    let floats = match dtype {
        "torch.float16" => Floats::Half,
        "torch.float32" | "torch.complex64" => Floats::Single,
        "torch.float64" | "torch.complex128" => Floats::Double,
        _ => Floats::None,
    };
    memory(py, value, floats)
}
