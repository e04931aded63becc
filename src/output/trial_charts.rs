//! Charts of one-shot trials: [`lines`] of a metric over sparsity, and [`heat_maps`] over two settings.

use crate::plan::svg::{Anchor, Plot, Range, Scale, Svg, trimmed};

use super::numbers::is_percentage;

/// A named line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points from left to right: sparsity in percent, and the metric.
    pub points: Vec<(f64, f64)>,
}

/// The texts around a chart of lines.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The title.
    pub title: &'a str,
    /// The metric's name in the log, and its title.
    pub metric: (&'a str, &'a str),
    /// The name and value of a horizontal line, for comparison.
    pub level: Option<(&'a str, f64)>,
}

/// A metric for each pair of two settings' values.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// The title.
    pub title: String,
    /// The setting of the rows, and its values.
    pub rows: (String, Vec<String>),
    /// The setting of the columns, and its values.
    pub columns: (String, Vec<String>),
    /// The metric `[rows][columns]`.
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
    .title{font-size:16px;font-weight:600;fill:#111}.head{font-weight:600;fill:#222}.ground{fill:#fff}\
    .grid{stroke:#e4e4e4}.edge{stroke:#999}.level{stroke:#888;stroke-dasharray:5 4}\
    .line{fill:none;stroke-width:2;stroke-linejoin:round}.cell{stroke:#fff}.dark{fill:#fff}";

/// CSS without variables, which other SVG viewers than browsers do not know.
fn style() -> String {
    let colors = COLORS.iter().enumerate();
    let rules =
        colors.map(|(i, color)| format!(".line.c{i}{{stroke:{color}}}.dot.c{i},text.c{i}{{fill:{color}}}"));
    format!("{STYLE}{}", rules.collect::<String>())
}

/// Draws lines of a metric over sparsity in percent. The vertical axis is from 0 to 100 for a metric in percent, else
/// from 0.
pub fn lines(frame: &Frame, lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|l| &l.points);
    let mut values: Vec<f64> = all().map(|(_, y)| *y).chain(frame.level.map(|(_, y)| y)).collect();
    values.retain(|v| v.is_finite());
    values.push(0.0);
    let mut places: Vec<f64> = all().map(|(x, _)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let (least, most) = (places.first().copied().unwrap_or(0.0), places.last().copied().unwrap_or(100.0));
    // A single level of sparsity is in the middle.
    let (least, most) = if most > least { (least, most) } else { (least - 1.0, most + 1.0) };
    let range = if is_percentage(frame.metric.0) { Range::Percent } else { Range::FromZero };
    let plot = Plot {
        at: (LEFT, TOP),
        size: (WIDTH - LEFT - RIGHT, HEIGHT),
        x: Scale::between(least, most),
        y: Scale::of(range, &values),
    };
    let mut svg = Svg::file(WIDTH, plot.bottom() + 56.0, "obert-trials", &style());
    svg.text((LEFT, 26.0), "title", Anchor::Start, frame.title);
    svg.text((LEFT, 48.0), "", Anchor::Start, frame.metric.1);
    plot.grid(&mut svg, &plot.y.ticks(5), |v| trimmed(v, 4), "");
    for x in places {
        plot.tick(&mut svg, x, &format!("{}%", trimmed(x, 4)));
    }
    plot.x_label(&mut svg, "sparsity");
    if let Some((_, y)) = frame.level {
        svg.line((LEFT, plot.y(y)), (plot.right(), plot.y(y)), "level");
    }
    for (index, line) in lines.iter().enumerate() {
        let color = index % COLORS.len();
        let points: Vec<(f64, f64)> = line.points.iter().map(|p| plot.point(*p)).collect();
        svg.path(&points, &format!("line c{color}"));
        for (place, (sparsity, value)) in points.iter().zip(&line.points) {
            let title = format!("{}: {value:.1} at {}%", line.name, trimmed(*sparsity, 4));
            svg.dot(*place, &format!("dot c{color}"), &title);
        }
    }
    // Names are at the right, apart from each other, in the order of the lines' ends.
    let ends = lines.iter().enumerate().filter_map(|(i, l)| Some((l.points.last()?.1, Some(i))));
    let mut ends: Vec<(f64, Option<usize>)> = ends.chain(frame.level.map(|(_, y)| (y, None))).collect();
    ends.sort_by(|a, b| b.0.total_cmp(&a.0));
    let wanted: Vec<f64> = ends.iter().map(|(y, _)| plot.y(*y) + 4.0).collect();
    for ((_, index), y) in ends.iter().zip(apart(&wanted, plot.bottom() + 8.0)) {
        let (name, class) = match index {
            Some(index) => (lines[*index].name.as_str(), format!("name c{}", index % COLORS.len())),
            None => (frame.level.map_or("", |l| l.0), String::new()),
        };
        svg.text((plot.right() + 12.0, y), &class, Anchor::Start, name);
    }
    svg.finish()
}

/// Moves the heights of labels, from the top down, so that none overlaps another and none is below `lowest`.
fn apart(wanted: &[f64], lowest: f64) -> Vec<f64> {
    let line = 16.0;
    let mut last = f64::NEG_INFINITY;
    let mut places: Vec<f64> = wanted
        .iter()
        .map(|y| {
            last = y.max(last + line);
            last
        })
        .collect();
    let mut above = lowest;
    for place in places.iter_mut().rev() {
        *place = place.min(above);
        above = *place - line;
    }
    places
}

/// Draws heat maps, `across` in a row, with one colour scale: the best values are dark.
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
    let size = (24.0 + wide * across as f64, 44.0 + heights.iter().sum::<f64>());
    let mut svg = Svg::file(size.0, size.1, "obert-trials", &style());
    svg.text((24.0, 26.0), "title", Anchor::Start, title);
    for (index, map) in maps.iter().enumerate() {
        let x = 24.0 + wide * (index % across) as f64;
        let y = 44.0 + heights[..index / across].iter().sum::<f64>();
        let left = x + label(map);
        let top = y + 34.0;
        svg.text((x, y + 16.0), "head", Anchor::Start, &map.title);
        svg.text((left - 8.0, top - 4.0), "", Anchor::End, &map.rows.0);
        for (r, (name, cells)) in map.rows.1.iter().zip(&map.cells).enumerate() {
            let row = top + r as f64 * CELL.1;
            svg.text((left - 8.0, row + 19.0), "", Anchor::End, name);
            for (c, value) in cells.iter().enumerate() {
                let share = if most > least { (value - least) / (most - least) } else { 1.0 };
                let share = if lower_is_better { 1.0 - share } else { share };
                cell(&mut svg, (left + c as f64 * CELL.0, row), CELL, share, &format!("{value:.1}"));
            }
        }
        let foot = top + map.rows.1.len() as f64 * CELL.1;
        for (c, name) in map.columns.1.iter().enumerate() {
            svg.text((left + (c as f64 + 0.5) * CELL.0, foot + 16.0), "", Anchor::Middle, name);
        }
        let middle = left + map.columns.1.len() as f64 * CELL.0 / 2.0;
        svg.text((middle, foot + 33.0), "", Anchor::Middle, &map.columns.0);
    }
    svg.finish()
}

fn cell(svg: &mut Svg, (x, y): (f64, f64), size: (f64, f64), share: f64, text: &str) {
    let mix = |light: f64, dark: f64| (light + (dark - light) * share.clamp(0.0, 1.0)).round() as u8;
    let (r, g, b) = (mix(240.0, 12.0), mix(246.0, 74.0), mix(255.0, 140.0));
    svg.rect((x, y), size, "cell", &format!("fill:rgb({r},{g},{b})"), "");
    let class = if share > 0.5 { "dark" } else { "" };
    svg.text((x + size.0 / 2.0, y + size.1 / 2.0 + 4.0), class, Anchor::Middle, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines_that_end_together_are_apart() {
        let line = |name: &str, end| Line { name: name.into(), points: vec![(50.0, 60.0), (90.0, end)] };
        let frame = Frame { title: "t", metric: ("f1", "F1"), level: Some(("dense", 64.9)) };
        let svg = lines(&frame, &[line("a", 6.0), line("b", 6.1), line("c", 6.2)]);
        let places: Vec<f64> = svg
            .lines()
            .filter(|l| l.contains("class=\"name c"))
            .filter_map(|l| l.split("y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(places.len(), 3);
        assert!(places.windows(2).all(|p| (p[0] - p[1]).abs() >= 15.9), "{places:?}");
    }

    #[test]
    fn a_metric_in_percent_has_an_axis_up_to_100_and_a_loss_has_not() {
        let drawn = |metric, value| {
            let line = Line { name: "a".into(), points: vec![(50.0, value), (90.0, value / 2.0)] };
            lines(&Frame { title: "t", metric: (metric, metric), level: None }, &[line])
        };
        assert!(drawn("f1", 60.0).contains(">100</text>"));
        let loss = drawn("loss", 2.5);
        assert!(!loss.contains(">100</text>") && loss.contains(">2</text>"), "{loss}");
    }
}
