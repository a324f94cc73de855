//! `Source`: the canonical form of Python text, for `afresh.identity`.
//!
//! A thin skin over `afresh-pysource`: plain tuples out, `LookupError` where nothing (or too much) fits
//! and `ValueError` where the text cannot be read. It knows nothing of live objects.

use afresh_pysource::{Binding, Definition, Error, Origin, Reference, Source as Parsed, Style};
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};

/// Adds what this module offers.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Source>()?;
    module.add_function(wrap_pyfunction!(combine, module)?)
}

/// The digest of a kind and some parts, each preceded by its length: how `afresh.identity` joins digests.
#[pyfunction]
fn combine<'py>(py: Python<'py>, kind: &str, parts: Vec<PyBackedBytes>) -> Bound<'py, PyBytes> {
    let digest = afresh_pysource::combine(kind, parts.iter().map(|part| &part[..]));
    PyBytes::new(py, &digest)
}

/// One parsed file, cell or snippet.
#[pyclass(frozen, module = "afresh._afresh")]
pub struct Source {
    parsed: Parsed,
}

fn failed(error: Error) -> PyErr {
    match error {
        Error::NotFound | Error::Ambiguous => PyLookupError::new_err(error.to_string()),
        other => PyValueError::new_err(other.to_string()),
    }
}

fn style(whole: bool, ignored_decorators: Vec<String>) -> Style {
    Style { whole, ignored_decorators }
}

/// `(level, module, name, path, written_only)`; level is -1 for a name that no import within binds.
fn reference<'py>(py: Python<'py>, one: &Reference) -> PyResult<Bound<'py, PyTuple>> {
    let path = PyTuple::new(py, &one.path)?;
    match &one.origin {
        Origin::Free => (-1, "", None::<&str>, path, one.written_only).into_pyobject(py),
        Origin::Import { level, module, name } => {
            (i64::from(*level), module, name.as_deref(), path, one.written_only).into_pyobject(py)
        }
    }
}

/// `(digest, references, dynamic, first_line, last_line, text, parameters, decorators)`.
fn definition<'py>(py: Python<'py>, one: &Definition) -> PyResult<Bound<'py, PyTuple>> {
    let references: Vec<_> =
        one.references.iter().map(|it| reference(py, it)).collect::<PyResult<_>>()?;
    let dynamic: Vec<_> = one.dynamic.iter().map(|it| (it.what.as_str(), it.line)).collect();
    let parameters: Vec<_> =
        one.parameters.iter().map(|it| (it.name.as_str(), it.default.as_deref())).collect();
    (
        PyBytes::new(py, &one.digest),
        PyTuple::new(py, references)?,
        PyTuple::new(py, dynamic)?,
        one.first_line,
        one.last_line,
        one.text.as_str(),
        PyTuple::new(py, parameters)?,
        PyTuple::new(py, &one.decorators)?,
    )
        .into_pyobject(py)
}

#[pymethods]
impl Source {
    #[new]
    fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
        let parsed = py.detach(|| Parsed::parse(text)).map_err(failed)?;
        Ok(Self { parsed })
    }

    /// The function of this name that starts on this line, decorators included.
    #[pyo3(signature = (name, line, whole = false, ignored_decorators = Vec::new()))]
    fn function<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        line: u32,
        whole: bool,
        ignored_decorators: Vec<String>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let style = style(whole, ignored_decorators);
        definition(py, &self.parsed.function(name, line, &style).map_err(failed)?)
    }

    /// The lambda on this line with these parameters; `body_start` is a line and a column in bytes.
    #[pyo3(signature = (line, parameters, body_start = None, ignored_decorators = Vec::new()))]
    fn lambda_<'py>(
        &self,
        py: Python<'py>,
        line: u32,
        parameters: Vec<String>,
        body_start: Option<(u32, u32)>,
        ignored_decorators: Vec<String>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let style = style(false, ignored_decorators);
        let names: Vec<&str> = parameters.iter().map(String::as_str).collect();
        definition(py, &self.parsed.lambda(line, &names, body_start, &style).map_err(failed)?)
    }

    /// The class of this qualified name; `line` is its first line or one within it.
    #[pyo3(signature = (qualname, line = None, whole = false, ignored_decorators = Vec::new()))]
    fn class_<'py>(
        &self,
        py: Python<'py>,
        qualname: &str,
        line: Option<u32>,
        whole: bool,
        ignored_decorators: Vec<String>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let style = style(whole, ignored_decorators);
        definition(py, &self.parsed.class(qualname, line, &style).map_err(failed)?)
    }

    /// The whole text.
    fn module<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        definition(py, &self.parsed.module(&Style::default()).map_err(failed)?)
    }

    /// The digest of the whole text, as `module` has it.
    fn digest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let digest = self.parsed.digest(&Style::default()).map_err(failed)?;
        Ok(PyBytes::new(py, &digest))
    }

    /// What the module binds a name to: `("function", line)`, `("class", line)`, `("import", (level,
    /// module, name))`, `("value", (definition, text of the value or None))`, or `None`.
    fn binding<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let found = self.parsed.binding(name, &Style::default()).map_err(failed)?;
        Ok(Some(match found {
            None => return Ok(None),
            Some(Binding::Function(line)) => ("function", line).into_pyobject(py)?,
            Some(Binding::Class(line)) => ("class", line).into_pyobject(py)?,
            Some(Binding::Import { level, module, name }) => {
                ("import", (level, module, name)).into_pyobject(py)?
            }
            Some(Binding::Value(one)) => {
                let content = definition(py, &one.definition)?;
                ("value", (content, one.value.as_deref())).into_pyobject(py)?
            }
        }))
    }

    /// The modules of which every name is imported: `(level, name)`.
    fn star_imports(&self) -> Vec<(u32, String)> {
        self.parsed.star_imports()
    }

    /// The names bound at module level, sorted.
    fn names(&self) -> Vec<String> {
        self.parsed.names()
    }
}
