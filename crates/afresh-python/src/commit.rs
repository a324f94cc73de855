//! Commits as plain dictionaries; `afresh.models` makes typed records of them.

use afresh::{Commit, CommitId, Difference, Inner, Kept, Outcome};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// One commit.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    id: &CommitId,
    commit: &Commit,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("hash", id.to_string())?;
    dict.set_item("fingerprint", commit.fingerprint.to_string())?;
    dict.set_item("function", &commit.function)?;
    dict.set_item("function_hash", commit.function_id.to_string())?;
    let arguments: Vec<_> = commit
        .arguments
        .iter()
        .map(|arg| {
            let source = arg.source.map(|id| id.to_string());
            (arg.name.clone(), arg.preview.clone(), arg.digest.to_string(), source)
        })
        .collect();
    dict.set_item("arguments", arguments)?;
    dict.set_item("parent", commit.parent.map(|id| id.to_string()))?;
    dict.set_item("inputs", commit.inputs.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    dict.set_item("status", commit.status().as_str())?;
    dict.set_item("started", commit.started.as_millis())?;
    dict.set_item("took_us", commit.took_us)?;
    dict.set_item("ttl_ms", commit.ttl_ms)?;
    let tags: Vec<_> = commit.tags.iter().map(|tag| (&tag.key, tag.value.as_ref())).collect();
    dict.set_item("tags", tags)?;
    dict.set_item("user", &commit.who.user)?;
    dict.set_item("host", &commit.who.host)?;
    dict.set_item("pid", commit.who.pid)?;
    match &commit.outcome {
        Outcome::Completed(Kept::Object { object, codec, value, .. }) => {
            dict.set_item("output", (object.id.to_string(), object.len, codec))?;
            dict.set_item("value_digest", value.map(|digest| digest.0))?;
        }
        Outcome::Completed(Kept::No { reason }) => dict.set_item("unkept", reason)?,
        Outcome::Failed(failure) => {
            dict.set_item("error", (&failure.kind, &failure.message, &failure.traceback))?;
        }
    }
    Ok(dict)
}

/// What differs between two.
pub(crate) fn difference(py: Python<'_>, difference: Difference) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name_changed", difference.name_changed)?;
    dict.set_item("function_changed", difference.function_changed)?;
    let text = |bytes: afresh::Bytes| String::from_utf8_lossy(&bytes).into_owned();
    dict.set_item("records", difference.records.map(|(a, b)| (text(a), text(b))))?;
    let arguments = PyList::empty(py);
    for change in difference.arguments {
        let inside = change.inside.map(|inner| inside(py, &change.name, &inner)).transpose()?;
        arguments.append((change.name, change.a, change.b, inside))?;
    }
    dict.set_item("arguments", arguments)?;
    dict.set_item("output_changed", difference.output_changed)?;
    Ok(dict)
}

/// Where inside an argument: in words, and for programs.
fn inside<'py>(py: Python<'py>, name: &str, inner: &Inner) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("headline", inner.headline(name))?;
    dict.set_item("lines", inner.lines(name))?;
    dict.set_item("more", inner.more)?;
    let differences = PyList::empty(py);
    for one in &inner.differences {
        let difference = PyDict::new(py);
        difference.set_item("place", one.place(name))?;
        difference.set_item("change", one.turn.as_str())?;
        difference.set_item("a", &one.a)?;
        difference.set_item("b", &one.b)?;
        if let Some(counted) = &one.counted {
            difference.set_item("unit", counted.unit)?;
            difference.set_item("before", &counted.before)?;
            difference.set_item("after", &counted.after)?;
            difference.set_item("differing", counted.differing)?;
            difference.set_item("exact", counted.exact)?;
            difference.set_item("first", &counted.first)?;
        }
        differences.append(difference)?;
    }
    dict.set_item("differences", differences)?;
    Ok(dict)
}

/// Several commits.
pub(crate) fn list<'py>(
    py: Python<'py>,
    commits: &[(CommitId, Commit)],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (id, commit) in commits {
        list.append(dict(py, id, commit)?)?;
    }
    Ok(list)
}
