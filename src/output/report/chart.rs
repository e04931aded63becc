//! Lines over steps, as inline SVG whose colours come from the page.

use std::fmt::Write;

use super::html::escaped;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 30.0;

/// A picture of several lines.
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What is measured upwards.
    pub scale: Scale,
    /// The lines, the first at the bottom.
    pub series: Vec<Series>,
    /// Where stages begin, with their names.
    pub edges: Vec<(u64, String)>,
    /// How a value is written beside the axis.
    pub label: fn(f64) -> String,
}

/// How values are laid out upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from zero.
    FromZero,
    /// Evenly, around the values.
    Around,
    /// In powers of ten; values that are not positive are left out.
    Log,
}

/// A line.
pub struct Series {
    /// Its name in the legend, or for dots where they are pointed at; without a name it is not listed.
    pub name: String,
    /// Which of the page's colours, from 0.
    pub color: usize,
    /// How it is drawn.
    pub kind: Kind,
    /// (step, value), by step.
    pub points: Vec<(f64, f64)>,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From point to point.
    Line,
    /// The same, pale: what a mean was taken of.
    Faint,
    /// A value that stays until it jumps, with a dot at each jump.
    Steps,
    /// From point to point, with a dot at each.
    Dotted,
    /// Dots alone.
    Dots,
}

/// More colours than the page has begin anew.
const COLORS: usize = 6;

impl Chart {
    /// The picture with its legend; nothing if there is nothing to draw.
    pub fn render(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        let values: Vec<f64> = points().map(|p| p.1).filter(|v| self.is_drawn(*v)).collect();
        if values.is_empty() {
            return String::new();
        }
        let ends = points().map(|p| p.0).chain(self.edges.iter().map(|e| e.0 as f64));
        let last = ends.fold(1.0, f64::max);
        let axes = Axes { vertical: Vertical::new(self.scale, &values), last };
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.title)
        );
        self.draw_axes(&axes, &mut svg);
        for series in &self.series {
            self.draw(series, &axes, &mut svg);
        }
        svg.push_str("</svg>");
        format!(
            "<figure class=\"chart\">\n<figcaption><b>{}</b>{}</figcaption>\n{svg}\n</figure>\n",
            escaped(&self.title),
            self.legend()
        )
    }

    fn is_drawn(&self, value: f64) -> bool {
        value.is_finite() && (self.scale != Scale::Log || value > 0.0)
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
        // Each says of which branch it is where it is pointed at.
        if dots {
            text.push_str("<span class=\"key\"><i class=\"ring c5\"></i>branches</span>");
        }
        text
    }

    fn draw_axes(&self, axes: &Axes, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for value in axes.vertical.ticks() {
            let y = axes.y(value);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"tick\" x=\"{:.0}\" \
                 y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 7.0,
                y + 4.0,
                (self.label)(value)
            );
        }
        let step = nice(axes.last / 4.0).max(1.0);
        let mut at = 0.0;
        while at <= axes.last * 1.001 {
            let x = axes.x(at);
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                short(at)
            );
            at += step;
        }
        for (i, (begin, name)) in self.edges.iter().enumerate() {
            let x = axes.x(*begin as f64);
            let until = self.edges.get(i + 1).map_or(right, |(next, _)| axes.x(*next as f64));
            if i > 0 {
                let _ = writeln!(svg, "<path class=\"edge\" d=\"M{x:.1} {:.0}V{bottom:.0}\"/>", TOP - 12.0);
            }
            // A name that would run into the next one is left out; the curve's own page names it.
            if self.edges.len() > 1 && name.chars().count() as f64 * 6.5 < until - x {
                let _ = writeln!(
                    svg,
                    "<text class=\"stage\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
                    x + 4.0,
                    TOP - 9.0,
                    escaped(name)
                );
            }
        }
    }

    fn draw(&self, series: &Series, axes: &Axes, svg: &mut String) {
        let color = series.color % COLORS;
        let points: Vec<(f64, f64)> = series.points.iter().copied().filter(|p| self.is_drawn(p.1)).collect();
        let class = if series.kind == Kind::Faint { "line faint" } else { "line" };
        if series.kind != Kind::Dots && points.len() > 1 {
            let mut path = String::new();
            for (i, (step, value)) in points.iter().enumerate() {
                let (x, y) = (axes.x(*step), axes.y(*value));
                let _ = match (i, series.kind) {
                    (0, _) => write!(path, "M{x:.1} {y:.1}"),
                    (_, Kind::Steps) => write!(path, "H{x:.1}V{y:.1}"),
                    _ => write!(path, "L{x:.1} {y:.1}"),
                };
            }
            let _ = writeln!(svg, "<path class=\"{class} c{color}\" d=\"{path}\"/>");
        }
        let alone = points.len() == 1 && series.kind != Kind::Faint;
        if alone || !matches!(series.kind, Kind::Line | Kind::Faint) {
            let class = if series.kind == Kind::Dots { "ring" } else { "dot" };
            for (step, value) in &points {
                let title = format!("{}: {} at step {}", series.name, (self.label)(*value), short(*step));
                let _ = writeln!(
                    svg,
                    "<circle class=\"{class} c{color}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}</title>\
                     </circle>",
                    axes.x(*step),
                    axes.y(*value),
                    escaped(title.trim_start_matches(": "))
                );
            }
        }
    }
}

