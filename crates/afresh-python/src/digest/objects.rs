//! Instances of classes: class identity and state.
//!
//! What an instance holds is asked for by the pickle protocol, one level deep: `__dict__` and slots,
//! or what `__getstate__` or `__reduce__` says; dataclasses, attrs classes, pydantic models and
//! named tuples need nothing of their own. The parts are digested by content, so neither sharing nor
//! the order of attributes shows, as it would in a pickle. Whatever a method raises is the caller's
//! to degrade.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::context::Context;
use super::failure::{Failure, Fallible, attempt};
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// An object that says itself what tells it apart, with `__afresh_key__`.
pub(super) fn key<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let class = value.get_type();
    let answer = class.getattr("__afresh_key__").and_then(|method| method.call1((value,)));
    match attempt(context.py, answer)? {
        Some(answer) => Ok(Part::node("key", [context.class(&class)?, Part::Value(answer)])),
        None => {
            let name = super::failure::type_name(value);
            context.note(format!("`__afresh_key__` of `{name}` failed; its state is used instead"));
            object(context, value)
        }
    }
}

/// A member of an enum, or a combination of flags, which has no name.
pub(super) fn member<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let class = context.class(&value.get_type())?;
    let name = Part::Value(value.getattr("_name_")?);
    Ok(Part::node("enum", [class, name, Part::Value(value.getattr("_value_")?)]))
}

/// An instance of any class.
pub(super) fn object<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let py = context.py;
    let class = value.get_type();
    let copyreg = py.import("copyreg")?;
    let table = copyreg.getattr("dispatch_table")?;
    let reduced = match table.cast::<PyDict>()?.get_item(&class)? {
        Some(reduce) => reduce.call1((value,))?,
        None => class.getattr("__reduce_ex__")?.call1((value, 4))?,
    };
    if let Ok(name) = reduced.cast::<PyString>() {
        let module = attempt(py, value.getattr("__module__").and_then(|name| name.extract()))?;
        let module = module.unwrap_or_else(|| "__main__".to_owned());
        return context.global(value, module, name.to_string_lossy().into_owned());
    }
    let reduced = reduced.cast::<PyTuple>()?;
    let field = |place: usize| reduced.get_item(place).ok().filter(|field| !field.is_none());
    let function = reduced.get_item(0)?;
    let arguments = reduced.get_item(1)?;
    let arguments = arguments.cast::<PyTuple>()?;

    let identity = context.class(&class)?;
    let state = match field(2) {
        Some(state) => fold(&state),
        None => Part::None,
    };
    let members = match field(3) {
        Some(members) => {
            let members = members.try_iter()?.map(|member| member.map(Part::Value));
            Part::Sequence(members.collect::<PyResult<_>>()?)
        }
        None => Part::None,
    };
    let items = match field(4) {
        Some(items) => {
            let dict = PyDict::new(py);
            for item in items.try_iter()? {
                let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item?.extract()?;
                dict.set_item(key, value)?;
            }
            Part::Dict(dict)
        }
        None => Part::None,
    };

    // The usual constructor says nothing but the class; any other is part of the value.
    let usual = function.is(copyreg.getattr("__newobj__")?)
        && arguments.get_item(0).is_ok_and(|first| first.is(&class));
    if usual && arguments.len() == 1 && matches!((&members, &items), (Part::None, Part::None)) {
        return Ok(Part::node("object", [identity, state]));
    }
    let (function, arguments) = if usual {
        (Part::None, arguments.get_slice(1, arguments.len()))
    } else if function.is(&class) {
        (Part::None, arguments.clone())
    } else {
        (Part::Value(function), arguments.clone())
    };
    let setter = field(5).map_or(Part::None, Part::Value);
    Ok(Part::node(
        "reduced",
        [identity, function, Part::Tuple(arguments), state, members, items, setter],
    ))
}

/// What a state says, with `__dict__` and slots as two dicts.
fn fold<'py>(state: Value<'_, 'py>) -> Part<'py> {
    if let Ok(dict) = state.cast_exact::<PyDict>() {
        return Part::Dict(without_caches(dict));
    }
    if let Ok(pair) = state.cast_exact::<PyTuple>()
        && pair.len() == 2
        && let (Ok(dict), Ok(slots)) = (pair.get_item(0), pair.get_item(1))
        && let Ok(slots) = slots.cast_exact::<PyDict>()
    {
        let dict = match dict.cast_exact::<PyDict>() {
            Ok(dict) => Part::Dict(without_caches(dict)),
            Err(_) => Part::Value(dict),
        };
        return Part::node("slots", [dict, Part::Dict(without_caches(slots))]);
    }
    Part::Value(state.clone())
}

/// The hash that attrs keeps beside the fields differs from one process to the next.
fn without_caches<'py>(state: &Bound<'py, PyDict>) -> Bound<'py, PyDict> {
    const CACHE: &str = "_attrs_cached_hash";
    if !state.contains(CACHE).unwrap_or(false) {
        return state.clone();
    }
    let copy = state.copy().and_then(|copy| copy.del_item(CACHE).map(|()| copy));
    copy.unwrap_or_else(|_| state.clone())
}

/// What an instance of a class derived from a listed type holds besides the value itself.
pub(super) fn state<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let py = context.py;
    let class = value.get_type();
    if let Some(state) = custom_state(&class, value)? {
        return Ok(fold(&state));
    }
    let mut fields = Part::None;
    // SAFETY: `value` is live; the result is a new reference or null with an error set, which is
    // that there is no `__dict__`.
    let dict = unsafe {
        Bound::from_owned_ptr_or_err(
            py,
            ffi::PyObject_GenericGetDict(value.as_ptr(), std::ptr::null_mut()),
        )
    };
    if let Some(dict) = attempt(py, dict)?
        && let Ok(dict) = dict.cast_into::<PyDict>()
        && !dict.is_empty()
    {
        fields = Part::Dict(without_caches(&dict));
    }
    let names = py.import("copyreg")?.getattr("_slotnames")?.call1((&class,))?;
    let names: Vec<Bound<'py, PyString>> = names.extract()?;
    if names.is_empty() {
        return Ok(fields);
    }
    let slots = PyDict::new(py);
    for name in names {
        // SAFETY: both are live; the result is a new reference or null with an error set, which is
        // that the slot is empty.
        let slot = unsafe {
            Bound::from_owned_ptr_or_err(
                py,
                ffi::PyObject_GenericGetAttr(value.as_ptr(), name.as_ptr()),
            )
        };
        if let Some(slot) = attempt(py, slot)? {
            slots.set_item(name, slot)?;
        }
    }
    Ok(Part::node("slots", [fields, Part::Dict(slots)]))
}

/// The answer of a `__getstate__` that is not the one every object has.
fn custom_state<'py>(
    class: &Bound<'py, PyType>,
    value: Value<'_, 'py>,
) -> Fallible<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    for base in class.mro().iter() {
        if base.is(py.get_type::<PyAny>()) {
            break;
        }
        if base.getattr("__dict__")?.contains("__getstate__")? {
            let method = class.getattr("__getstate__")?;
            return Ok(Some(method.call1((value,)).map_err(Failure::from)?));
        }
    }
    Ok(None)
}
