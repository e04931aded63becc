//! SVG elements, axis scales and the plot area, for the charts of plans, runs and trials.
//!
//! Elements have CSS classes; the style sheet is that of the SVG file or of the page around it.

use std::fmt::Write;

/// An SVG document, written element by element.
pub struct Svg {
    text: String,
}

/// The `text-anchor` of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins at its point.
    Start,
    /// The text is centred on its point.
    Middle,
    /// The text ends at its point.
    End,
}

impl Svg {
    /// Begins an SVG file: with namespace, style sheet and a background of class `ground`.
    pub fn file(width: f64, height: f64, class: &str, style: &str) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n<style>{style}</style>\n\
             <rect width=\"100%\" height=\"100%\" class=\"ground\"/>\n"
        );
        Svg { text }
    }

    /// Begins an SVG element inside a page, whose style sheet it uses; `label` is the `aria-label`.
    pub fn inline(width: f64, height: f64, class: &str, label: &str) -> Self {
        let label = escaped(label);
        let text = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" aria-label=\"{label}\">\n"
        );
        Svg { text }
    }

    /// Ends the document and returns its text.
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn add(&mut self, line: std::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// Adds a text on one line.
    pub fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Adds a straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// Adds a line through points.
    pub fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        self.add(format_args!("<path d=\"{d}\" class=\"{class}\"/>"));
    }

    /// Adds a dot with a tooltip.
    pub fn dot(&mut self, (x, y): (f64, f64), class: &str, title: &str) {
        let title = escaped(title);
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"{class}\"><title>{title}</title></circle>"
        ));
    }

    /// Adds a rectangle, given by its upper left corner; style and tooltip may be empty.
    pub fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        class: &str,
        style: &str,
        title: &str,
    ) {
        let style = if style.is_empty() { String::new() } else { format!(" style=\"{style}\"") };
        let title =
            if title.is_empty() { String::new() } else { format!("<title>{}</title>", escaped(title)) };
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"{style}>\
             {title}</rect>"
        ));
    }
}

/// How the limits of an axis follow from the values on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From 0 to the maximum with a margin.
    FromZero,
    /// From the minimum to the maximum, with a margin at both ends.
    Around,
    /// From 0 to 100.
    Percent,
    /// As [`Range::Around`], within 0 and 100.
    AroundPercent,
    /// As [`Range::Around`] on a logarithmic axis; the values are positive.
    Log,
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The limits: on a logarithmic scale, their logarithms to base 10.
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    /// A linear scale between two values.
    pub fn between(low: f64, high: f64) -> Self {
        Scale { low, high: if high > low { high } else { low + 1.0 }, log: false }
    }

    /// The scale for these values: at least one, all finite.
    pub fn of(range: Range, values: &[f64]) -> Self {
        let log = range == Range::Log;
        let scaled = |v: &f64| if log { v.log10() } else { *v };
        let least = values.iter().map(scaled).fold(f64::INFINITY, f64::min);
        let most = values.iter().map(scaled).fold(f64::NEG_INFINITY, f64::max);
        let margin = if most > least { (most - least) * 0.06 } else { (most.abs() * 0.1).max(1e-9) };
        let (low, high) = (least - margin, most + margin);
        let (low, high) = match range {
            Range::Percent => (0.0, 100.0),
            Range::FromZero => (least.min(0.0), high),
            Range::AroundPercent => (low.max(0.0f64.min(least)), high.min(100.0f64.max(most))),
            Range::Around | Range::Log => (low, high),
        };
        Scale { low, high: if high > low { high } else { low + 1.0 }, log }
    }

    /// The position of a value: 0 at the lower limit, 1 at the upper.
    pub fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// About `count` round values for ticks; on a logarithmic scale 1, 2 and 5 times powers of ten.
    pub fn ticks(&self, count: u32) -> Vec<f64> {
        if self.log {
            let decades = (self.low.floor() as i32)..=(self.high.ceil() as i32);
            let parts: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let all = decades.flat_map(|d| parts.iter().map(move |p| p * 10f64.powi(d)));
            return all.filter(|v| (self.low..=self.high).contains(&v.log10())).collect();
        }
        let step = nice((self.high - self.low) / f64::from(count));
        let first = (self.low / step).ceil() as i64;
        // Multiplied, not added up, so that zero is exact.
        (first..).map(|n| n as f64 * step).take_while(|v| *v <= self.high + step * 1e-9).take(16).collect()
    }
}

/// The smallest number of the form 1, 2 or 5 times a power of ten that is at least `value`.
pub fn nice(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * decade).find(|n| *n >= value * 0.999).unwrap_or(10.0 * decade)
}

