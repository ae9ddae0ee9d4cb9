//! SVG as text: shapes in layers, and texts whose room is known.

use std::fmt::Write as _;

/// A drawing in the making.
#[derive(Default)]
pub(super) struct Canvas {
    layers: [String; LAYERS],
    texts: Vec<Text>,
    title: String,
    description: String,
    width: f64,
    height: f64,
}

const LAYERS: usize = 4;

/// From the back to the front. Texts stand before all of them.
#[derive(Clone, Copy)]
pub(super) enum Layer {
    /// The lanes.
    Lanes,
    /// Boxes that lie on the lanes.
    Boxes,
    /// Arrows.
    Ways,
    /// What lies on arrows.
    Marks,
}

/// A point of the drawing.
pub(super) type At = (f64, f64);

/// Which end of a text its place is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks: its class in the style sheet, its size, and how wide a character is, in parts
/// of the size. Widths are estimates on the wide side, for a reader's fonts are not known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) class: &'static str,
    size: f64,
    advance: f64,
}

pub(super) const TITLE: Look = look("title", 19.0, 0.60);
pub(super) const NAME: Look = look("name", 13.0, 0.62);
pub(super) const PLAIN: Look = look("plain", 12.0, 0.56);
pub(super) const LABEL: Look = look("label", 12.0, 0.60);
pub(super) const SMALL: Look = look("small", 11.0, 0.56);
pub(super) const STRONG: Look = look("small strong", 11.0, 0.60);
pub(super) const NOTE: Look = look("note", 11.0, 0.56);
pub(super) const WHY: Look = look("why", 12.0, 0.56);
pub(super) const MONO: Look = look("mono", 10.0, 0.61);
pub(super) const VERDICT: Look = look("verdict", 13.0, 0.62);

const fn look(class: &'static str, size: f64, advance: f64) -> Look {
    Look {
        class,
        size,
        advance,
    }
}

impl Look {
    /// How wide a text is, or a little less.
    pub(super) fn width(self, text: &str) -> f64 {
        text.chars().count() as f64 * self.size * self.advance
    }

    /// Breaks a text into lines no wider than this.
    pub(super) fn wrap(self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if self.width(line) + self.width(word) + self.size <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }
}

/// A text and where it stands.
#[derive(Debug)]
pub(super) struct Text {
    at: At,
    anchor: Anchor,
    look: Look,
    /// More classes.
    also: &'static str,
    /// Parts, each with a class of its own.
    parts: Vec<(String, &'static str)>,
}

impl Text {
    /// Its box: left, top, right, bottom.
    pub(super) fn room(&self) -> (f64, f64, f64, f64) {
        let width: f64 = self
            .parts
            .iter()
            .map(|(part, _)| self.look.width(part))
            .sum();
        let (x, y) = self.at;
        let left = match self.anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x - width,
        };
        let size = self.look.size;
        (left, y - 0.75 * size, left + width, y + 0.2 * size)
    }

    #[cfg(test)]
    pub(super) fn content(&self) -> String {
        self.parts.iter().map(|(part, _)| part.as_str()).collect()
    }
}

impl Canvas {
    /// Names the drawing, for those who can't see it.
    pub(super) fn describe(&mut self, title: &str, description: &str) {
        title.clone_into(&mut self.title);
        description.clone_into(&mut self.description);
    }

    /// Makes room down to here, and to this place on the right.
    pub(super) fn reach(&mut self, x: f64, y: f64) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Writes a text.
    pub(super) fn text(&mut self, at: At, anchor: Anchor, look: Look, text: impl Into<String>) {
        self.parts(at, anchor, look, "", vec![(text.into(), "")]);
    }

