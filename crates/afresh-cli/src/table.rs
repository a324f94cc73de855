//! A table that fits the terminal.
//!
//! Columns that are empty in every row are left out. Where the rest would be too wide however much it shrinks, whole
//! columns go, the ones with the highest `rank` first; then the widest of the columns that may shrink gives way,
//! one by one, down to its least width. Cells are cleaned and cut here and nowhere else.

use crate::style::{Palette, Role};
use crate::text;

const GAP: usize = 2;

/// How a column behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    right: bool,
    /// The least width it may shrink to; `None` where it may not.
    least: Option<usize>,
    /// Columns with a rank may be left out, highest first.
    rank: u8,
}

impl Column {
    /// A column that is always shown as it is.
    pub(crate) const fn fixed(name: &'static str) -> Self {
        Self { name, right: false, least: None, rank: 0 }
    }

    /// A column of numbers.
    pub(crate) const fn number(name: &'static str) -> Self {
        Self { right: true, ..Self::fixed(name) }
    }

    /// A column that may shrink to `least`.
    pub(crate) const fn flexible(name: &'static str, least: usize) -> Self {
        Self { least: Some(least), ..Self::fixed(name) }
    }

    /// A column that may be left out, before those of lower rank.
    pub(crate) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// One cell: text and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    role: Role,
}

impl Cell {
    pub(crate) fn new(role: Role, content: impl AsRef<str>) -> Self {
        Self { text: text::line(content.as_ref()), role }
    }

    /// What it says.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn plain(content: impl AsRef<str>) -> Self {
        Self::new(Role::Plain, content)
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// A column as it will be printed.
struct Slot {
    index: usize,
    column: Column,
    width: usize,
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each at most `width` columns wide where that is possible at all.
    pub(crate) fn lines(&self, width: usize, palette: Palette) -> Vec<String> {
        let slots = fit(self.slots(), width);
        let heading: Vec<Cell> =
            self.columns.iter().map(|column| Cell::new(Role::Heading, column.name)).collect();
        std::iter::once(&heading).chain(&self.rows).map(|row| print(&slots, row, palette)).collect()
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let widths = self.rows.iter().filter_map(|row| row.get(index));
            let widest = widths.map(|cell| text::width(&cell.text)).max().unwrap_or(0);
            if widest > 0 {
                let width = widest.max(text::width(column.name));
                slots.push(Slot { index, column: *column, width });
            }
        }
        slots
    }
}

fn fit(mut slots: Vec<Slot>, width: usize) -> Vec<Slot> {
    let total = |slots: &[Slot], width: fn(&Slot) -> usize| -> usize {
        slots.iter().map(|slot| width(slot) + GAP).sum()
    };
    let least = |slot: &Slot| slot.column.least.map_or(slot.width, |least| slot.width.min(least));
    while total(&slots, least) > width + GAP {
        let worst = slots.iter().map(|slot| slot.column.rank).max().filter(|rank| *rank > 0);
        let Some(worst) = worst else { break };
        slots.retain(|slot| slot.column.rank != worst);
    }
    while total(&slots, |slot| slot.width) > width + GAP {
        let widest = slots
            .iter_mut()
            .filter(|slot| slot.column.least.is_some_and(|least| slot.width > least))
            .max_by_key(|slot| slot.width);
        let Some(slot) = widest else { break };
        slot.width -= 1;
    }
    slots
}

fn print(slots: &[Slot], row: &[Cell], palette: Palette) -> String {
    let mut line = String::new();
    let mut pending = 0;
    for slot in slots {
        let Some(cell) = row.get(slot.index) else { continue };
        let shown = text::cut(&cell.text, slot.width);
        let room = slot.width.saturating_sub(text::width(&shown));
        let (before, after) = if slot.column.right { (room, 0) } else { (0, room) };
        // Blanks are written only before something, so that no line ends with them.
        if !shown.is_empty() {
            line.extend(std::iter::repeat_n(' ', pending + before));
            line.push_str(&palette.paint(cell.role, &shown));
            pending = after + GAP;
        } else {
            pending += slot.width + GAP;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Environment;

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::fixed("id"),
            Column::flexible("what", 6),
            Column::number("size").rank(1),
            Column::fixed("never").rank(2),
        ]);
        for (id, what, size) in
            [("aa", "something rather long", "12 B"), ("bb", "日本語日本語", "1.2 kB")]
        {
            table.row(vec![Cell::plain(id), Cell::plain(what), Cell::plain(size), Cell::plain("")]);
        }
        table
    }

    #[test]
    fn every_width_is_kept() {
        let palette = Palette::new(&Environment::default(), false);
        for width in 10..60 {
            for line in table().lines(width, palette) {
                assert!(text::width(&line) <= width, "{width}: {line:?}");
                assert_eq!(line, line.trim_end());
            }
        }
        let lines = table().lines(24, palette);
        assert_eq!(
            lines,
            ["id  what            size", "aa  something r…    12 B", "bb  日本語日本語  1.2 kB"]
        );
        assert_eq!(table().lines(12, palette), ["id  what", "aa  somethi…", "bb  日本語…"]);
    }
}
