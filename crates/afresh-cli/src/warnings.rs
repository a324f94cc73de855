//! What the engine and the store want a person to know: their `tracing` events of level `WARN`, on standard error.
//!
//! Each distinct message once for a run: a damaged folder says the same thing a thousand times. Events of other
//! threads than the one that runs the command are not seen, because the subscriber belongs to the run, not to
//! the process; a Python program keeps its own.

use std::collections::HashSet;
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::output::Words;

pub(crate) struct Warnings {
    words: Words,
    said: Mutex<HashSet<String>>,
}

impl Warnings {
    pub(crate) fn new(words: Words) -> Self {
        Self { words, said: Mutex::default() }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(message.0.clone()) {
            self.words.warning(&message.0);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message of an event, followed by its other fields.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.0.insert_str(0, &text);
        } else {
            let _ = write!(self.0, " {}={text}", field.name());
        }
    }
}
