//! Colour, or not. Colour only repeats what the words say already.
//!
//! One decision for each stream: `NO_COLOR` forbids, `CLICOLOR_FORCE` demands, otherwise a terminal gets it.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

use crate::host::Environment;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// A heading or a label.
    Heading,
    /// What names a commit.
    Hash,
    /// Something that is beside the point.
    Faint,
    /// Something that went wrong.
    Bad,
    /// Something to look at.
    Warning,
    /// A line that came.
    Added,
    /// A line that went.
    Removed,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    colour: bool,
}

impl Palette {
    pub(crate) fn new(environment: &Environment, terminal: bool) -> Self {
        let forced = environment.clicolor_force.as_deref().is_some_and(|value| value != "0");
        let dumb = environment.term.as_deref() == Some("dumb");
        let colour = environment.no_color.is_none() && (forced || terminal && !dumb);
        Self { colour }
    }

    pub(crate) fn is_coloured(self) -> bool {
        self.colour
    }

    pub(crate) fn paint(self, role: Role, text: impl Display) -> String {
        let style = match role {
            Role::Plain => Style::new(),
            Role::Heading => Style::new().bold(),
            Role::Hash | Role::Warning => AnsiColor::Yellow.on_default(),
            Role::Faint => Style::new().dimmed(),
            Role::Bad => AnsiColor::Red.on_default().bold(),
            Role::Added => AnsiColor::Green.on_default(),
            Role::Removed => AnsiColor::Red.on_default(),
        };
        if self.colour && !style.is_plain() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_string()
        }
    }
}
