//! State that is touched only while attached to the interpreter, without a lock of its own.
//!
//! Invariant: one borrow at a time. Who is attached may let another thread in (a digest that calls Python code, an
//! object that is freed), so that a second borrow is possible; it is refused, not granted. The extension declares that
//! it needs the interpreter lock, so no two threads are attached at once.

use std::cell::{Cell, UnsafeCell};

use pyo3::Python;

/// See the module.
pub(crate) struct Attached<T> {
    value: UnsafeCell<T>,
    busy: Cell<bool>,
}

// SAFETY: both fields are touched in `with` only, by the one thread that is attached.
#[allow(unsafe_code, reason = "guarded by the interpreter lock")]
unsafe impl<T: Send> Sync for Attached<T> {}

impl<T: Default> Default for Attached<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Attached<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), busy: Cell::new(false) }
    }

    /// What `work` makes of the value; `None` where it is in use already.
    #[inline]
    #[allow(unsafe_code, reason = "guarded by the interpreter lock")]
    pub(crate) fn with<R>(&self, _: Python<'_>, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        struct Done<'a>(&'a Cell<bool>);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        if self.busy.replace(true) {
            return None;
        }
        let _done = Done(&self.busy);
        // SAFETY: attached, and `busy` was not set: nobody else has a reference.
        Some(work(unsafe { &mut *self.value.get() }))
    }
}
