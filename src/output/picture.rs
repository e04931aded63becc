//! Pictures of figures, as SVG: [`lines`] over sparsity, and [`heat_maps`] over two settings.

use std::fmt::Write;

/// A named line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// What a chart of lines says around them.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Above it.
    pub title: &'a str,
    /// What is measured.
    pub metric: &'a str,
    /// A figure to compare with, drawn across: its name and value.
    pub level: Option<(&'a str, f64)>,
}

/// A figure for each pair of two settings' values.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// Above it.
    pub title: String,
    /// The setting whose values stand at the left, and these.
    pub rows: (String, Vec<String>),
    /// The setting whose values stand below, and these.
    pub columns: (String, Vec<String>),
    /// Row by row.
    pub cells: Vec<Vec<f64>>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 64.0;
const COLORS: [&str; 8] =
    ["#1f6feb", "#d9822b", "#2da44e", "#bf3989", "#6e7781", "#8250df", "#0a7ea4", "#a40e26"];
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#444}\
    .title{font-size:16px;font-weight:600;fill:#111}.head{font-weight:600;fill:#222}\
    .grid{stroke:#e4e4e4}.edge{stroke:#999}.level{stroke:#888;stroke-dasharray:5 4}\
    .line{fill:none;stroke-width:2;stroke-linejoin:round}.dark{fill:#fff}";

/// Lines over sparsity in percent, with a scale from zero.
pub fn lines(frame: &Frame, lines: &[Line]) -> String {
    let bottom = TOP + HEIGHT;
    let mut svg = Svg::new(WIDTH, bottom + 56.0);
    svg.text(LEFT, 26.0, "title", "start", frame.title);
    svg.text(LEFT, 48.0, "", "start", frame.metric);
    let all = || lines.iter().flat_map(|l| &l.points);
    let (least, most) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let highest = all().map(|(_, y)| *y).chain(frame.level.map(|(_, y)| y)).fold(0.0, f64::max);
    let step = step(highest);
    let top = (highest / step).ceil().max(1.0) * step;
    let width = WIDTH - LEFT - RIGHT;
    let across =
        |x: f64| LEFT + if most > least { (x - least) / (most - least) * width } else { width / 2.0 };
    let up = |y: f64| bottom - y / top * HEIGHT;
    for i in 0..=(top / step).round() as u32 {
        let value = f64::from(i) * step;
        svg.line(LEFT, up(value), WIDTH - RIGHT, up(value), "grid");
        svg.text(LEFT - 8.0, up(value) + 4.0, "", "end", &plain(value));
    }
    let mut places: Vec<f64> = all().map(|(x, _)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    for x in places {
        svg.line(across(x), bottom, across(x), bottom + 5.0, "edge");
        svg.text(across(x), bottom + 20.0, "", "middle", &format!("{}%", plain(x)));
    }
    svg.text(LEFT + width / 2.0, bottom + 42.0, "", "middle", "sparsity");
    // Names stand at the right, apart from each other, in the order of the lines' ends.
    let ends = lines.iter().enumerate().filter_map(|(i, l)| Some((l.points.last()?.1, Some(i))));
    let mut ends: Vec<(f64, Option<usize>)> = ends.chain(frame.level.map(|(_, y)| (y, None))).collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    let room = 16.0;
    let mut below = f64::NEG_INFINITY;
    let mut labels: Vec<f64> = ends
        .iter()
        .map(|(y, _)| {
            below = (up(*y) + 4.0).max(below + room);
            below
        })
        .collect();
    let mut above = bottom + 8.0;
    for label in labels.iter_mut().rev() {
        *label = label.min(above);
        above = *label - room;
    }
    if let Some((_, y)) = frame.level {
        svg.line(LEFT, up(y), WIDTH - RIGHT, up(y), "level");
    }
    for (index, line) in lines.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let points: Vec<(f64, f64)> = line.points.iter().map(|(x, y)| (across(*x), up(*y))).collect();
        svg.path(&points, color);
        for ((x, y), (sparsity, value)) in points.iter().zip(&line.points) {
            svg.dot(*x, *y, color, &format!("{}: {value:.1} at {}%", line.name, plain(*sparsity)));
        }
    }
    for ((_, index), y) in ends.iter().zip(labels) {
        match index {
            Some(index) => {
                svg.colored(WIDTH - RIGHT + 12.0, y, COLORS[index % COLORS.len()], &lines[*index].name);
            }
            None => svg.text(WIDTH - RIGHT + 12.0, y, "", "start", frame.level.map_or("", |l| l.0)),
        }
    }
    svg.finish()
}

/// Maps one below the other, `across` in a row, on one scale of colours: the best is dark.
pub fn heat_maps(title: &str, maps: &[Heat], across: usize, lower_is_better: bool) -> String {
    const CELL: (f64, f64) = (76.0, 30.0);
    let label = |map: &Heat| {
        let longest = map.rows.1.iter().map(|v| v.chars().count()).max().unwrap_or(0);
        14.0 + 7.0 * longest.max(map.rows.0.chars().count()) as f64
    };
    let wide = maps.iter().map(|m| label(m) + m.columns.1.len() as f64 * CELL.0 + 24.0).fold(320.0, f64::max);
    let high = |m: &Heat| m.rows.1.len() as f64 * CELL.1 + 78.0;
    let values = || maps.iter().flat_map(|m| m.cells.iter().flatten().copied());
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let across = across.clamp(1, maps.len().max(1));
    let heights: Vec<f64> = maps.chunks(across).map(|row| row.iter().map(high).fold(0.0, f64::max)).collect();
    let mut svg = Svg::new(24.0 + wide * across as f64, 44.0 + heights.iter().sum::<f64>());
    svg.text(24.0, 26.0, "title", "start", title);
    for (index, map) in maps.iter().enumerate() {
        let x = 24.0 + wide * (index % across) as f64;
        let y = 44.0 + heights[..index / across].iter().sum::<f64>();
        let left = x + label(map);
        let top = y + 34.0;
        svg.text(x, y + 16.0, "head", "start", &map.title);
        svg.text(left - 8.0, top - 4.0, "", "end", &map.rows.0);
        for (r, (name, cells)) in map.rows.1.iter().zip(&map.cells).enumerate() {
            let row = top + r as f64 * CELL.1;
            svg.text(left - 8.0, row + 19.0, "", "end", name);
            for (c, value) in cells.iter().enumerate() {
                let share = if most > least { (value - least) / (most - least) } else { 1.0 };
                let share = if lower_is_better { 1.0 - share } else { share };
                svg.cell(left + c as f64 * CELL.0, row, CELL, share, &format!("{value:.1}"));
            }
        }
        let foot = top + map.rows.1.len() as f64 * CELL.1;
        for (c, name) in map.columns.1.iter().enumerate() {
            svg.text(left + (c as f64 + 0.5) * CELL.0, foot + 16.0, "", "middle", name);
        }
        let middle = left + map.columns.1.len() as f64 * CELL.0 / 2.0;
        svg.text(middle, foot + 33.0, "", "middle", &map.columns.0);
    }
    svg.finish()
}

/// A round distance of the lines of a scale up to `highest`.
fn step(highest: f64) -> f64 {
    let power = 10f64.powf((highest.max(1e-9) / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|f| f * power).into_iter().find(|s| highest / s <= 6.0).unwrap_or(10.0 * power)
}

/// Without zeros that say nothing.
fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A picture in the making.
struct Svg {
    text: String,
}

impl Svg {
    fn new(width: f64, height: f64) -> Self {
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        Svg { text }
    }

    fn add(&mut self, line: std::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\"{class} text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn colored(&mut self, x: f64, y: f64, color: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" style=\"fill:{color}\">{text}</text>"));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    fn path(&mut self, points: &[(f64, f64)], color: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        self.add(format_args!("<path d=\"{d}\" class=\"line\" stroke=\"{color}\"/>"));
    }

    fn dot(&mut self, x: f64, y: f64, color: &str, title: &str) {
        let title = escaped(title);
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"><title>{title}</title></circle>"
        ));
    }

    fn cell(&mut self, x: f64, y: f64, (width, height): (f64, f64), share: f64, text: &str) {
        let mix = |light: f64, dark: f64| (light + (dark - light) * share.clamp(0.0, 1.0)).round() as u8;
        let (r, g, b) = (mix(240.0, 12.0), mix(246.0, 74.0), mix(255.0, 140.0));
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"rgb({r},{g},{b})\" stroke=\"#fff\"/>"
        ));
        let class = if share > 0.5 { "dark" } else { "" };
        self.text(x + width / 2.0, y + height / 2.0 + 4.0, class, "middle", text);
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_few_round_steps() {
        for (highest, expected) in [(64.9, 20.0), (100.0, 20.0), (9.7, 2.0), (3.2, 1.0), (0.4, 0.1)] {
            assert!((step(highest) - expected).abs() < 1e-9, "{highest}: {}", step(highest));
        }
    }

    #[test]
    fn names_of_lines_that_end_together_stand_apart() {
        let line = |name: &str, end| Line { name: name.into(), points: vec![(50.0, 60.0), (90.0, end)] };
        let frame = Frame { title: "t", metric: "F1", level: Some(("dense", 64.9)) };
        let svg = lines(&frame, &[line("a", 6.0), line("b", 6.1), line("c", 6.2)]);
        let places: Vec<f64> = svg
            .lines()
            .filter(|l| l.contains("style=\"fill:#"))
            .filter_map(|l| l.split("y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(places.len(), 3);
        assert!(places.windows(2).all(|p| (p[0] - p[1]).abs() >= 15.9), "{places:?}");
    }
}
