//! Tables: frames, structured arrays, Arrow memory, each column by its name.

use afresh_core::{Cells, Inside, Name, Outline, Rows, short};
use pyo3::prelude::*;

use super::containers::label_name;
use super::tree::{Fields, Maker};
use crate::digest::node::Part;

impl<'py> Maker<'py> {
    /// A frame of pandas, or a structured array: the parts that are no columns, and the columns by name.
    pub(super) fn columns(
        &mut self,
        kind: &str,
        fields: Vec<Part<'py>>,
        owner: &Bound<'py, PyAny>,
        depth: usize,
    ) -> PyResult<Option<Inside>> {
        let mut found = Fields::new();
        let mut columns = Vec::new();
        if kind == "structured" {
            let dtype = Part::text(owner.getattr("dtype")?.str()?.to_string_lossy().into_owned());
            found.push(self.named("dtype", dtype, depth)?);
            let Some(Part::Sequence(pairs)) = fields.into_iter().next_back() else {
                return Ok(None);
            };
            for pair in pairs {
                let Part::Sequence(pair) = pair else { return Ok(None) };
                let mut pair = pair.into_iter();
                if let (Some(Part::Value(name)), Some(column)) = (pair.next(), pair.next()) {
                    columns.push((name, column));
                }
            }
        } else {
            let mut fields = fields.into_iter();
            let (index, _labels, parts) = (fields.next(), fields.next(), fields.next());
            let (Some(index), Some(Part::Sequence(parts))) = (index, parts) else {
                return Ok(None);
            };
            self.siblings = parts.len() + 1;
            found.push(self.named("index", index, depth)?);
            for (name, part) in ["attrs", "metadata"].into_iter().zip(fields) {
                found.push(self.named(name, part, depth)?);
            }
            let labels = owner.getattr("columns")?.try_iter()?;
            columns = labels.collect::<PyResult<Vec<_>>>()?.into_iter().zip(parts).collect();
        }
        self.siblings = columns.len();
        let all = columns.len();
        let kept = found.len();
        for (label, column) in columns {
            if self.is_exhausted() {
                break;
            }
            let name = label_name(&label);
            self.charge_name(&name);
            let (_, mut outline) = self.named("values", column, depth)?;
            outline.preview = column_preview(&outline.inside);
            found.push((Name::Column(name), outline));
        }
        let rest = self.rest(found.len() - kept, all, owner)?;
        Ok(Some(Inside::Fields(found, rest)))
    }

    /// A table that hands out Arrow memory.
    pub(super) fn table(
        &mut self,
        owner: &Bound<'py, PyAny>,
        columns: Vec<Bound<'py, PyAny>>,
        names: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Inside>> {
        let mut found = Fields::new();
        self.siblings = columns.len();
        let all = columns.len();
        for (name, column) in names.try_iter()?.zip(&columns) {
            if self.is_exhausted() {
                break;
            }
            let name = label_name(&name?);
            self.charge_name(&name);
            self.charge("");
            let inside = self.column(column)?;
            let preview = column_preview(&inside);
            found.push((Name::Column(name), Outline { preview, inside }));
        }
        let rest = self.rest(found.len(), all, owner)?;
        Ok(Some(Inside::Fields(found, rest)))
    }

    /// A column that hands out Arrow memory.
    pub(super) fn column(&mut self, column: &Bound<'py, PyAny>) -> PyResult<Inside> {
        let dtype = match column.getattr_opt("dtype")? {
            Some(dtype) => dtype,
            None => column.getattr("type")?,
        };
        let dtype = dtype.str()?.to_string_lossy().into_owned();
        if let Some(rows) = self.arrow(column, &dtype)? {
            return Ok(Inside::Rows(rows));
        }
        let cells = Cells::Whole(short(&self.digest(column)?));
        let shape = vec![column.len()? as u64];
        Ok(Inside::Rows(Rows { dtype, shape, cells }))
    }
}

/// A column is shown by the type of its values.
fn column_preview(inside: &Inside) -> String {
    match inside {
        Inside::Rows(rows) => rows.dtype.clone(),
        _ => String::new(),
    }
}
