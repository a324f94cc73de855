//! pandas: frames, series, indexes and the arrays in them.
//!
//! A frame is its index, its column labels, its columns one by one, and `attrs`; how columns are
//! grouped into blocks does not show. Values that pandas leaves behind a mask or outside a slice are
//! not content. Categories count in their order, for the codes refer to it; a multi-index is the
//! labels of its levels, not how these are coded. `freq` of a time index counts.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::context::Context;
use super::failure::{Fallible, attempt};
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

pub(super) fn frame<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let mut columns = Vec::new();
    match attempt(context.py, value.call_method0("_iter_column_arrays"))? {
        Some(arrays) => {
            for column in arrays.try_iter()? {
                columns.push(Part::Value(column?));
            }
        }
        None => {
            let count: usize = value.getattr("shape")?.get_item(1)?.extract()?;
            let places = value.getattr("iloc")?;
            let all = pyo3::types::PySlice::full(context.py);
            for place in 0..count {
                let column = places.get_item((&all, place))?;
                columns.push(Part::Value(column.getattr("array")?));
            }
        }
    }
    let index = Part::Value(value.getattr("index")?);
    let labels = Part::Value(value.getattr("columns")?);
    let attrs = Part::Value(value.getattr("attrs")?);
    let extra = metadata(value)?;
    Ok(Part::node("pandas.DataFrame", [index, labels, Part::Sequence(columns), attrs, extra]))
}

pub(super) fn series<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let fields = ["name", "index", "array", "attrs"];
    let fields = fields.map(|name| value.getattr(name).map(Part::Value));
    let mut fields = fields.into_iter().collect::<PyResult<Vec<_>>>()?;
    fields.push(metadata(value)?);
    Ok(Part::node("pandas.Series", fields))
}

/// What a derived class declares to be its own.
fn metadata<'py>(value: Value<'_, 'py>) -> PyResult<Part<'py>> {
    let mut fields = Vec::new();
    for name in value.getattr("_metadata")?.try_iter()? {
        let name = name?;
        let name: String = name.extract()?;
        // The names of frames are `name`s of series, which are there already.
        if matches!(name.as_str(), "name" | "_name") {
            continue;
        }
        let field = value.getattr_opt(name.as_str())?.map_or(Part::None, Part::Value);
        fields.push(Part::Sequence(vec![Part::text(name), field]));
    }
    Ok(if fields.is_empty() { Part::None } else { Part::Sequence(fields) })
}

pub(super) fn index<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let pandas = context.py.import("pandas")?;
    if value.is_instance(&pandas.getattr("MultiIndex")?)? {
        let count: usize = value.getattr("nlevels")?.extract()?;
        let mut levels = Vec::with_capacity(count);
        for level in 0..count {
            levels.push(Part::Value(value.call_method1("get_level_values", (level,))?));
        }
        return Ok(Part::node("pandas.MultiIndex", [Part::Sequence(levels)]));
    }
    let name = Part::Value(value.getattr("name")?);
    if value.is_instance(&pandas.getattr("RangeIndex")?)? {
        let fields = ["start", "stop", "step"];
        let fields = fields.map(|name| value.getattr(name).map(Part::Value));
        let mut fields = fields.into_iter().collect::<PyResult<Vec<_>>>()?;
        fields.push(name);
        return Ok(Part::node("pandas.RangeIndex", fields));
    }
    let frequency = match value.getattr_opt("freqstr")? {
        Some(frequency) => Part::Value(frequency),
        None => Part::None,
    };
    Ok(Part::node("pandas.Index", [name, Part::Value(value.getattr("array")?), frequency]))
}

/// The arrays that columns are made of, where they are not numpy's.
pub(super) fn array<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let py = context.py;
    let class = value.get_type().name()?.to_string();
    let get = |name: &str| value.getattr(name).map(Part::Value);
    let dtype: String = value.getattr("dtype")?.str()?.extract()?;
    match class.as_str() {
        "NumpyExtensionArray" | "PandasArray" => {
            let plain = value.call_method0("to_numpy")?;
            return Ok(Part::Sequence(vec![Part::Value(plain)]));
        }
        "Categorical" => {
            let fields = [get("categories")?, get("codes")?, get("ordered")?];
            return Ok(Part::node("pandas.Categorical", fields));
        }
        "DatetimeArray" | "TimedeltaArray" | "PeriodArray" => {
            return Ok(Part::node("pandas.array", [Part::text(dtype), get("asi8")?]));
        }
        "IntervalArray" => {
            let fields = [get("left")?, get("right")?, get("closed")?];
            return Ok(Part::node("pandas.IntervalArray", fields));
        }
        "SparseArray" => {
            let indices = value.getattr("sp_index")?.call_method0("to_int_index")?;
            let indices = Part::Value(indices.getattr("indices")?);
            let length = Part::Int(i64::try_from(value.len()?).unwrap_or(i64::MAX));
            let fields = [length, indices, get("sp_values")?, get("fill_value")?];
            return Ok(Part::node("pandas.SparseArray", fields));
        }
        _ => {}
    }
    let missing = value.call_method0("isna")?;
    if value.getattr_opt("_mask")?.is_some() && value.getattr_opt("_data")?.is_some() {
        // What lies under the mask is left over from some computation.
        let plain = value.getattr("dtype")?.getattr("numpy_dtype")?;
        let arguments = PyDict::new(py);
        arguments.set_item("dtype", plain)?;
        if missing.call_method0("any")?.is_truthy()? {
            arguments.set_item("na_value", 0)?;
        }
        let values = value.call_method("to_numpy", (), Some(&arguments))?;
        let fields = [Part::text(dtype), Part::Value(values), Part::Value(missing)];
        return Ok(Part::node("pandas.masked", fields));
    }
    let arrow = value.getattr_opt("__arrow_array__")?;
    let arrow = match arrow {
        Some(method) => attempt(py, method.call0())?,
        None => None,
    };
    if let Some(arrow) = arrow {
        return Ok(Part::node("pandas.array", [Part::text(dtype), Part::Value(arrow)]));
    }
    let elements = value.call_method1("astype", (py.get_type::<PyAny>(),))?;
    let elements = elements.call_method0("tolist")?.cast_into::<PyList>().map_err(PyErr::from)?;
    Ok(Part::node("pandas.array", [Part::text(dtype), Part::List(elements)]))
}

pub(super) fn timestamp<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    instant("pandas.Timestamp", value, &["unit", "fold", "tzinfo"])
}

pub(super) fn timedelta<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    instant("pandas.Timedelta", value, &["unit"])
}

fn instant<'py>(kind: &'static str, value: Value<'_, 'py>, names: &[&str]) -> Fallible<Part<'py>> {
    // In its own unit: in nanoseconds it may not fit.
    let count = value.getattr("asm8")?.call_method1("astype", ("int64",))?;
    let mut fields = vec![Part::Value(count.call_method0("item")?)];
    for name in names {
        fields.push(value.getattr_opt(*name)?.map_or(Part::None, Part::Value));
    }
    Ok(Part::node(kind, fields))
}

pub(super) fn nat<'py>(_: &mut Context<'_, 'py>, _: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::node("pandas.NaT", []))
}

pub(super) fn na<'py>(_: &mut Context<'_, 'py>, _: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::node("pandas.NA", []))
}
