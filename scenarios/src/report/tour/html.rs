//! Text as it may stand in a page.

/// A text in which nothing means anything to HTML or SVG.
pub(in crate::report) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No XML document may hold these at all.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

/// A share as a length in CSS.
pub(super) fn length(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text() {
        assert_eq!(
            escaped("nat:eim/apdf>\"a\" <b> & c"),
            "nat:eim/apdf&gt;&quot;a&quot; &lt;b&gt; &amp; c"
        );
        assert_eq!(escaped("\u{1b}[1m\n"), "\u{fffd}[1m\n");
        assert_eq!(length(0.12345), "12.35%");
    }
}