struct Axes {
    vertical: Vertical,
    last: f64,
}

impl Axes {
    fn x(&self, step: f64) -> f64 {
        LEFT + step / self.last * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.vertical.share(value) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The range of values upwards; of their logarithms if `log`.
struct Vertical {
    low: f64,
    high: f64,
    log: bool,
}

impl Vertical {
    fn new(scale: Scale, values: &[f64]) -> Self {
        let log = scale == Scale::Log;
        let laid = |v: &f64| if log { v.log10() } else { *v };
        let least = values.iter().map(laid).fold(f64::INFINITY, f64::min);
        let most = values.iter().map(laid).fold(f64::NEG_INFINITY, f64::max);
        let room = if most > least { (most - least) * 0.06 } else { (most.abs() * 0.1).max(1e-9) };
        let low = if scale == Scale::FromZero { least.min(0.0) } else { least - room };
        Vertical { low, high: most + room, log }
    }

    fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (self.low.floor() as i32)..=(self.high.ceil() as i32);
            let parts: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let all = decades.flat_map(|d| parts.iter().map(move |p| p * 10f64.powi(d)));
            return all.filter(|v| (self.low..=self.high).contains(&v.log10())).collect();
        }
        let step = nice((self.high - self.low) / 5.0);
        let first = (self.low / step).ceil() as i64;
        // Counted, not added up, so that zero is zero.
        (first..).map(|n| n as f64 * step).take_while(|v| *v <= self.high).take(12).collect()
    }
}

/// The least of 1, 2, 5, 10, 20, … (and their fractions) that is not below a value.
fn nice(value: f64) -> f64 {
    let decade = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|n| n * decade).find(|n| *n >= value * 0.999).unwrap_or(10.0 * decade)
}

/// `1.5k`.
fn short(step: f64) -> String {
    match step {
        s if s >= 1e6 => format!("{}M", trimmed(s / 1e6, 2)),
        s if s >= 1e4 => format!("{}k", trimmed(s / 1e3, 1)),
        s => trimmed(s, 1),
    }
}

/// A number without zeros at its end.
pub fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_within_the_range() {
        let of = |scale, values: &[f64]| {
            let ticks = Vertical::new(scale, values).ticks();
            ticks.into_iter().map(|tick| trimmed(tick, 3)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Scale::FromZero, &[0.2, 0.8]), "0 0.2 0.4 0.6 0.8");
        assert_eq!(of(Scale::FromZero, &[0.0, 80.0]), "0 20 40 60 80");
        assert_eq!(of(Scale::Around, &[40.0, 90.0]), "40 60 80");
        assert_eq!(of(Scale::Around, &[3.0]), "2.8 3 3.2");
        assert_eq!(of(Scale::Log, &[0.01, 10.0]), "0.01 0.1 1 10");
    }

    #[test]
    fn values_that_cannot_be_drawn_are_left_out() {
        let points = vec![(0.0, f64::NAN), (1.0, 2.0), (2.0, f64::INFINITY), (3.0, 4.0), (4.0, -1.0)];
        let series = vec![Series { name: "loss".into(), color: 0, kind: Kind::Line, points }];
        let chart = Chart {
            title: "Loss".into(),
            scale: Scale::Log,
            series,
            edges: vec![],
            label: |v| v.to_string(),
        };
        let html = chart.render();
        assert_eq!(html.matches(" d=\"M").count() - html.matches("class=\"grid\"").count(), 1);
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
        assert_eq!(Chart { series: vec![], ..chart }.render(), "");
    }
}