/// The plot area of a chart, with both scales.
#[derive(Clone, Copy, Debug)]
pub struct Plot {
    /// The upper left corner, in pixels.
    pub at: (f64, f64),
    /// Width and height, in pixels.
    pub size: (f64, f64),
    /// The horizontal scale.
    pub x: Scale,
    /// The vertical scale, upwards.
    pub y: Scale,
}

impl Plot {
    /// The horizontal pixel of a value.
    pub fn x(&self, value: f64) -> f64 {
        self.at.0 + self.x.share(value) * self.size.0
    }

    /// The vertical pixel of a value.
    pub fn y(&self, value: f64) -> f64 {
        self.bottom() - self.y.share(value) * self.size.1
    }

    /// The pixel of a pair of values.
    pub fn point(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    /// The pixel of the right edge.
    pub fn right(&self) -> f64 {
        self.at.0 + self.size.0
    }

    /// The pixel of the lower edge.
    pub fn bottom(&self) -> f64 {
        self.at.1 + self.size.1
    }

    /// Draws grid lines at values of the y axis, with labels on the left.
    pub fn grid(&self, svg: &mut Svg, ticks: &[f64], label: impl Fn(f64) -> String, class: &str) {
        for value in ticks {
            let y = self.y(*value);
            svg.line((self.at.0, y), (self.right(), y), "grid");
            svg.text((self.at.0 - 8.0, y + 4.0), class, Anchor::End, &label(*value));
        }
    }

    /// Draws a tick of the x axis with its label below.
    pub fn tick(&self, svg: &mut Svg, value: f64, label: &str) {
        let (x, bottom) = (self.x(value), self.bottom());
        svg.line((x, bottom), (x, bottom + 5.0), "edge");
        svg.text((x, bottom + 19.0), "tick", Anchor::Middle, label);
    }

    /// Draws the label of the x axis below its ticks.
    pub fn x_label(&self, svg: &mut Svg, label: &str) {
        let middle = self.at.0 + self.size.0 / 2.0;
        svg.text((middle, self.bottom() + 37.0), "tick", Anchor::Middle, label);
    }

    /// The corners of the step function with these values at its jumps.
    pub fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut line: Vec<(f64, f64)> = Vec::with_capacity(2 * points.len());
        for (x, y) in points {
            if let Some((_, before)) = line.last().copied() {
                line.push((*x, before));
            }
            line.push((*x, *y));
        }
        line
    }
}

/// Formats a number without trailing zeros: `0.5`, `12`.
pub fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Escapes text for elements and attributes. Control characters, which XML does not allow, become U+FFFD.
pub fn escaped(text: &str) -> String {
    let allowed = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    let clean: String = text.chars().map(allowed).collect();
    let mut escaped = String::with_capacity(clean.len());
    // Writing into a String cannot fail.
    let _ = pulldown_cmark_escape::escape_html(&mut escaped, &clean);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_scale() {
        let of = |range, values: &[f64]| {
            let ticks = Scale::of(range, values).ticks(5);
            ticks.into_iter().map(|tick| trimmed(tick, 3)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Range::FromZero, &[0.2, 0.8]), "0 0.2 0.4 0.6 0.8");
        assert_eq!(of(Range::FromZero, &[0.0, 80.0]), "0 20 40 60 80");
        assert_eq!(of(Range::Around, &[40.0, 90.0]), "40 60 80");
        assert_eq!(of(Range::Around, &[3.0]), "2.8 3 3.2");
        assert_eq!(of(Range::Log, &[0.01, 10.0]), "0.01 0.1 1 10");
    }

    #[test]
    fn axes_of_percentages_end_at_100() {
        let ends = |range, values: &[f64]| {
            let scale = Scale::of(range, values);
            (scale.low, scale.high)
        };
        assert_eq!(ends(Range::Percent, &[3.0]), (0.0, 100.0));
        assert_eq!(Scale::of(Range::Percent, &[80.0]).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ends(Range::AroundPercent, &[1.0, 99.0]), (0.0, 100.0));
        assert_eq!(ends(Range::AroundPercent, &[100.0]), (90.0, 100.0));
        assert_eq!(ends(Range::AroundPercent, &[40.0, 50.0]), (39.4, 50.6));
        assert_eq!(ends(Range::AroundPercent, &[0.0]).0, 0.0);
    }

    #[test]
    fn text_is_escaped_for_elements_and_attributes() {
        assert_eq!(escaped("a<b> & \"c\"\u{7}"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}");
    }
}
