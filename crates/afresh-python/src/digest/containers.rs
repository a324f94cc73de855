//! Built-in containers, and the content of classes derived from built-in types.
//!
//! What is read is the storage of the built-in type, not what an overridden method makes of it; the
//! class itself is part of the value, so two classes never meet. `OrderedDict` keeps its order, for
//! its equality does.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyComplex, PyDict, PyFloat, PyList, PyString, PyTuple};

use super::context::Context;
use super::failure::Fallible;
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

pub(super) fn int<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Integer(value.clone()))
}

pub(super) fn text<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Text(value.cast::<PyString>()?.clone()))
}

pub(super) fn float<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Float(value.cast::<PyFloat>()?.value()))
}

pub(super) fn complex<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let value = value.cast::<PyComplex>()?;
    Ok(Part::Complex(value.real(), value.imag()))
}

pub(super) fn bytes<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Memory(value.cast::<PyBytes>()?.clone()))
}

pub(super) fn list<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::List(value.cast::<PyList>()?.clone()))
}

pub(super) fn tuple<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Tuple(value.cast::<PyTuple>()?.clone()))
}

pub(super) fn set<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Set { members: value.clone(), frozen: false })
}

pub(super) fn frozenset<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    Ok(Part::Set { members: value.clone(), frozen: true })
}

pub(super) fn dict<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    Ok(Part::Dict(value.cast::<PyDict>()?.clone()))
}

pub(super) fn ordered_dict<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    // Its order is kept beside the dict's own and differs after `move_to_end`.
    let class = context.py.import("collections")?.getattr("OrderedDict")?;
    let mut pairs = Vec::new();
    for key in class.call_method1("__iter__", (value,))?.try_iter()? {
        let key = key?;
        let item = value.cast::<PyDict>()?.get_item(&key)?;
        let item = item.map_or(Part::None, Part::Value);
        pairs.push(Part::Sequence(vec![Part::Value(key), item]));
    }
    Ok(Part::node("collections.OrderedDict", [Part::Sequence(pairs)]))
}

pub(super) fn default_dict<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let factory = value.getattr("default_factory")?;
    let items = value.cast::<PyDict>()?.clone();
    Ok(Part::node("collections.defaultdict", [Part::Value(factory), Part::Dict(items)]))
}

pub(super) fn deque<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let class = context.py.import("collections")?.getattr("deque")?;
    let members = class.call_method1("__iter__", (value,))?.try_iter()?;
    let list = PyList::empty(context.py);
    for member in members {
        list.append(member?)?;
    }
    let bound = value.getattr("maxlen")?;
    Ok(Part::node("collections.deque", [Part::Value(bound), Part::List(list)]))
}

pub(super) fn proxy<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let copy = context.py.get_type::<PyDict>().call1((value,))?;
    Ok(Part::node("mappingproxy", [Part::Dict(copy.cast_into().map_err(PyErr::from)?)]))
}

/// The keys, values or items of a dict, as they come: unlike the dict, a view has no other content
/// than what iterating over it gives.
pub(super) fn view<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let name = value.get_type().name()?.to_string();
    let members = context.py.get_type::<PyTuple>().call1((value,))?;
    let members = members.cast_into().map_err(PyErr::from)?;
    Ok(Part::node("view", [Part::text(name), Part::Tuple(members)]))
}
