//! Tables and columns of pyarrow, polars and pandas' arrow-backed arrays.
//!
//! All of them hand out their memory through the Arrow C interface, so one reader serves them all,
//! and needs no pyarrow. See [`super::column`] for what of the memory is content. What the reader
//! does not know (unions, run-end encoding, objects) goes element by element.

use std::ffi::CString;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::cdata::{Array, Schema, Stream};
use super::column::Column;
use super::context::Context;
use super::failure::{Fallible, attempt};
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

pub(super) fn pyarrow<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    // A record batch and a table, an array and a chunked array are the same content.
    let kind = if value.getattr_opt("schema")?.is_some() { "arrow.table" } else { "arrow.array" };
    if let Some(content) = read(context, value)? {
        return Ok(Part::node(kind, [content]));
    }
    let schema = match value.getattr_opt("schema")? {
        Some(schema) => schema,
        None => value.getattr("type")?,
    };
    let schema: String = schema.str()?.extract()?;
    let elements = value.call_method0("to_pylist")?.cast_into::<PyList>().map_err(PyErr::from)?;
    Ok(Part::node(kind, [Part::text(schema), Part::List(elements)]))
}

pub(super) fn polars<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let polars = context.py.import("polars")?;
    if value.is_instance(&polars.getattr("Series")?)? {
        let name = Part::Value(value.getattr("name")?);
        let content = match read(context, value)? {
            Some(content) => content,
            None => elements(value)?,
        };
        return Ok(Part::node("polars.Series", [name, content]));
    }
    if let Some(content) = read(context, value)? {
        return Ok(Part::node("polars.DataFrame", [content]));
    }
    let mut columns = Vec::new();
    for column in value.call_method0("get_columns")?.try_iter()? {
        columns.push(Part::Value(column?));
    }
    let height = Part::Value(value.getattr("height")?);
    Ok(Part::node("polars.DataFrame", [height, Part::Sequence(columns)]))
}

fn elements<'py>(value: Value<'_, 'py>) -> PyResult<Part<'py>> {
    let dtype: String = value.getattr("dtype")?.str()?.extract()?;
    let list = value.call_method0("to_list")?.cast_into::<PyList>().map_err(PyErr::from)?;
    Ok(Part::Sequence(vec![Part::text(dtype), Part::List(list)]))
}

/// The content of anything that hands out arrow memory; nothing if it does not, or not all of it is
/// of a known type.
fn read<'py>(context: &Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Option<Part<'py>>> {
    let py = context.py;
    let stream = value.getattr_opt("__arrow_c_stream__")?;
    let mut column;
    if let Some(method) = stream {
        let Some(capsule) = attempt(py, method.call0())? else { return Ok(None) };
        // SAFETY: by the capsule's name it holds an `ArrowArrayStream`, alive with the capsule.
        let Some(mut stream) = (unsafe { Stream::of(pointer(&capsule, "arrow_array_stream")?) })
        else {
            return Ok(None);
        };
        let Some(schema) = stream.schema() else { return Ok(None) };
        column = match Column::new(&schema) {
            Some(column) => column,
            None => return Ok(None),
        };
        loop {
            match stream.next() {
                Ok(Some(array)) => {
                    if !column.append(py, &array) {
                        return Ok(None);
                    }
                }
                Ok(None) => break,
                Err(()) => return Ok(None),
            }
        }
    } else {
        let Some(method) = value.getattr_opt("__arrow_c_array__")? else { return Ok(None) };
        let Some(pair) = attempt(py, method.call0())? else { return Ok(None) };
        let pair = pair.cast_into::<PyTuple>().map_err(PyErr::from)?;
        // SAFETY: by their names the capsules hold these structures, alive with the capsules.
        let (schema, array) = unsafe {
            (
                Schema::of(pointer(&pair.get_item(0)?, "arrow_schema")?),
                Array::of(pointer(&pair.get_item(1)?, "arrow_array")?),
            )
        };
        let (Some(schema), Some(array)) = (schema, array) else { return Ok(None) };
        column = match Column::new(&schema) {
            Some(column) => column,
            None => return Ok(None),
        };
        if !column.append(py, &array) {
            return Ok(None);
        }
    }
    Ok(Some(column.part()))
}

pub(super) fn pointer(capsule: &Bound<'_, PyAny>, name: &str) -> PyResult<*mut std::ffi::c_void> {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: the capsule is live, and so is the name for the call.
    let pointer = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), name.as_ptr()) };
    if pointer.is_null() { Err(PyErr::fetch(capsule.py())) } else { Ok(pointer) }
}
