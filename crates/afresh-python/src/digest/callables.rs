//! Functions, methods, classes, modules.
//!
//! The code of functions and classes is identified by `afresh.identity`; a bound method also counts
//! with the instance it is bound to, a partial with what it binds. Python's own functions and modules
//! go by name.

use pyo3::prelude::*;
use pyo3::types::{PyModule, PyType};

use super::context::Context;
use super::failure::Fallible;
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

pub(super) fn class<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    context.class(value.cast::<PyType>()?)
}

pub(super) fn function<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    context.function(value)
}

pub(super) fn method<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let function = Part::Value(value.getattr("__func__")?);
    Ok(Part::node("method", [Part::Value(value.getattr("__self__")?), function]))
}

/// A function written in C, or a method of a built-in type bound to a value.
pub(super) fn builtin<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let bound = value.getattr("__self__")?;
    if bound.is_none() || bound.is_instance_of::<PyModule>() {
        return context.function(value);
    }
    Ok(Part::node("method", [Part::Value(bound), Part::Value(value.getattr("__name__")?)]))
}

/// A method of a built-in type that is not bound.
pub(super) fn descriptor<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let class = value.getattr("__objclass__")?;
    let class = context.class(class.cast::<PyType>()?)?;
    Ok(Part::node("descriptor", [class, Part::Value(value.getattr("__name__")?)]))
}

pub(super) fn wrapped<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let kind =
        if value.get_type().name()? == "staticmethod" { "staticmethod" } else { "classmethod" };
    Ok(Part::node(kind, [Part::Value(value.getattr("__func__")?)]))
}

pub(super) fn property<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let fields = ["fget", "fset", "fdel"].map(|name| value.getattr(name).map(Part::Value));
    let fields = fields.into_iter().collect::<PyResult<Vec<_>>>()?;
    Ok(Part::node("property", fields))
}

pub(super) fn partial<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let fields = ["func", "args", "keywords"].map(|name| value.getattr(name).map(Part::Value));
    let fields = fields.into_iter().collect::<PyResult<Vec<_>>>()?;
    Ok(Part::node("partial", fields))
}

pub(super) fn module<'py>(
    context: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let name: String = value.getattr("__name__")?.extract()?;
    context.module(value, name)
}
