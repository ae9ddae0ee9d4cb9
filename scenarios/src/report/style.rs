//! The colours of the terminal: few, and each with one meaning.

use anstyle::{AnsiColor, Color, Style};

use crate::call::PathClass;

/// Headings and names.
pub(super) const BOLD: Style = Style::new().bold();
/// What is said beside the point.
pub(super) const DIM: Style = Style::new().dimmed();

const fn block(background: AnsiColor) -> Style {
    Style::new()
        .fg_color(Some(Color::Ansi(AnsiColor::Black)))
        .bg_color(Some(Color::Ansi(background)))
}

/// What a path class looks like: a coloured block, and a letter for those who see no colours.
pub(super) struct Look {
    pub(super) block: Style,
    pub(super) letter: char,
    pub(super) word: &'static str,
    pub(super) meaning: &'static str,
}

/// How a call between two networks came out; `None` is a call that didn't connect.
pub(super) const fn look(class: Option<PathClass>) -> Look {
    match class {
        Some(PathClass::Direct) => Look {
            block: block(AnsiColor::BrightGreen),
            letter: 'D',
            word: "direct",
            meaning: "no NAT rewrote anything on the way",
        },
        Some(PathClass::Reflexive) => Look {
            block: block(AnsiColor::BrightCyan),
            letter: 'S',
            word: "reflexive",
            meaning: "through NATs, with addresses that STUN and checks found",
        },
        Some(PathClass::Relayed) => Look {
            block: block(AnsiColor::BrightYellow),
            letter: 'T',
            word: "relayed",
            meaning: "through a TURN server",
        },
        None => Look {
            block: block(AnsiColor::BrightRed),
            letter: 'x',
            word: "none",
            meaning: "no connection",
        },
    }
}

/// Every look, from the best to the worst.
pub(super) const CLASSES: [Option<PathClass>; 4] = [
    Some(PathClass::Direct),
    Some(PathClass::Reflexive),
    Some(PathClass::Relayed),
    None,
];