    /// Writes a text of several parts, with more classes.
    pub(super) fn parts(
        &mut self,
        at: At,
        anchor: Anchor,
        look: Look,
        also: &'static str,
        parts: Vec<(String, &'static str)>,
    ) {
        let text = Text {
            at,
            anchor,
            look,
            also,
            parts,
        };
        let (_, _, right, bottom) = text.room();
        self.reach(right + 20.0, bottom + 20.0);
        self.texts.push(text);
    }

    /// Draws a line.
    pub(super) fn line(&mut self, layer: Layer, from: At, to: At, class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(
            layer,
            format_args!(
                r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
            ),
        );
    }

    /// Draws a curve from one point to another that bends by this much to the right.
    pub(super) fn bend(&mut self, layer: Layer, from: At, to: At, by: f64, class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let x = x1 + by;
        self.put(
            layer,
            format_args!(
                r#"<path class="{class}" d="M{x1:.1} {y1:.1}C{x:.1} {y1:.1} {x:.1} {y2:.1} {x2:.1} {y2:.1}"/>"#
            ),
        );
    }

    /// Draws an arrow's head at its point.
    pub(super) fn head(&mut self, from: At, to: At) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt().max(0.1);
        let (ux, uy) = (dx / length, dy / length);
        let (back, side) = (9.0, 4.0);
        let corner = |way: f64| {
            (
                to.0 - ux * back - uy * side * way,
                to.1 - uy * back + ux * side * way,
            )
        };
        let (one, other) = (corner(1.0), corner(-1.0));
        self.put(
            Layer::Ways,
            format_args!(
                r#"<path class="head" d="M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z"/>"#,
                to.0, to.1, one.0, one.1, other.0, other.1
            ),
        );
    }

    /// Draws a cross.
    pub(super) fn cross(&mut self, (x, y): At) {
        let r = 5.0;
        self.put(
            Layer::Ways,
            format_args!(
                r#"<path class="cross" d="M{:.1} {:.1}L{:.1} {:.1}M{:.1} {:.1}L{:.1} {:.1}"/>"#,
                x - r,
                y - r,
                x + r,
                y + r,
                x - r,
                y + r,
                x + r,
                y - r
            ),
        );
    }

    /// Draws a disc.
    pub(super) fn dot(&mut self, (x, y): At, r: f64, class: &str) {
        self.put(
            Layer::Ways,
            format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{r}"/>"#),
        );
    }

    /// Draws a square that stands on a corner.
    pub(super) fn diamond(&mut self, (x, y): At, class: &str) {
        let r = 5.0;
        self.put(
            Layer::Marks,
            format_args!(
                r#"<path class="{class}" d="M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z"/>"#,
                x - r,
                y - r,
                x + r,
                y + r
            ),
        );
    }

    /// Draws a box with round corners.
    pub(super) fn bounds(&mut self, (x, y): At, width: f64, height: f64) {
        self.put(
            Layer::Boxes,
            format_args!(
                r#"<rect class="box" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="6"/>"#
            ),
        );
        self.reach(x + width + 20.0, y + height + 20.0);
    }

    /// Begins a group of arrows with a class, an attribute and a tooltip.
    pub(super) fn open(&mut self, class: &str, attribute: &str, tooltip: &str) {
        let tooltip = escaped(tooltip);
        self.put(
            Layer::Ways,
            format_args!(r#"<g class="{class}"{attribute}><title>{tooltip}</title>"#),
        );
    }

    /// Ends the group.
    pub(super) fn close(&mut self) {
        self.put(Layer::Ways, format_args!("</g>"));
    }

    /// A group in the layer of boxes, of nothing but an attribute: for those who read the file.
    pub(super) fn remark(&mut self, attribute: &str) {
        self.put(Layer::Boxes, format_args!("<g {attribute}/>"));
    }

    fn put(&mut self, layer: Layer, shape: std::fmt::Arguments<'_>) {
        let layer = &mut self.layers[layer as usize];
        // Writing to a string never fails.
        let _ = layer.write_fmt(shape);
        layer.push('\n');
    }

    /// The drawing.
    pub(super) fn to_svg(&self) -> String {
        let (width, height) = (self.width.ceil(), self.height.ceil());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ladder\" role=\"img\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<style>\n{}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n",
            escaped(&self.title),
            escaped(&self.description),
            include_str!("style.css"),
        );
        for layer in &self.layers {
            svg.push_str(layer);
        }
        for text in &self.texts {
            write_text(&mut svg, text);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn write_text(svg: &mut String, text: &Text) {
    let (x, y) = text.at;
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let space = if text.also.is_empty() { "" } else { " " };
    let _ = write!(
        svg,
        "<text class=\"{}{space}{}\" x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>",
        text.look.class, text.also
    );
    for (part, class) in &text.parts {
        let part = escaped(part);
        let _ = if class.is_empty() {
            write!(svg, "{part}")
        } else {
            write!(svg, "<tspan class=\"{class}\">{part}</tspan>")
        };
    }
    svg.push_str("</text>\n");
}

/// Text as XML spells it. What XML has no spelling for is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}
