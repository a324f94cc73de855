//! Which family a type belongs to.
//!
//! Decided once per type and kept, by the first that applies of: a function registered for the type
//! or a base; `__afresh_key__`; the most derived class in the MRO that is listed in [`known`]; the
//! pickle protocol. A class derived from a listed one counts as a value of that, with the identity
//! of the class and what its instances hold besides. Classes are recognised by name, so that no
//! library is imported to find out that a value is not one of its.

use super::address::ByAddress;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::context::Context;
use super::failure::{Failure, Fallible, attempt};
use super::node::Part;
use super::{
    arrays, arrow, callables, containers, objects, opaque, pandas, registry, stdlib, tensors,
};

/// Takes a value apart, one level deep.
pub(super) type Take =
    for<'py> fn(&mut Context<'_, 'py>, &Bound<'py, PyAny>) -> Fallible<Part<'py>>;

/// How the classes derived from a listed one are treated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Derived {
    /// Class identity, the listed value, and the instance's own attributes.
    State,
    /// Class identity and the listed value.
    Class,
    /// The same, but classes of the same library are part of the family and named by it.
    Family,
    /// The family takes care of it.
    Own,
}

#[derive(Clone, Copy)]
struct Kind {
    take: Take,
    derived: Option<Derived>,
}

/// The types seen so far.
#[derive(Default)]
pub(super) struct Kinds {
    table: ByAddress<(Py<PyType>, Kind)>,
    epoch: usize,
}

/// More types than this are no steady set; the table starts again.
const MOST: usize = 4096;

/// Takes a value apart, by any means.
pub(super) fn part<'py>(
    context: &mut Context<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Fallible<Part<'py>> {
    match listed(context, value) {
        Err(Failure::Raised(error)) if error.is_instance_of::<PyException>(context.py) => {
            opaque::last_resort(context, value, &error)
        }
        result => result,
    }
}

fn listed<'py>(context: &mut Context<'_, 'py>, value: &Bound<'py, PyAny>) -> Fallible<Part<'py>> {
    let class = value.get_type();
    let kind = find(context, &class)?;
    let part = (kind.take)(context, value)?;
    let Some(derived) = kind.derived else { return Ok(part) };
    let mut fields = vec![context.class(&class)?, part];
    if derived == Derived::State {
        fields.push(objects::state(context, value)?);
    }
    Ok(Part::node("sub", fields))
}

fn find<'py>(context: &mut Context<'_, 'py>, class: &Bound<'py, PyType>) -> Fallible<Kind> {
    let epoch = registry::epoch();
    if context.kinds.epoch != epoch || context.kinds.table.len() > MOST {
        context.kinds.table.clear();
        context.kinds.epoch = epoch;
    }
    let address = class.as_ptr() as usize;
    if let Some((_, kind)) = context.kinds.table.get(&address) {
        return Ok(*kind);
    }
    let kind = classify(context, class)?;
    context.kinds.table.insert(address, (class.clone().unbind(), kind));
    Ok(kind)
}

fn classify<'py>(context: &mut Context<'_, 'py>, class: &Bound<'py, PyType>) -> Fallible<Kind> {
    let py = context.py;
    let plain = |take: Take| Kind { take, derived: None };
    if registry::find(class).is_some() {
        return Ok(plain(registry::registered));
    }
    let mro = class.mro();
    for base in mro.iter() {
        let own =
            attempt(py, base.getattr("__dict__").and_then(|own| own.contains("__afresh_key__")))?;
        if own == Some(true) {
            return Ok(plain(objects::key));
        }
    }
    if class.is_subclass_of::<PyType>()? {
        return Ok(plain(callables::class));
    }
    let root = |class: &Bound<'py, PyAny>| -> Fallible<String> {
        let module = class.getattr("__module__").and_then(|name| name.extract::<String>());
        let module = attempt(py, module)?.unwrap_or_default();
        Ok(module.split('.').next().unwrap_or_default().to_owned())
    };
    for (distance, base) in mro.iter().enumerate() {
        let name = base.getattr("__qualname__").and_then(|name| name.extract::<String>());
        let (library, name) = (root(&base)?, attempt(py, name)?.unwrap_or_default());
        let Some((take, derived)) = known(&library, &name) else { continue };
        let own = distance == 0
            || derived == Derived::Own
            || (derived == Derived::Family && root(class)? == library);
        return Ok(Kind { take, derived: if own { None } else { Some(derived) } });
    }
    Ok(plain(if opaque::is_iterator(class) { opaque::iterator } else { objects::object }))
}

