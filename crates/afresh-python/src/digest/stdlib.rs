//! Values of the standard library that are a few fields: dates, numbers, paths, patterns, addresses.
//!
//! Each is a node of its kind with the fields that define it, never its rendering. A `datetime`
//! counts with its zone and `fold`; a zone by its key or offset and name.

use pyo3::prelude::*;

use super::context::Context;
use super::failure::{Failure, Fallible};
use super::node::Part;

type Value<'a, 'py> = &'a Bound<'py, PyAny>;

/// A node whose fields are attributes.
fn attributes<'py>(
    kind: &'static str,
    value: Value<'_, 'py>,
    names: &[&str],
) -> Fallible<Part<'py>> {
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        fields.push(Part::Value(value.getattr(*name)?));
    }
    Ok(Part::node(kind, fields))
}

pub(super) fn datetime<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let names =
        ["year", "month", "day", "hour", "minute", "second", "microsecond", "fold", "tzinfo"];
    attributes("datetime", value, &names)
}

pub(super) fn date<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("date", value, &["year", "month", "day"])
}

pub(super) fn time<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("time", value, &["hour", "minute", "second", "microsecond", "fold", "tzinfo"])
}

pub(super) fn timedelta<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    attributes("timedelta", value, &["days", "seconds", "microseconds"])
}

pub(super) fn timezone<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    Ok(Part::node("timezone", [Part::Value(value.call_method0("__getinitargs__")?)]))
}

pub(super) fn zone<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let key = value.getattr("key")?;
    if key.is_none() {
        return Err(Failure::undigestable(value, "it was read from a file and has no key"));
    }
    Ok(Part::node("zoneinfo", [Part::Value(key)]))
}

pub(super) fn decimal<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let (sign, digits, exponent) =
        value
            .call_method0("as_tuple")?
            .extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
    Ok(Part::node("decimal", [Part::Value(sign), Part::Value(digits), Part::Value(exponent)]))
}

pub(super) fn fraction<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    attributes("fraction", value, &["numerator", "denominator"])
}

pub(super) fn uuid<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("uuid", value, &["bytes"])
}

pub(super) fn pattern<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("pattern", value, &["pattern", "flags"])
}

/// What `re` found: in which text, with which pattern, and where.
pub(super) fn matched<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("match", value, &["re", "string", "pos", "endpos", "regs"])
}

/// `struct.Struct`.
pub(super) fn layout<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    attributes("struct", value, &["format"])
}

pub(super) fn path<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    // `PosixPath` and its like; a class derived from one adds its own identity.
    let class = value.get_type();
    let mut flavour = "Path".to_owned();
    for base in class.mro().iter() {
        let module: String = base.getattr("__module__")?.extract()?;
        if module.split('.').next() == Some("pathlib") {
            flavour = base.getattr("__qualname__")?.extract()?;
            break;
        }
    }
    let text = value.call_method0("__fspath__")?;
    Ok(Part::node("path", [Part::text(flavour), Part::Value(text)]))
}

/// The class of the library itself that a value is of or derives from.
fn address_class(value: Value<'_, '_>) -> PyResult<String> {
    for base in value.get_type().mro().iter() {
        let module: String = base.getattr("__module__")?.extract()?;
        if module == "ipaddress" {
            return base.getattr("__qualname__")?.extract();
        }
    }
    Ok(String::new())
}

pub(super) fn address<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let scope = value.getattr_opt("scope_id")?.map_or(Part::None, Part::Value);
    // An interface is an address with a network.
    let prefix = match value.getattr_opt("network")? {
        Some(network) => Part::Value(network.getattr("prefixlen")?),
        None => Part::None,
    };
    let packed = Part::Value(value.getattr("packed")?);
    Ok(Part::node("ipaddress", [Part::text(address_class(value)?), packed, prefix, scope]))
}

pub(super) fn network<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let packed = Part::Value(value.getattr("network_address")?.getattr("packed")?);
    let prefix = Part::Value(value.getattr("prefixlen")?);
    Ok(Part::node("ipaddress", [Part::text(address_class(value)?), packed, prefix, Part::None]))
}

/// `range` and `slice`.
pub(super) fn range<'py>(_: &mut Context<'_, 'py>, value: Value<'_, 'py>) -> Fallible<Part<'py>> {
    let kind = if value.get_type().name()? == "range" { "range" } else { "slice" };
    attributes(kind, value, &["start", "stop", "step"])
}

/// `...` and `NotImplemented`.
pub(super) fn constant<'py>(
    _: &mut Context<'_, 'py>,
    value: Value<'_, 'py>,
) -> Fallible<Part<'py>> {
    let kind = if value.is(value.py().Ellipsis()) { "ellipsis" } else { "notimplemented" };
    Ok(Part::node(kind, []))
}
