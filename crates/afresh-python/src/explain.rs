//! An explanation as a plain dictionary; `afresh.why` puts it into words.

use afresh::{Answer, Explanation, RAISED, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::verdict;
use crate::commit;

/// What the engine says of a call that was asked about at this moment.
pub(crate) fn dict(
    py: Python<'_>,
    explanation: Explanation,
    now: Timestamp,
) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("now", now.as_millis())?;
    match explanation {
        Explanation::Hit(found) => {
            dict.set_item("kind", "hit")?;
            answer(&dict, &found)?;
        }
        Explanation::Expired { answer: found, by } => {
            dict.set_item("kind", "expired")?;
            dict.set_item("by", by.as_secs_f64())?;
            answer(&dict, &found)?;
        }
        Explanation::Unusable { answer: found, reason } => {
            dict.set_item("kind", "unusable")?;
            dict.set_item("reason", reason)?;
            answer(&dict, &found)?;
        }
        Explanation::Missing { nearest, never_seen } => {
            dict.set_item("kind", "miss")?;
            dict.set_item("never_seen", never_seen)?;
            if let Some(near) = nearest {
                dict.set_item("commit", near.id.to_string())?;
                dict.set_item("record", commit::dict(py, &near.id, &near.commit)?)?;
                dict.set_item("difference", commit::difference(py, near.difference)?)?;
            }
        }
    }
    Ok(dict)
}

fn answer(dict: &Bound<'_, PyDict>, answer: &Answer) -> PyResult<()> {
    let head = &answer.head;
    dict.set_item("commit", head.commit.to_string())?;
    dict.set_item("created", head.created.as_millis())?;
    dict.set_item("took_us", head.took_us)?;
    dict.set_item("verdict", verdict(answer.verdict))?;
    dict.set_item("failed", head.codec.starts_with(RAISED))?;
    if let Some(record) = &answer.commit {
        dict.set_item("record", commit::dict(dict.py(), &head.commit, record)?)?;
    }
    Ok(())
}