/// The listed classes, by library and qualified name.
fn known(library: &str, name: &str) -> Option<(Take, Derived)> {
    use Derived::{Class, Family, Own, State};
    if let Some(take) = opaque::known(library, name) {
        return Some((take, Own));
    }
    Some(match (library, name) {
        ("builtins", _) => return builtin(name),
        ("enum", "Enum") => (objects::member, Own),
        ("collections", "OrderedDict") => (containers::ordered_dict, State),
        ("collections", "defaultdict") => (containers::default_dict, State),
        ("collections", "deque") => (containers::deque, State),
        ("array", "array") => (arrays::array, State),
        ("mmap", "mmap") => (arrays::mmap, State),
        ("functools", "partial") => (callables::partial, State),
        ("types", "MappingProxyType") => (containers::proxy, Own),
        ("datetime", "datetime") => (stdlib::datetime, State),
        ("datetime", "date") => (stdlib::date, State),
        ("datetime", "time") => (stdlib::time, State),
        ("datetime", "timedelta") => (stdlib::timedelta, State),
        ("datetime", "timezone") => (stdlib::timezone, Own),
        ("zoneinfo", "ZoneInfo") => (stdlib::zone, Class),
        ("decimal", "Decimal") => (stdlib::decimal, State),
        ("fractions", "Fraction") => (stdlib::fraction, State),
        ("uuid", "UUID") => (stdlib::uuid, Class),
        ("re", "Pattern") => (stdlib::pattern, Own),
        ("re", "Match") => (stdlib::matched, Own),
        ("_struct", "Struct") => (stdlib::layout, State),
        ("pathlib", "PurePath") => (stdlib::path, Family),
        ("ipaddress", "_BaseAddress") => (stdlib::address, Family),
        ("ipaddress", "_BaseNetwork") => (stdlib::network, Family),
        ("numpy", "ndarray") => (arrays::ndarray, State),
        ("numpy", "memmap") => (arrays::ndarray, Own),
        ("numpy", "MaskedArray") => (arrays::masked, State),
        ("numpy", "generic") => (arrays::scalar, Family),
        ("pandas", "DataFrame") => (pandas::frame, Class),
        ("pandas", "Series") => (pandas::series, Class),
        ("pandas", "Index") => (pandas::index, Family),
        ("pandas", "ExtensionArray") => (pandas::array, Family),
        ("pandas", "Timestamp") => (pandas::timestamp, Class),
        ("pandas", "Timedelta") => (pandas::timedelta, Class),
        ("pandas", "NaTType") => (pandas::nat, Own),
        ("pandas", "NAType") => (pandas::na, Own),
        ("polars", "DataFrame" | "Series") => (arrow::polars, Class),
        ("pyarrow", "Table" | "RecordBatch" | "ChunkedArray" | "Array") => (arrow::pyarrow, Family),
        ("scipy", "_spbase" | "spmatrix" | "sparray") => (tensors::sparse, Family),
        ("torch", "Tensor") => (tensors::torch, Family),
        _ => return None,
    })
}

fn builtin(name: &str) -> Option<(Take, Derived)> {
    use Derived::{Own, State};
    Some(match name {
        "int" => (containers::int, State),
        "str" => (containers::text, State),
        "float" => (containers::float, State),
        "complex" => (containers::complex, State),
        "bytes" => (containers::bytes, State),
        "bytearray" => (arrays::bytearray, State),
        "memoryview" => (arrays::memoryview, Own),
        "list" => (containers::list, State),
        "tuple" => (containers::tuple, State),
        "set" => (containers::set, State),
        "frozenset" => (containers::frozenset, State),
        "dict" => (containers::dict, State),
        "mappingproxy" => (containers::proxy, Own),
        "dict_keys" | "dict_values" | "dict_items" => (containers::view, Own),
        "odict_keys" | "odict_values" | "odict_items" => (containers::view, Own),
        "range" | "slice" => (stdlib::range, Own),
        "ellipsis" | "NotImplementedType" => (stdlib::constant, Own),
        "function" => (callables::function, Own),
        "method" => (callables::method, Own),
        "builtin_function_or_method" | "method-wrapper" => (callables::builtin, Own),
        "method_descriptor"
        | "wrapper_descriptor"
        | "classmethod_descriptor"
        | "getset_descriptor"
        | "member_descriptor" => (callables::descriptor, Own),
        "staticmethod" | "classmethod" => (callables::wrapped, Own),
        "property" => (callables::property, Own),
        "module" => (callables::module, Own),
        _ => return None,
    })
}
