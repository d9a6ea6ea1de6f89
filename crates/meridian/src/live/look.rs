//! Symbols and colours. A verdict is a symbol and a word, and a colour besides: never a colour alone.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// How things look in this terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// `NO_COLOR` is not set (no-color.org).
    pub(super) colours: bool,
    /// The locale has more than ASCII.
    pub(super) unicode: bool,
}

impl Look {
    /// `variable`: of the environment.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(given).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            colours: given("NO_COLOR").is_none(),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// The symbol of a verdict or outcome.
    pub(super) fn symbol(&self, word: &str) -> &'static str {
        match (word, self.unicode) {
            ("healthy" | "good", true) => "●",
            ("degraded", true) => "◐",
            ("unhealthy" | "failed", true) => "✖",
            (_, true) => "○",
            ("healthy" | "good", false) => "+",
            ("degraded", false) => "~",
            ("unhealthy" | "failed", false) => "x",
            (_, false) => "?",
        }
    }

    /// The symbol with the word.
    pub(super) fn verdict(&self, word: &str) -> String {
        format!("{} {word}", self.symbol(word))
    }

    /// The style of a verdict or outcome.
    pub(super) fn of(&self, word: &str) -> Style {
        match word {
            "healthy" | "good" => self.colour(Color::Green),
            "degraded" | "drain" => self.colour(Color::Yellow),
            "unhealthy" | "failed" | "down" => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            _ => self.colour(Color::Magenta),
        }
    }

    fn colour(&self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// What must not be overlooked.
    pub(super) fn alert(&self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// What explains.
    pub(super) fn quiet(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The row that is looked at.
    pub(super) fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The heads of columns.
    pub(super) fn head(&self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// The line above a pane.
    pub(super) fn border(&self) -> border::Set<'static> {
        if self.unicode {
            return border::PLAIN;
        }
        border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        }
    }

    /// Beside the title of the pane that keys go to.
    pub(super) fn marker(&self) -> &'static str {
        if self.unicode { "▸ " } else { "> " }
    }
}
