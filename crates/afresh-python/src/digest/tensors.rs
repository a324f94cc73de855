//! Sparse matrices of scipy and tensors of torch.
//!
//! A sparse matrix is its class, shape and the stored entries, sorted, with duplicates added up:
//! neither the order in which entries are kept nor the width of the indices shows. A tensor is its
//! element type, shape and elements, and whether it asks for gradients; where it lies does not show
//! beyond the kind of device.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arrays;
use super::context::Context;
use super::failure::Fallible;
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

pub(super) fn sparse<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let py = context.py;
    let copy = PyDict::new(py);
    copy.set_item("copy", true)?;
    let entries = value.call_method("tocoo", (), Some(&copy))?;
    entries.call_method0("sum_duplicates")?;
    let format = Part::Value(value.getattr("format")?);
    let name = Part::text(library_class(value, "scipy")?);
    let mut fields = vec![name, format, Part::Value(value.getattr("shape")?)];
    let indices = match entries.getattr_opt("coords")? {
        Some(coords) => coords.extract::<Vec<Bound<'py, PyAny>>>()?,
        None => vec![entries.getattr("row")?, entries.getattr("col")?],
    };
    for axis in indices {
        let axis = axis.call_method1("astype", ("<i8",))?;
        fields.push(arrays::ndarray(context, &axis)?);
    }
    fields.push(Part::Value(entries.getattr("data")?));
    Ok(Part::node("sparse", fields))
}

/// The name of the most derived class that is the library's own.
fn library_class(value: Value<'_, '_>, library: &str) -> PyResult<String> {
    for base in value.get_type().mro().iter() {
        let module: String = base.getattr("__module__")?.extract()?;
        if module.split('.').next() == Some(library) {
            return base.getattr("__qualname__")?.extract();
        }
    }
    Ok(String::new())
}

pub(super) fn torch<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let dtype: String = value.getattr("dtype")?.str()?.extract()?;
    let shape = value.getattr("shape")?.extract::<Vec<u64>>()?;
    let device = Part::Value(value.getattr("device")?.getattr("type")?);
    let gradient = Part::Value(value.getattr("requires_grad")?);
    let layout: String = value.getattr("layout")?.str()?.extract()?;
    let mut tensor = value.call_method0("detach")?;
    if layout != "torch.strided" {
        tensor = tensor.call_method0("coalesce")?;
        let indices = Part::Value(tensor.call_method0("indices")?);
        let values = Part::Value(tensor.call_method0("values")?);
        let shape = Part::Sequence(
            shape.iter().map(|n| Part::Int(i64::try_from(*n).unwrap_or(i64::MAX))).collect(),
        );
        return Ok(Part::node("torch.sparse", [shape, indices, values, gradient]));
    }
    // Through bytes, for numpy knows neither bfloat16 nor the eight-bit floats.
    let octet = context.py.import("torch")?.getattr("uint8")?;
    let octets = tensor
        .call_method0("cpu")?
        .call_method0("resolve_conj")?
        .call_method0("resolve_neg")?
        .call_method0("contiguous")?
        .call_method1("reshape", (-1,))?
        .call_method1("view", (octet,))?
        .call_method0("numpy")?;
    let content = arrays::octets_of(context.py, &octets, &dtype)?;
    let elements =
        Part::Array { dtype: dtype.trim_start_matches("torch.").to_owned(), shape, content };
    let name = Part::text(library_class(value, "torch")?);
    Ok(Part::node("torch", [name, device, gradient, elements]))
}
