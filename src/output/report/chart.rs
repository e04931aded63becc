//! Line charts over steps, as inline SVG in the page's colours.

use super::html::escaped;
use crate::plan::svg::{Anchor, Plot, Range, Scale, Svg, nice, trimmed};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 266.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 46.0;

/// A chart of several lines over steps.
pub struct Chart {
    /// The title.
    pub title: String,
    /// The range of the vertical axis.
    pub range: Range,
    /// The lines, in drawing order.
    pub series: Vec<Series>,
    /// The first step of each stage, with its name.
    pub edges: Vec<(u64, String)>,
    /// Formats the values of the vertical axis.
    pub label: fn(f64) -> String,
}

/// A line.
pub struct Series {
    /// Its name in the legend, or in the tooltips of dots; empty for a line without an entry.
    pub name: String,
    /// The index of its colour, from 0.
    pub color: usize,
    /// The style.
    pub kind: Kind,
    /// (step, value), by step.
    pub points: Vec<(f64, f64)>,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Straight lines between points.
    Line,
    /// The same in a pale colour: the values of which another line is the running mean.
    Faint,
    /// Steps: constant between points, with a dot at each.
    Steps,
    /// Straight lines between points, with a dot at each.
    Dotted,
    /// Dots without lines.
    Dots,
}

/// The number of the page's colours.
const COLORS: usize = 6;

impl Chart {
    /// The chart with its legend as HTML; empty if there is nothing to draw.
    pub fn render(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let values: Vec<f64> = points().map(|p| p.1).filter(|v| self.is_drawn(*v)).collect();
        if values.is_empty() {
            return String::new();
        }
        let ends = points().map(|p| p.0).chain(self.edges.iter().map(|e| e.0 as f64));
        let last = ends.fold(1.0, f64::max);
        let plot = Plot {
            at: (LEFT, TOP),
            size: (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM),
            x: Scale::between(0.0, last),
            y: Scale::of(self.range, &values),
        };
        let mut svg = Svg::inline(WIDTH, HEIGHT, "plot", &self.title);
        self.draw_axes(&plot, last, &mut svg);
        for series in &self.series {
            self.draw(series, &plot, &mut svg);
        }
        format!(
            "<figure class=\"chart\">\n<figcaption><b>{}</b>{}</figcaption>\n{}</figure>\n",
            escaped(&self.title),
            self.legend(),
            svg.finish()
        )
    }

    fn is_drawn(&self, value: f64) -> bool {
        value.is_finite() && (self.range != Range::Log || value > 0.0)
    }

    fn legend(&self) -> String {
        let lines: Vec<&Series> =
            self.series.iter().filter(|s| !s.name.is_empty() && s.kind != Kind::Dots).collect();
        let dots = self.series.iter().any(|s| s.kind == Kind::Dots);
        if lines.len() < 2 && !dots {
            return String::new();
        }
        let mut text = String::new();
        for series in lines {
            let (color, name) = (series.color % COLORS, escaped(&series.name));
            text.push_str(&format!("<span class=\"key\"><i class=\"bar c{color}\"></i>{name}</span>"));
        }
        // The tooltip of each names its branch.
        if dots {
            text.push_str("<span class=\"key\"><i class=\"ring c5\"></i>branches</span>");
        }
        text
    }

    fn draw_axes(&self, plot: &Plot, last: f64, svg: &mut Svg) {
        plot.grid(svg, &plot.y.ticks(5), self.label, "tick");
        let step = nice(last / 4.0).max(1.0);
        for n in 0..=((last * 1.001 / step) as u32) {
            let at = f64::from(n) * step;
            plot.tick(svg, at, &short(at));
        }
        plot.x_label(svg, "step");
        for (i, (begin, name)) in self.edges.iter().enumerate() {
            let x = plot.x(*begin as f64);
            let until = self.edges.get(i + 1).map_or(plot.right(), |(next, _)| plot.x(*next as f64));
            if i > 0 {
                svg.line((x, TOP - 12.0), (x, plot.bottom()), "stage-edge");
            }
            // A name that would overlap the next one is left out; the chart of the plan has it.
            if self.edges.len() > 1 && name.chars().count() as f64 * 6.5 < until - x {
                svg.text((x + 4.0, TOP - 9.0), "stage", Anchor::Start, name);
            }
        }
    }

    fn draw(&self, series: &Series, plot: &Plot, svg: &mut Svg) {
        let color = series.color % COLORS;
        let points: Vec<(f64, f64)> = series.points.iter().copied().filter(|p| self.is_drawn(p.1)).collect();
        let class = if series.kind == Kind::Faint { "line faint" } else { "line" };
        if series.kind != Kind::Dots && points.len() > 1 {
            let line = if series.kind == Kind::Steps { Plot::steps(&points) } else { points.clone() };
            let line: Vec<(f64, f64)> = line.into_iter().map(|p| plot.point(p)).collect();
            svg.path(&line, &format!("{class} c{color}"));
        }
        let alone = points.len() == 1 && series.kind != Kind::Faint;
        if alone || !matches!(series.kind, Kind::Line | Kind::Faint) {
            let class = if series.kind == Kind::Dots { "ring" } else { "dot" };
            for point in &points {
                let title = format!("{}: {} at step {}", series.name, (self.label)(point.1), short(point.0));
                svg.dot(plot.point(*point), &format!("{class} c{color}"), title.trim_start_matches(": "));
            }
        }
    }
}

/// A number of steps as `1.5k`.
fn short(step: f64) -> String {
    match step {
        s if s >= 1e6 => format!("{}M", trimmed(s / 1e6, 2)),
        s if s >= 1e4 => format!("{}k", trimmed(s / 1e3, 1)),
        s => trimmed(s, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_drawn_are_left_out() {
        let points = vec![(0.0, f64::NAN), (1.0, 2.0), (2.0, f64::INFINITY), (3.0, 4.0), (4.0, -1.0)];
        let series = vec![Series { name: "loss".into(), color: 0, kind: Kind::Line, points }];
        let chart = Chart {
            title: "Loss".into(),
            range: Range::Log,
            series,
            edges: vec![],
            label: |v| v.to_string(),
        };
        let html = chart.render();
        assert_eq!(html.matches("<path d=\"M").count(), 1);
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        assert_eq!(Chart { series: vec![], ..chart }.render(), "");
    }
}
