//! A value in a few characters, for the log. Reads the exact built-in types only and never calls user code: what
//! it does not know is shown by its type. Parameters that look like secrets are not shown at all.

use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};

/// The longest preview, in characters.
const MOST: usize = 60;

const SECRETS: [&str; 7] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "credential"];

/// The value of a parameter, shortened.
pub(crate) fn preview(name: &str, value: &Bound<'_, PyAny>) -> String {
    if is_secret(name) {
        return "…".into();
    }
    let mut text = String::new();
    show(value, 2, &mut text);
    clip(text)
}

/// Whether what has this name looks like a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| lower.contains(secret))
}

fn clip(text: String) -> String {
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

fn show(value: &Bound<'_, PyAny>, depth: usize, out: &mut String) {
    if value.is_none() {
        out.push_str("None");
    } else if value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyInt>()
    {
        // The text of a very large integer is refused by Python, and would not fit.
        match value.str() {
            Ok(text) => out.push_str(&text.to_string_lossy()),
            Err(_) => out.push_str("int(…)"),
        }
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        quote(text, out);
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        out.push_str(&format!("bytes({})", bytes.as_bytes().len()));
    } else if let Ok(bytes) = value.cast_exact::<PyByteArray>() {
        out.push_str(&format!("bytearray({})", bytes.len()));
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        many("[", "]", list.iter(), list.len(), depth, out);
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        let close = if tuple.len() == 1 { ",)" } else { ")" };
        many("(", close, tuple.iter(), tuple.len(), depth, out);
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        dictionary(dict, depth, out);
    } else if let Ok(set) = value.cast_exact::<PySet>() {
        out.push_str(&format!("set({})", set.len()));
    } else if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
        out.push_str(&format!("frozenset({})", set.len()));
    } else {
        other(value, out);
    }
}

fn quote(text: &Bound<'_, PyString>, out: &mut String) {
    let text = text.to_string_lossy();
    let shown: String = text.chars().take(MOST).collect();
    let escaped = shown.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    let mark = if escaped.contains('\'') { '"' } else { '\'' };
    out.push(mark);
    out.push_str(&escaped);
    if shown.len() < text.len() {
        out.push('…');
    }
    out.push(mark);
}

fn many<'py>(
    open: &str,
    close: &str,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    len: usize,
    depth: usize,
    out: &mut String,
) {
    out.push_str(open);
    if depth == 0 && len > 0 {
        out.push('…');
    } else {
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if index == 4 || out.len() > MOST {
                out.push_str(&format!("… {len} in all"));
                break;
            }
            show(&item, depth - 1, out);
        }
    }
    out.push_str(close);
}

fn dictionary(dict: &Bound<'_, PyDict>, depth: usize, out: &mut String) {
    out.push('{');
    if depth == 0 && !dict.is_empty() {
        out.push('…');
    } else {
        for (index, (key, value)) in dict.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            if index == 3 || out.len() > MOST {
                out.push_str(&format!("… {} in all", dict.len()));
                break;
            }
            show(&key, 0, out);
            out.push_str(": ");
            let name = key.cast_exact::<PyString>().map(|key| key.to_string_lossy().into_owned());
            match name {
                Ok(name) => out.push_str(&preview_at(&name, &value, depth - 1)),
                Err(_) => show(&value, depth - 1, out),
            }
        }
    }
    out.push('}');
}

fn preview_at(name: &str, value: &Bound<'_, PyAny>, depth: usize) -> String {
    let mut text = String::new();
    if is_secret(name) {
        text.push('…');
    } else {
        show(value, depth, &mut text);
    }
    text
}

/// The type, and the shape where one of the known array libraries made it.
fn other(value: &Bound<'_, PyAny>, out: &mut String) {
    let class = value.get_type();
    let name = class.name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let module = class.module().map_or_else(|_| String::new(), |module| module.to_string());
    let root = module.split('.').next().unwrap_or_default();
    out.push('<');
    out.push_str(&name);
    if ["numpy", "pandas", "polars", "torch", "scipy"].contains(&root)
        && let Ok(shape) = value.getattr("shape").and_then(|shape| shape.extract::<Vec<u64>>())
    {
        let shape: Vec<_> = shape.iter().map(u64::to_string).collect();
        out.push(' ');
        out.push_str(&shape.join("×"));
    }
    out.push('>');
}
