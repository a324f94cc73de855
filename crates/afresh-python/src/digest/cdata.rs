//! The structures of the Arrow C data and stream interfaces.
//!
//! Only what reading needs. A structure behind a capsule is borrowed, one that a stream handed out
//! is owned and released here. Pointers are checked for null, never for truth: a library that hands
//! out wrong lengths is as wrong here as in every other reader.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr;

#[repr(C)]
struct RawSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut RawSchema,
    dictionary: *mut RawSchema,
    release: Option<unsafe extern "C" fn(*mut RawSchema)>,
    private: *mut c_void,
}

#[repr(C)]
struct RawArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut RawArray,
    dictionary: *mut RawArray,
    release: Option<unsafe extern "C" fn(*mut RawArray)>,
    private: *mut c_void,
}

#[repr(C)]
struct RawStream {
    get_schema: Option<unsafe extern "C" fn(*mut RawStream, *mut RawSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut RawStream, *mut RawArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut RawStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut RawStream)>,
    private: *mut c_void,
}

/// A type, with its name in its parent.
pub(super) struct Schema<'a> {
    raw: *const RawSchema,
    owned: Option<Box<RawSchema>>,
    lifetime: PhantomData<&'a ()>,
}

/// A piece of a column.
pub(super) struct Array<'a> {
    raw: *const RawArray,
    owned: Option<Box<RawArray>>,
    lifetime: PhantomData<&'a ()>,
}

/// Pieces of a column, one after the other.
pub(super) struct Stream<'a> {
    raw: *mut RawStream,
    lifetime: PhantomData<&'a ()>,
}

impl Stream<'_> {
    /// # Safety
    /// `pointer` points to an `ArrowArrayStream` that lives as long as what is returned.
    pub(super) unsafe fn of(pointer: *mut c_void) -> Option<Self> {
        let raw = pointer.cast::<RawStream>();
        // SAFETY: as the caller promises.
        unsafe { (*raw).release }?;
        Some(Self { raw, lifetime: PhantomData })
    }

    pub(super) fn schema(&mut self) -> Option<Schema<'static>> {
        let mut raw = Box::new(RawSchema {
            format: ptr::null(),
            name: ptr::null(),
            metadata: ptr::null(),
            flags: 0,
            n_children: 0,
            children: ptr::null_mut(),
            dictionary: ptr::null_mut(),
            release: None,
            private: ptr::null_mut(),
        });
        // SAFETY: the stream is live and not released; it fills `raw` or says that it failed.
        let status = unsafe { ((*self.raw).get_schema?)(self.raw, &raw mut *raw) };
        if status != 0 || raw.release.is_none() {
            return None;
        }
        Some(Schema { raw: &raw const *raw, owned: Some(raw), lifetime: PhantomData })
    }

    pub(super) fn next(&mut self) -> Result<Option<Array<'static>>, ()> {
        let mut raw = Box::new(RawArray {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: ptr::null_mut(),
            children: ptr::null_mut(),
            dictionary: ptr::null_mut(),
            release: None,
            private: ptr::null_mut(),
        });
        // SAFETY: the stream is live and not released; it fills `raw` or says that it failed.
        let status = unsafe { ((*self.raw).get_next.ok_or(())?)(self.raw, &raw mut *raw) };
        if status != 0 {
            return Err(());
        }
        if raw.release.is_none() {
            return Ok(None);
        }
        Ok(Some(Array { raw: &raw const *raw, owned: Some(raw), lifetime: PhantomData }))
    }
}

impl Drop for Schema<'_> {
    fn drop(&mut self) {
        if let Some(owned) = &mut self.owned
            && let Some(release) = owned.release
        {
            // SAFETY: it was filled by its producer and is released once.
            unsafe { release(&raw mut **owned) }
        }
    }
}

impl Drop for Array<'_> {
    fn drop(&mut self) {
        if let Some(owned) = &mut self.owned
            && let Some(release) = owned.release
        {
            // SAFETY: it was filled by its producer and is released once.
            unsafe { release(&raw mut **owned) }
        }
    }
}

impl<'a> Schema<'a> {
    /// # Safety
    /// `pointer` points to an `ArrowSchema` that lives as long as what is returned.
    pub(super) unsafe fn of(pointer: *mut c_void) -> Option<Self> {
        let raw = pointer.cast::<RawSchema>().cast_const();
        // SAFETY: as the caller promises.
        (!raw.is_null() && unsafe { (*raw).release }.is_some()).then_some(Self {
            raw,
            owned: None,
            lifetime: PhantomData,
        })
    }

