//! The curves of a whole recipe as a picture.

use std::fmt::Write;

use super::curves::Curves;
use super::events::{percent, rate};
use crate::schedule::Schedule;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 72.0;
const TOP: f64 = 80.0;
const HEIGHT: f64 = 260.0;
const BAND: f64 = 20.0;

/// The carried stages side by side on one axis of steps, with sparsity on the left scale, the
/// learning rate on the right one, and windows as bands below.
pub fn render(schedule: &Schedule, steps_per_epoch: u64) -> String {
    let stages: Vec<Curves> = schedule.carried().filter_map(|s| Curves::new(s, steps_per_epoch)).collect();
    let total = stages.iter().map(|s| s.steps).sum::<u64>().max(1) as f64;
    let peak = stages.iter().map(|s| s.peak).fold(0.0, f64::max);
    let mut kinds: Vec<&str> = stages.iter().flat_map(|s| s.bands.iter().map(|b| b.0)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let width = WIDTH - LEFT - RIGHT;
    let bottom = TOP + HEIGHT;
    let full = bottom + 52.0 + kinds.len() as f64 * (BAND + 6.0);
    let mut svg = Svg::new(WIDTH, full);
    svg.text(LEFT, 26.0, "title", "start", &schedule.name);
    svg.text(LEFT, 50.0, "sparsity", "start", "sparsity");
    svg.text(WIDTH - RIGHT, 50.0, "lr", "end", "learning rate");
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let y = bottom - share * HEIGHT;
        svg.line(LEFT, y, WIDTH - RIGHT, y, "grid");
        svg.text(LEFT - 8.0, y + 4.0, "sparsity", "end", &percent(share));
        svg.text(WIDTH - RIGHT + 8.0, y + 4.0, "lr", "start", &rate_label(peak * share));
    }
    let mut begin = 0.0;
    let mut reached = 0.0;
    for (index, stage) in stages.iter().enumerate() {
        let x = |step: f64| LEFT + (begin + step) / total * width;
        // What was pruned before stays so only where it is held.
        let held = if stage.bands.iter().any(|b| b.0 == "hold") { reached } else { 0.0 };
        reached = draw(&mut svg, stage, &x, peak, held);
        svg.line(x(0.0), TOP - 4.0, x(0.0), bottom, "edge");
        if stages.len() > 1 {
            svg.text(x(0.0) + 4.0, TOP - 8.0, "label", "start", &stage.name);
        }
        ticks(&mut svg, stage, &x, index + 1 == stages.len());
        for (kind, start, end) in &stage.bands {
            let row = kinds.iter().position(|k| k == kind).unwrap_or(0) as f64;
            let y = bottom + 40.0 + row * (BAND + 6.0);
            svg.band(x(*start as f64), y, x(*end as f64), kind);
        }
        begin += stage.steps as f64;
    }
    svg.line(WIDTH - RIGHT, TOP - 4.0, WIDTH - RIGHT, bottom, "edge");
    for (row, kind) in kinds.iter().enumerate() {
        let y = bottom + 40.0 + row as f64 * (BAND + 6.0) + BAND - 6.0;
        svg.text(LEFT - 8.0, y, "label", "end", kind);
    }
    svg.finish()
}

/// Both curves of a stage that starts with the sparsity `held`; returns the sparsity at its end.
fn draw(svg: &mut Svg, stage: &Curves, x: &dyn Fn(f64) -> f64, peak: f64, held: f64) -> f64 {
    let bottom = TOP + HEIGHT;
    let y = |share: f64| bottom - share * HEIGHT;
    if peak > 0.0 {
        // Enough points for every cycle, and both sides of every jump.
        let points = stage.steps.min(4_000);
        let at = |i: u64| i * (stage.steps - 1).max(1) / points.max(1);
        let line: Vec<(f64, f64)> =
            (0..=points).map(|i| (x(at(i) as f64), y(stage.lr(at(i)) / peak))).collect();
        svg.path(&line, "lr curve");
    }
    let end = x(stage.steps as f64);
    if stage.sparsity.is_empty() && held > 0.0 {
        svg.path(&[(x(0.0), y(held)), (end, y(held))], "sparsity curve");
    }
    let mut reached = held;
    for track in &stage.sparsity {
        let mut level = held;
        let mut line = vec![(x(0.0), y(level))];
        for (step, sparsity) in &track.events {
            line.push((x(*step as f64), y(level)));
            line.push((x(*step as f64), y(*sparsity)));
            level = *sparsity;
        }
        line.push((end, y(level)));
        reached = reached.max(level);
        svg.path(&line, "sparsity curve");
        for (step, sparsity) in &track.events {
            let title = format!("{} to {} at step {step}", track.targets, percent(*sparsity));
            svg.dot(x(*step as f64), y(*sparsity), &title);
        }
    }
    reached
}

