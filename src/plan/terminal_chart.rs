//! The chart of a stage in the terminal.

use super::curves::Curves;
use super::events::{percent, rate};
use super::svg::trimmed;
use crate::diag::agreeing;
use crate::schedule::ir::Stage;

/// Columns of a curve.
const WIDTH: usize = 60;
/// Lines of a curve.
const HEIGHT: usize = 4;
/// Columns left of a curve.
const MARGIN: usize = 12;

/// Draws learning rate, sparsity and windows of a stage; empty if the stage does not train.
pub fn render(stage: &Stage, steps_per_epoch: Option<u64>) -> String {
    // Epochs and steps have no common scale while the length of an epoch is unknown.
    if steps_per_epoch.is_none() && stage.length.is_mixed() {
        return String::new();
    }
    // The shape is the same for every length of an epoch that is long enough; the axis then has no steps.
    let Some(curves) = Curves::new(stage, steps_per_epoch.unwrap_or(10_000)) else { return String::new() };
    let step = |column: usize| (2 * column as u64 + 1) * curves.steps / (2 * WIDTH as u64);
    let mut text = String::new();
    let rates: Vec<f64> = (0..WIDTH).map(|c| curves.lr(step(c))).collect();
    text.push_str(&area("lr", &rate(curves.peak), &rates, curves.peak));
    for (index, track) in curves.sparsity.iter().enumerate() {
        let name =
            if curves.sparsity.len() > 1 { format!("sparsity {}", index + 1) } else { "sparsity".into() };
        let values: Vec<f64> = (0..WIDTH).map(|c| track.at(step(c))).collect();
        text.push_str(&area(&name, &percent(1.0), &values, 1.0));
    }
    text.push_str(&axis(&curves, steps_per_epoch.is_some()));
    for (name, start, end) in &curves.bands {
        let column = |step: &u64| (step * WIDTH as u64).div_ceil(curves.steps) as usize;
        let (from, to) = (column(start).min(WIDTH - 1), column(end));
        let bar = "━".repeat(to.saturating_sub(from).max(1));
        text.push_str(&format!("{name:>MARGIN$}  {}{bar}\n", " ".repeat(from)));
    }
    text
}

/// A filled curve between zero and `top`.
fn area(name: &str, label: &str, values: &[f64], top: f64) -> String {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighths = |value: f64| -> usize {
        let full = (HEIGHT * 8) as f64;
        let level = if top > 0.0 { (value / top * full).round() as usize } else { 0 };
        // A value above zero is visible.
        level.clamp(usize::from(value > 0.0), HEIGHT * 8)
    };
    let mut text = String::new();
    for row in 0..HEIGHT {
        let left = match row {
            0 => label,
            1 => name,
            _ if row == HEIGHT - 1 => "0",
            _ => "",
        };
        let below = (HEIGHT - 1 - row) * 8;
        let line: String = values.iter().map(|v| EIGHTHS[eighths(*v).saturating_sub(below).min(8)]).collect();
        text.push_str(format!("{left:>MARGIN$} │{line}").trim_end());
        text.push('\n');
    }
    text
}

/// The time axis: in steps if the recipe gives the stage's length in steps, or if it is under an epoch whose number of
/// steps is known; else in epochs.
fn axis(curves: &Curves, knows_steps: bool) -> String {
    let epochs = curves.epoch(curves.steps);
    let in_steps = curves.in_steps || knows_steps && epochs < 1.0;
    let length = if in_steps { curves.steps as f64 } else { epochs };
    let (one, many) = if in_steps { ("step", "steps") } else { ("epoch", "epochs") };
    let mut marks = vec!['─'; WIDTH];
    let mut labels = String::new();
    for quarter in 0..4 {
        let column = quarter * WIDTH / 4;
        marks[column] = '┴';
        let label = trimmed(length * quarter as f64 / 4.0, 2);
        labels.push_str(&format!("{label:<width$}", width = WIDTH / 4));
    }
    let marks: String = marks.into_iter().collect();
    let blank = " ".repeat(MARGIN);
    let (end, unit) = (trimmed(length, 2), agreeing(&length, one, many));
    format!("{blank} └{marks}\n{blank}  {labels}{end} {unit}\n")
}
