//! The chart of a schedule as SVG: sparsity, learning rate and windows over epochs or steps.

use super::curves::Curves;
use super::events::{percent, rate};
use super::svg::{Anchor, Plot, Scale, Svg, nice, trimmed};
use crate::schedule::Schedule;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 72.0;
const TOP: f64 = 80.0;
const HEIGHT: f64 = 260.0;
const BAND: f64 = 20.0;
/// The distance from the axis to the first band, for ticks and the axis' label.
const BELOW: f64 = 54.0;

/// Draws the stages (not the branches) side by side: sparsity on the left axis, learning rate on the right
/// one, and windows as bands below. The time axis is in steps where the recipe is, else in epochs.
pub fn render(schedule: &Schedule, steps_per_epoch: u64) -> String {
    let stages: Vec<Curves> =
        schedule.without_branches().filter_map(|s| Curves::new(s, steps_per_epoch)).collect();
    let total = stages.iter().map(|s| s.steps).sum::<u64>().max(1) as f64;
    let peak = stages.iter().map(|s| s.peak).fold(0.0, f64::max);
    let mut kinds: Vec<&str> = stages.iter().flat_map(|s| s.bands.iter().map(|b| b.0)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let plot = Plot {
        at: (LEFT, TOP),
        size: (WIDTH - LEFT - RIGHT, HEIGHT),
        x: Scale::between(0.0, total),
        y: Scale::between(0.0, 1.0),
    };
    let bottom = plot.bottom();
    let full = bottom + BELOW + 12.0 + kinds.len() as f64 * (BAND + 6.0);
    let mut svg = Svg::file(WIDTH, full, "obert-plan", &style());
    svg.text((LEFT, 26.0), "title", Anchor::Start, &schedule.name);
    svg.text((LEFT, 50.0), "sparsity", Anchor::Start, "sparsity");
    svg.text((plot.right(), 50.0), "lr", Anchor::End, "learning rate");
    let quarters = [0.0, 0.25, 0.5, 0.75, 1.0];
    plot.grid(&mut svg, &quarters, percent, "sparsity");
    for share in quarters {
        svg.text((plot.right() + 8.0, plot.y(share) + 4.0), "lr", Anchor::Start, &rate_label(peak * share));
    }
    let one_unit = stages.windows(2).all(|pair| pair[0].in_steps == pair[1].in_steps);
    let unit = |stage: &Curves| if stage.in_steps { "step" } else { "epoch" };
    let mut begin = 0.0;
    let mut reached = 0.0;
    for (index, stage) in stages.iter().enumerate() {
        // Without `hold`, weights pruned in an earlier stage may become nonzero again.
        let held = if stage.bands.iter().any(|b| b.0 == "hold") { reached } else { 0.0 };
        reached = draw(&mut svg, &plot, stage, begin, peak, held);
        let x = plot.x(begin);
        svg.line((x, TOP - 4.0), (x, bottom), "edge");
        if stages.len() > 1 {
            let name =
                if one_unit { stage.name.clone() } else { format!("{} ({}s)", stage.name, unit(stage)) };
            svg.text((x + 4.0, TOP - 8.0), "label", Anchor::Start, &name);
        }
        ticks(&mut svg, &plot, stage, begin, index + 1 == stages.len());
        for (kind, start, end) in &stage.bands {
            let row = kinds.iter().position(|k| k == kind).unwrap_or(0) as f64;
            let (from, to) = (plot.x(begin + *start as f64), plot.x(begin + *end as f64));
            let y = bottom + BELOW + row * (BAND + 6.0);
            svg.rect((from, y), ((to - from).max(1.0), BAND), kind, "", "");
        }
        begin += stage.steps as f64;
    }
    svg.line((plot.right(), TOP - 4.0), (plot.right(), bottom), "edge");
    if let Some(first) = stages.first().filter(|_| one_unit) {
        plot.x_label(&mut svg, unit(first));
    }
    for (row, kind) in kinds.iter().enumerate() {
        let y = bottom + BELOW + row as f64 * (BAND + 6.0) + BAND - 6.0;
        svg.text((LEFT - 8.0, y), "label", Anchor::End, kind);
    }
    svg.finish()
}

/// Draws both curves of a stage that begins at step `begin` with sparsity `held`. Returns the sparsity at its
/// end.
fn draw(svg: &mut Svg, plot: &Plot, stage: &Curves, begin: f64, peak: f64, held: f64) -> f64 {
    let place = |line: &[(f64, f64)]| -> Vec<(f64, f64)> {
        line.iter().map(|(step, share)| plot.point((begin + step, *share))).collect()
    };
    if peak > 0.0 {
        // Enough points for every cycle, and both sides of every jump.
        let points = stage.steps.min(4_000);
        let at = |i: u64| i * (stage.steps - 1).max(1) / points.max(1);
        let line: Vec<(f64, f64)> = (0..=points).map(|i| (at(i) as f64, stage.lr(at(i)) / peak)).collect();
        svg.path(&place(&line), "lr curve");
    }
    let end = stage.steps as f64;
    if stage.sparsity.is_empty() && held > 0.0 {
        svg.path(&place(&[(0.0, held), (end, held)]), "sparsity curve");
    }
    let mut reached = held;
    for track in &stage.sparsity {
        let events = track.events.iter().map(|(step, sparsity)| (*step as f64, *sparsity));
        let level = track.events.last().map_or(held, |(_, sparsity)| *sparsity);
        let line: Vec<(f64, f64)> =
            std::iter::once((0.0, held)).chain(events).chain([(end, level)]).collect();
        reached = reached.max(level);
        svg.path(&place(&Plot::steps(&line)), "sparsity curve");
        for (step, sparsity) in &track.events {
            let title = format!("{} to {} at step {step}", track.targets, percent(*sparsity));
            svg.dot(plot.point((begin + *step as f64, *sparsity)), "dot", &title);
        }
    }
    reached
}

/// Draws at most ten ticks below the axis. The last one has no label where the next stage's zero is.
fn ticks(svg: &mut Svg, plot: &Plot, stage: &Curves, begin: f64, is_last: bool) {
    let room = (plot.x(begin + stage.steps as f64) - plot.x(begin)) / 80.0;
    let (length, each) = match stage.in_steps {
        true => (stage.steps as f64, 1.0),
        false => (stage.epoch(stage.steps), stage.steps_per_epoch as f64),
    };
    let mut step = nice(length / room.clamp(1.0, 10.0));
    if stage.in_steps {
        step = step.max(1.0);
    }
    for n in 0.. {
        let at = f64::from(n) * step;
        if at > length + 1e-9 {
            break;
        }
        let label = if is_last || at + step / 2.0 < length { trimmed(at, 2) } else { String::new() };
        plot.tick(svg, begin + at * each, &label);
    }
}

fn rate_label(value: f64) -> String {
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    rate(rounded)
}

/// CSS selectors with their declarations.
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
    ("rect", "rx:3px"),
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

/// The style sheet, scoped to the chart's class because report.html embeds the chart.
fn style() -> String {
    let scoped = |rules: &Rules| -> String {
        rules.iter().map(|(selector, look)| format!(".obert-plan {selector}{{{look}}}")).collect()
    };
    format!("{}@media (prefers-color-scheme:dark){{{}}}", scoped(LIGHT), scoped(DARK))
}
