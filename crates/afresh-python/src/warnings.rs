//! What the engine and the stores have to say to a person, gathered for Python's `warnings`.
//!
//! They speak in `tracing` events of level WARN, on whatever thread; the subscriber here keeps the texts until
//! Python asks. Where the program around us has a subscriber of its own, that one is left in place.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// More than this is noise; the oldest are kept, they name the cause.
const MOST: usize = 64;

static SOME: AtomicBool = AtomicBool::new(false);
static TEXTS: Mutex<Vec<Text>> = Mutex::new(Vec::new());

/// A text, and the store that it says is back.
type Text = (String, Option<String>);

struct Gather;

#[derive(Default)]
struct Message {
    text: String,
    back: Option<String>,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "back" {
            self.back = Some(value.to_owned());
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.text, "{value:?}");
        } else {
            let _ = write!(self.text, " {}={value:?}", field.name());
        }
    }
}

impl Subscriber for Gather {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("afresh")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        keep((message.text, message.back));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Begins to gather.
pub(crate) fn install() {
    let _ = tracing::subscriber::set_global_default(Gather);
}

/// Keeps a text for Python.
pub(crate) fn push(text: String) {
    keep((text, None));
}

fn keep(text: Text) {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if texts.len() < MOST && !texts.contains(&text) {
        texts.push(text);
        SOME.store(true, Ordering::Release);
    }
}

/// Whether there is anything to show: one relaxed load, for the hot path.
pub(crate) fn any() -> bool {
    SOME.load(Ordering::Relaxed)
}

/// Takes the gathered texts, each with the store that it says is back.
#[pyfunction]
pub(crate) fn drain_warnings() -> Vec<Text> {
    SOME.store(false, Ordering::Release);
    std::mem::take(&mut *TEXTS.lock().unwrap_or_else(PoisonError::into_inner))
}