    fn raw(&self) -> &RawSchema {
        // SAFETY: it is live for `'a`, or owned.
        unsafe { &*self.raw }
    }

    pub(super) fn format(&self) -> Option<&str> {
        text(self.raw().format)
    }

    pub(super) fn name(&self) -> &str {
        text(self.raw().name).unwrap_or_default()
    }

    /// Whether dictionary codes are ordered, map keys sorted. That a column could hold nulls is not
    /// content.
    pub(super) fn flags(&self) -> i64 {
        self.raw().flags & !2
    }

    pub(super) fn children(&self) -> Vec<Schema<'_>> {
        let raw = self.raw();
        (0..usize::try_from(raw.n_children).unwrap_or(0))
            .map(|place| {
                // SAFETY: there are `n_children` pointers to live schemas.
                let child = unsafe { *raw.children.add(place) };
                Schema { raw: child, owned: None, lifetime: PhantomData }
            })
            .collect()
    }

    pub(super) fn dictionary(&self) -> Option<Schema<'_>> {
        let raw = self.raw().dictionary;
        (!raw.is_null()).then_some(Schema { raw, owned: None, lifetime: PhantomData })
    }

    /// Keys and values of the metadata.
    pub(super) fn metadata(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut position = self.raw().metadata.cast::<u8>();
        if position.is_null() {
            return Vec::new();
        }
        let number = |position: &mut *const u8| {
            // SAFETY: the producer wrote a count, then as many keys and values, each a length in
            // four bytes and as many bytes; reading follows these lengths.
            let value = unsafe { position.cast::<i32>().read_unaligned() };
            // SAFETY: as above.
            *position = unsafe { position.add(4) };
            usize::try_from(value).unwrap_or(0)
        };
        let bytes = |position: &mut *const u8| {
            let len = number(position);
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(*position, len) }.to_vec();
            // SAFETY: as above.
            *position = unsafe { position.add(len) };
            bytes
        };
        let count = number(&mut position);
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = bytes(&mut position);
            pairs.push((key, bytes(&mut position)));
        }
        pairs.sort();
        pairs
    }
}

fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: names and formats end with a zero and live as long as their schema.
    unsafe { CStr::from_ptr(pointer) }.to_str().ok()
}

impl<'a> Array<'a> {
    /// # Safety
    /// `pointer` points to an `ArrowArray` that lives as long as what is returned.
    pub(super) unsafe fn of(pointer: *mut c_void) -> Option<Self> {
        let raw = pointer.cast::<RawArray>().cast_const();
        // SAFETY: as the caller promises.
        (!raw.is_null() && unsafe { (*raw).release }.is_some()).then_some(Self {
            raw,
            owned: None,
            lifetime: PhantomData,
        })
    }

    fn raw(&self) -> &RawArray {
        // SAFETY: it is live for `'a`, or owned.
        unsafe { &*self.raw }
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.raw().length).unwrap_or(0)
    }

    pub(super) fn offset(&self) -> usize {
        usize::try_from(self.raw().offset).unwrap_or(0)
    }

    /// Whether it says that there are no nulls.
    pub(super) fn no_nulls(&self) -> bool {
        self.raw().null_count == 0
    }

    /// The bytes of a buffer from `start`, `len` of them; nothing if there is no such buffer.
    pub(super) fn buffer(&self, place: usize, start: usize, len: usize) -> Option<&[u8]> {
        let raw = self.raw();
        if place >= usize::try_from(raw.n_buffers).unwrap_or(0) {
            return None;
        }
        // SAFETY: there are `n_buffers` pointers.
        let buffer = unsafe { *raw.buffers.add(place) }.cast::<u8>();
        if buffer.is_null() {
            return (len == 0).then_some(&[]);
        }
        // SAFETY: callers ask for what the format says is there, counted from length and offset.
        Some(unsafe { std::slice::from_raw_parts(buffer.add(start), len) })
    }

    /// How many buffers there are.
    pub(super) fn buffers(&self) -> usize {
        usize::try_from(self.raw().n_buffers).unwrap_or(0)
    }

    pub(super) fn child(&self, place: usize) -> Option<Array<'_>> {
        let raw = self.raw();
        if place >= usize::try_from(raw.n_children).unwrap_or(0) {
            return None;
        }
        // SAFETY: there are `n_children` pointers to live arrays.
        let child = unsafe { *raw.children.add(place) };
        (!child.is_null()).then_some(Array { raw: child, owned: None, lifetime: PhantomData })
    }

    pub(super) fn dictionary(&self) -> Option<Array<'_>> {
        let raw = self.raw().dictionary;
        (!raw.is_null()).then_some(Array { raw, owned: None, lifetime: PhantomData })
    }
}
