//! What the families of types need besides the value: names of classes and functions, notes.
//!
//! The identity of code is the business of `afresh.identity`, in Python; here it is asked once per
//! class or function and digest. Where it cannot answer, the qualified name stands in, and a note
//! says so.

use super::address::ByAddress;

use afresh_core::fp1::Digest;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyModule, PyType};

use super::code::{self, Code};
use super::failure::{Fallible, attempt};
use super::kind::Kinds;
use super::node::Part;

pub(super) struct Context<'a, 'py> {
    pub py: Python<'py>,
    pub kinds: &'a mut Kinds,
    notes: &'a mut Vec<String>,
    /// Whether these are the arguments of a call.
    pub arguments: bool,
    known: ByAddress<(Bound<'py, PyAny>, Option<Digest>)>,
    identity: Option<Option<Bound<'py, PyAny>>>,
    standard: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Context<'a, 'py> {
    pub(super) fn new(py: Python<'py>, kinds: &'a mut Kinds, notes: &'a mut Vec<String>) -> Self {
        Self {
            py,
            kinds,
            notes,
            arguments: false,
            known: ByAddress::default(),
            identity: None,
            standard: None,
        }
    }

    /// Says once that something is identified by less than its content.
    pub(super) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A class: its module, its name, and the digest of its code unless it is Python's own.
    pub(super) fn class(&mut self, class: &Bound<'py, PyType>) -> Fallible<Part<'py>> {
        if self.arguments
            && let Some(Code { module, name, digest }) = code::recall(class)
        {
            let parts = [Part::text(module), Part::text(name), Part::Digest(digest)];
            return Ok(Part::node("class", parts));
        }
        let (module, name) = self.names(class.as_any())?;
        let code = if self.is_standard(&module)? && !self.is_made(&module, &name)? {
            Part::None
        } else {
            self.code(class.as_any(), &module, &name)?.map_or(Part::None, Part::Digest)
        };
        Ok(Part::node("class", [Part::text(module), Part::text(name), code]))
    }

    /// What a library offers under a name: the name and the digest of the code behind it.
    pub(super) fn global(
        &mut self,
        value: &Bound<'py, PyAny>,
        module: String,
        name: String,
    ) -> Fallible<Part<'py>> {
        let code = if self.is_standard(&module)? {
            Part::None
        } else {
            self.code(value, &module, &name)?.map_or(Part::None, Part::Digest)
        };
        Ok(Part::node("global", [Part::text(module), Part::text(name), code]))
    }

    /// A module: Python's own by its name, a library by its version, one of the project by what is in it.
    pub(super) fn module(
        &mut self,
        value: &Bound<'py, PyAny>,
        name: String,
    ) -> Fallible<Part<'py>> {
        let code = if self.is_standard(&name)? {
            Part::None
        } else {
            self.code(value, &name, "__dict__")?.map_or(Part::None, Part::Digest)
        };
        Ok(Part::node("module", [Part::text(name), code]))
    }

    /// Whether a class was made by a function of `types`, and only says that it is of there.
    fn is_made(&self, module: &str, name: &str) -> Fallible<bool> {
        if module != "types" || name.contains('.') {
            return Ok(false);
        }
        let known = PyModule::import(self.py, "types").and_then(|types| types.hasattr(name));
        Ok(!attempt(self.py, known)?.unwrap_or(true))
    }

    /// A function by its code; by its name if it is Python's own or has no code to be found.
    pub(super) fn function(&mut self, value: &Bound<'py, PyAny>) -> Fallible<Part<'py>> {
        let (module, name) = self.names(value)?;
        if !self.is_standard(&module)?
            && let Some(digest) = self.code(value, &module, &name)?
        {
            return Ok(Part::node("function", [Part::Digest(digest)]));
        }
        Ok(Part::node("global", [Part::text(module), Part::text(name), Part::None]))
    }

    fn code(
        &mut self,
        value: &Bound<'py, PyAny>,
        module: &str,
        name: &str,
    ) -> Fallible<Option<Digest>> {
        let address = value.as_ptr() as usize;
        if let Some((_, digest)) = self.known.get(&address) {
            return Ok(*digest);
        }
        let mut digest = None;
        if self.arguments {
            digest = attempt(self.py, code::learn(value, module, name))?
                .flatten()
                .map(|code| code.digest);
        }
        if digest.is_none()
            && let Some(identity) = self.identity()?
        {
            let answer = attempt(self.py, identity.call1((value,)))?;
            digest = answer.as_ref().and_then(|answer| {
                let bytes = answer.cast::<PyBytes>().ok()?.as_bytes();
                Some(Digest(bytes.try_into().ok()?))
            });
        }
        if digest.is_none() {
            self.note(format!("`{module}.{name}` is identified by its name only"));
        }
        self.known.insert(address, (value.clone(), digest));
        Ok(digest)
    }

    /// `afresh.identity.callable_digest`, if it can be had.
    fn identity(&mut self) -> Fallible<Option<Bound<'py, PyAny>>> {
        if self.identity.is_none() {
            static FOUND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let found = FOUND.import(self.py, "afresh.identity", "callable_digest").cloned();
            self.identity = Some(attempt(self.py, found)?);
        }
        Ok(self.identity.clone().flatten())
    }

    /// Whether a module belongs to Python itself.
    pub(super) fn is_standard(&mut self, module: &str) -> Fallible<bool> {
        if self.standard.is_none() {
            self.standard = Some(self.py.import("sys")?.getattr("stdlib_module_names")?);
        }
        let root = module.split('.').next().unwrap_or_default();
        match &self.standard {
            Some(names) if names.contains(root)? => self.is_installed_so(module),
            _ => Ok(false),
        }
    }

    /// Whether a module with a name of the standard library is that one: a project may have a
    /// `calendar.py` or `queue.py` of its own.
    fn is_installed_so(&self, module: &str) -> Fallible<bool> {
        let look = || -> PyResult<bool> {
            let modules = self.py.import("sys")?.getattr("modules")?;
            let loaded = modules.call_method1("get", (module,))?;
            if loaded.is_none() {
                return Ok(true);
            }
            let file = loaded.getattr_opt("__file__")?;
            let origin = PyModule::import(self.py, "afresh.identity._origin")?
                .call_method1("of_module", (module, file))?;
            Ok(origin.extract::<String>()? == "standard")
        };
        Ok(attempt(self.py, look())?.unwrap_or(true))
    }

    /// The module and qualified name of a class or function. A script run as `__main__` goes by
    /// the name under which it would be imported.
    pub(super) fn names(&self, value: &Bound<'py, PyAny>) -> Fallible<(String, String)> {
        let text = |name: &str| -> Fallible<Option<String>> {
            let found = value.getattr(name).and_then(|text| text.extract::<String>());
            attempt(self.py, found)
        };
        let name = match text("__qualname__")? {
            Some(name) => name,
            None => text("__name__")?.unwrap_or_default(),
        };
        let module = text("__module__")?.unwrap_or_default();
        if matches!(module.as_str(), "__main__" | "__mp_main__") {
            static NAMING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let main = NAMING
                .import(self.py, "afresh.identity._naming", "module_name")
                .and_then(|naming| naming.call1((&module,)))
                .and_then(|name| name.extract());
            return Ok((attempt(self.py, main)?.unwrap_or(module), name));
        }
        Ok((module, name))
    }
}
