//! Patterns of keys: `*` stands for any run of characters, `\*` and `\\` for themselves, everything else is literal.
//!
//! One implementation for every backend. Matching takes at most length × length steps, whatever the pattern.

/// A pattern, taken apart.
pub(crate) struct Glob {
    /// The literal runs between the stars.
    runs: Vec<String>,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut runs = vec![String::new()];
        let mut chars = pattern.chars().peekable();
        while let Some(char) = chars.next() {
            let escaped = char == '\\' && matches!(chars.peek(), Some('*' | '\\'));
            if char == '*' {
                runs.push(String::new());
            } else if let Some(run) = runs.last_mut() {
                run.push(if escaped { chars.next().unwrap_or(char) } else { char });
            }
        }
        Self { runs }
    }

    /// What every match begins with.
    pub(crate) fn prefix(&self) -> &str {
        self.runs.first().map_or("", String::as_str)
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.runs.split_first() else { return name.is_empty() };
        let Some((last, middle)) = rest.split_last() else { return name == first };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        for run in middle {
            let Some((_, after)) = left.split_once(run.as_str()) else { return false };
            left = after;
        }
        left.ends_with(last.as_str())
    }
}
