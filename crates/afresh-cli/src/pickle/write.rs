//! From a graph to lines of text.
//!
//! A value goes on one line where it fits; otherwise its brackets open and each of its items has a line of its
//! own. Both ways stop at the limits: [`Limits::depth`] bounds the recursion, [`Limits::characters`] the output, and
//! since every visited value writes something, the time.

use super::node::{Graph, Id};
use super::shape::{Item, Label, Shape, again, shape};
use super::{Limits, Literal};
use crate::text;

/// Narrower is no use, wider costs time that nobody sees.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=400;

const STEP: usize = 4;

/// A key is never broken into lines; a longer one is left out.
const KEY: usize = 1000;

pub(super) fn write(graph: &Graph<'_>, root: Id, limits: &Limits) -> Literal {
    let mut writer = Writer {
        graph,
        width: limits.width.clamp(*WIDTHS.start(), *WIDTHS.end()),
        depth: limits.depth,
        left: limits.characters,
        out: String::new(),
        column: 0,
        open: Vec::new(),
        cut: false,
    };
    writer.value(root, 0, 0);
    Literal { text: writer.out, cut: writer.cut }
}

struct Writer<'g, 'a> {
    graph: &'g Graph<'a>,
    width: usize,
    depth: usize,
    /// Characters that may still be written.
    left: usize,
    out: String,
    /// Where the next character goes in its line.
    column: usize,
    /// The values whose brackets are open.
    open: Vec<Id>,
    cut: bool,
}

impl Writer<'_, '_> {
    /// Writes a value whose lines begin at `margin`; `after` characters follow it in its last line.
    fn value(&mut self, id: Id, margin: usize, after: usize) {
        if self.left == 0 {
            return;
        }
        let room = self.width.saturating_sub(self.column + after);
        if let Some(flat) = self.flat(id, room) {
            return self.emit(&flat);
        }
        if let Some(stop) = self.stop(id) {
            return self.emit(stop);
        }
        match shape(self.graph, id, self.left) {
            Shape::Atom(atom) => self.emit(&atom),
            Shape::Group { open, items, close } => {
                self.open.push(id);
                self.emit(&open);
                for item in items {
                    if self.left == 0 {
                        break;
                    }
                    self.end_line(margin + STEP);
                    self.label(&item);
                    self.value(item.value, margin + STEP, 1);
                    self.emit(",");
                }
                self.end_line(margin);
                // A tuple's only comma stands already.
                self.emit(close.trim_start_matches(','));
                self.open.pop();
            }
        }
    }

    /// What stands for a value that is too deep, or that we are in already.
    fn stop(&mut self, id: Id) -> Option<&'static str> {
        if self.open.contains(&id) {
            return Some(again(self.graph, id));
        }
        if self.open.len() >= self.depth {
            self.cut = true;
            return Some("…");
        }
        None
    }

    /// A value in one line of at most `room` columns.
    fn flat(&mut self, id: Id, room: usize) -> Option<String> {
        if let Some(stop) = self.stop(id) {
            return (text::width(stop) <= room).then(|| stop.to_owned());
        }
        let (open, items, close) = match shape(self.graph, id, room) {
            // One that was cut has more characters than there is room, if not more columns.
            Shape::Atom(atom) => {
                let fits = atom.chars().count() <= room && text::width(&atom) <= room;
                return fits.then_some(atom);
            }
            Shape::Group { open, items, close } => (open, items, close),
        };
        self.open.push(id);
        let flat = self.flat_items(open, &items, close, room);
        self.open.pop();
        flat
    }

    fn flat_items(
        &mut self,
        open: String,
        items: &[Item],
        close: &str,
        room: usize,
    ) -> Option<String> {
        let mut line = open;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                line.push_str(", ");
            }
            match &item.label {
                Label::None => {}
                Label::Name(name) => line.extend([name.as_str(), "="]),
                Label::Key(key) => {
                    let room = room.checked_sub(text::width(&line))?;
                    line.push_str(&self.flat(*key, room)?);
                    line.push_str(": ");
                }
            }
            let room = room.checked_sub(text::width(&line))?;
            line.push_str(&self.flat(item.value, room)?);
        }
        line.push_str(close);
        (text::width(&line) <= room).then_some(line)
    }

    fn label(&mut self, item: &Item) {
        match &item.label {
            Label::None => {}
            Label::Name(name) => self.emit(&format!("{name}=")),
            Label::Key(key) => {
                let flat = self.flat(*key, KEY);
                self.cut |= flat.is_none();
                self.emit(&flat.unwrap_or_else(|| "…".into()));
                self.emit(": ");
            }
        }
    }

    fn end_line(&mut self, margin: usize) {
        self.emit("\n");
        self.emit(&" ".repeat(margin));
        self.column = margin;
    }

    /// Writes as much as may still be written.
    fn emit(&mut self, piece: &str) {
        if self.left == 0 {
            return;
        }
        match piece.char_indices().nth(self.left) {
            Some((end, _)) => {
                self.out.push_str(piece.get(..end).unwrap_or_default());
                self.out.push('…');
                self.left = 0;
                self.cut = true;
            }
            None => {
                self.left -= piece.chars().count();
                self.out.push_str(piece);
                self.column += text::width(piece);
                if self.left == 0 {
                    self.out.push('…');
                    self.cut = true;
                }
            }
        }
    }
}