/// Epochs below the axis, at most ten of them. Where another stage follows, its zero stands at the end.
fn ticks(svg: &mut Svg, stage: &Curves, x: &dyn Fn(f64) -> f64, is_last: bool) {
    let bottom = TOP + HEIGHT;
    let epochs = stage.epoch(stage.steps);
    let room = (x(stage.steps as f64) - x(0.0)) / 80.0;
    let step = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
        .into_iter()
        .find(|step| epochs / step <= room.clamp(1.0, 10.0))
        .unwrap_or(epochs.max(1.0));
    let mut at = 0.0;
    while at <= epochs + 1e-9 {
        let place = x(at * stage.steps_per_epoch as f64);
        svg.line(place, bottom, place, bottom + 5.0, "edge");
        if is_last || at + step / 2.0 < epochs {
            svg.text(place, bottom + 20.0, "label", "middle", &trim(at));
        }
        at += step;
    }
    if is_last {
        svg.text(WIDTH - RIGHT + 24.0, bottom + 20.0, "label", "start", "epochs");
    }
}

fn trim(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn rate_label(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    rate(rounded)
}

/// Selectors with what they look like.
type Rules = [(&'static str, &'static str)];

const LIGHT: &Rules = &[
    ("text", "font:12px system-ui,sans-serif;fill:#444"),
    (".title", "font-size:16px;font-weight:600;fill:#111"),
    (".ground", "fill:#fff"),
    (".grid", "stroke:#e4e4e4"),
    (".edge", "stroke:#999"),
    (".curve", "fill:none;stroke-width:2;stroke-linejoin:round"),
    ("path.sparsity", "stroke:#1f6feb"),
    ("path.lr", "stroke:#d9822b;stroke-width:1.5"),
    ("text.sparsity", "fill:#1f6feb"),
    ("text.lr", "fill:#b3611a"),
    (".dot", "fill:#1f6feb"),
    (".distill", "fill:#cfe8d5"),
    (".quantize", "fill:#f5d9ec"),
    (".hold", "fill:#d6def5"),
    (".freeze", "fill:#dfeef2"),
];

const DARK: &Rules = &[
    ("text", "fill:#b4bec9"),
    (".title", "fill:#e6edf3"),
    (".ground", "fill:#161b22"),
    (".grid", "stroke:#2b323b"),
    (".edge", "stroke:#6e7781"),
    ("path.sparsity", "stroke:#6cb0ff"),
    ("path.lr", "stroke:#f0a35e"),
    ("text.sparsity", "fill:#6cb0ff"),
    ("text.lr", "fill:#f0a35e"),
    (".dot", "fill:#6cb0ff"),
    (".distill", "fill:#1e4a33"),
    (".quantize", "fill:#4f2a47"),
    (".hold", "fill:#2b3863"),
    (".freeze", "fill:#1f4650"),
];

/// Rules that hold within a plan's picture alone: it also stands in pages with rules of their own.
fn style() -> String {
    let scoped = |rules: &Rules| -> String {
        rules.iter().map(|(selector, look)| format!(".obert-plan {selector}{{{look}}}")).collect()
    };
    format!("{}@media (prefers-color-scheme:dark){{{}}}", scoped(LIGHT), scoped(DARK))
}

/// A picture in the making.
struct Svg {
    text: String,
}

impl Svg {
    fn new(width: f64, height: f64) -> Self {
        let style = style();
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"obert-plan\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<style>{style}</style>\n\
             <rect width=\"100%\" height=\"100%\" class=\"ground\"/>\n"
        );
        Svg { text }
    }

    fn add(&mut self, line: std::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        self.add(format_args!("<path d=\"{d}\" class=\"{class}\"/>"));
    }

    fn dot(&mut self, x: f64, y: f64, title: &str) {
        let title = escaped(title);
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"dot\"><title>{title}</title></circle>"
        ));
    }

    fn band(&mut self, x1: f64, y: f64, x2: f64, kind: &str) {
        let width = (x2 - x1).max(1.0);
        self.add(format_args!(
            "<rect x=\"{x1:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAND}\" rx=\"3\" class=\"{kind}\"/>"
        ));
    }

    fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
