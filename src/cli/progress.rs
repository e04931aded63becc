//! Progress of a run: a bar on a terminal, lines elsewhere.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::eta::Eta;
use super::fetching::Fetching;
use super::{eprint, print_diagnostics, stop};
use crate::diag::{Diagnostic, Sources, counted};
use crate::engine::events::{Event, Observer, Work};
use crate::engine::trial_outcome::TrialOutcome;
use crate::output::numbers::{duration, metric, percent, title};
use crate::runlog::WarningKind;
use crate::schedule::Schedule;
use crate::task::metric::Metrics;

/// An observer that prints events and progress.
pub struct Watcher {
    fetching: Fetching,
    /// Whether the remaining time is shown.
    estimates: bool,
    eta: Option<Eta>,
    quiet: bool,
    bar: Option<(String, ProgressBar)>,
    loss: Option<f64>,
    lr: f64,
    sparsity: f64,
    line: Line,
    /// The words of the message that say when a run stops after it was asked to, such as `before the next step`; `None`
    /// if it cannot be stopped.
    stops: Option<&'static str>,
    stop: Option<Arc<AtomicBool>>,
    /// When the present pruning event began, and the number of its gradients that were done then.
    event: Option<(Instant, u64)>,
    /// The kinds of warnings whose help was printed.
    helped: BTreeSet<WarningKind>,
}

/// Without a terminal a line is printed after each percent of the work, but not more often than this.
const SHORTEST: Duration = Duration::from_secs(10);
/// The longest time between two lines.
const LONGEST: Duration = Duration::from_secs(60);

/// The last progress line that was printed.
struct Line {
    at: Instant,
    hundredth: u64,
}

impl Watcher {
    /// A watcher; `quiet` prints warnings alone.
    pub fn new(quiet: bool) -> Self {
        let line = Line { at: Instant::now(), hundredth: 0 };
        Watcher {
            fetching: Fetching::default(),
            estimates: false,
            eta: None,
            quiet,
            bar: None,
            loss: None,
            lr: 0.0,
            sparsity: 0.0,
            line,
            stops: None,
            stop: None,
            event: None,
            helped: BTreeSet::new(),
        }
    }

    /// Shows the remaining time.
    pub fn estimating(mut self) -> Self {
        self.estimates = true;
        self
    }

    /// Lets a run stop on SIGINT, SIGTERM and SIGHUP; the message says `when` it stops.
    pub fn stopping(mut self, when: &'static str) -> Self {
        self.stops = Some(when);
        self
    }

    /// Installs the handler of these signals, if the run can be stopped.
    pub fn handle_stop(&mut self) {
        self.stop = self.stops.map(stop::on_request);
    }

    fn print_line(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        self.close();
        for line in text.lines() {
            eprintln!("{}", wrapped(line));
        }
    }

    fn close(&mut self) {
        self.fetching.close();
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// The title of a kind of work, and its numbers, the most important first.
    fn describe(&self, work: Work) -> (String, Vec<String>) {
        let left = self.eta.as_ref().and_then(Eta::left).map(|left| left.words());
        match work {
            Work::Training(stage) => {
                let speed = self.eta.as_ref().and_then(|eta| eta.speed(stage));
                let parts = [
                    self.loss.map(|loss| format!("loss {loss:.3}")),
                    left,
                    (self.sparsity > 0.0).then(|| format!("sparsity {}", percent(self.sparsity))),
                    Some(format!("lr {:.1e}", self.lr)),
                    speed.map(|s| format!("{s:.0} samples/s")),
                ];
                (format!("{stage}: training"), parts.into_iter().flatten().collect())
            }
            Work::Fetching { file, .. } => (file.to_owned(), Vec::new()),
            Work::Features => ("tokenizing".to_owned(), Vec::new()),
            Work::Gradients(stage) => (format!("{stage}: gradients"), left.into_iter().collect()),
            Work::Scoring(stage) => (format!("{stage}: saliencies"), left.into_iter().collect()),
            Work::Updating(stage) => (format!("{stage}: pruning update"), left.into_iter().collect()),
            Work::Candidates(stage) => (format!("{stage}: candidate updates"), left.into_iter().collect()),
            Work::Reconstructing(stage) => (format!("{stage}: reconstruction"), left.into_iter().collect()),
            Work::Calibrating(stage) => (format!("{stage}: calibration"), Vec::new()),
            Work::Evaluating(stage) => (format!("{stage}: evaluation"), left.into_iter().collect()),
        }
    }

    /// Passes the progress of a pruning event to the estimate of the remaining time.
    fn note_event(&mut self, work: Work, done: u64) {
        let Some(eta) = &mut self.eta else { return };
        match work {
            Work::Gradients(stage) => {
                let (began, first) = *self.event.get_or_insert((Instant::now(), done));
                eta.gradients(stage, done - first.min(done), began.elapsed().as_secs_f64());
            }
            Work::Scoring(_) | Work::Updating(_) | Work::Candidates(_) | Work::Reconstructing(_) => {
                let (began, _) = *self.event.get_or_insert((Instant::now(), 0));
                eta.in_event(began.elapsed().as_secs_f64());
            }
            _ => {}
        }
    }

    /// Whether a progress line is due.
    fn line_is_due(&mut self, done: u64, total: u64) -> bool {
        let hundredth = done * 100 / total.max(1);
        let since = self.line.at.elapsed();
        let due = since >= LONGEST || (since >= SHORTEST && hundredth != self.line.hundredth);
        if due {
            self.line = Line { at: Instant::now(), hundredth };
        }
        due
    }

    fn update_eta(&mut self, event: &Event) {
        let Some(eta) = &mut self.eta else { return };
        match event {
            Event::RunStarted(e) if e.weights > 0 && e.device.to_lowercase().contains("flex") => {
                eta.estimate(e.weights, std::thread::available_parallelism().map_or(1, usize::from));
            }
            Event::StageStarted(e) => eta.begin(&e.stage, e.steps_per_epoch),
            Event::Step(e) => eta.stepped(&e.stage, e.step, e.seconds.unwrap_or(0.0)),
            Event::Pruned(e) => {
                self.event = None;
                eta.pruned(&e.stage, e.step, e.seconds);
            }
            Event::Evaluated(e) => eta.evaluated(&e.stage, e.step, e.seconds),
            Event::StageFinished(e) => eta.finished(&e.stage),
            _ => {}
        }
    }
}

impl Observer for Watcher {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.update_eta(event);
        match event {
            Event::StageStarted(started) => {
                self.loss = None;
                self.sparsity = 0.0;
                let kind = if started.branch { "branch" } else { "stage" };
                let length = match started.steps {
                    0 => String::new(),
                    steps => format!(", {}", counted(steps, "step", "steps")),
                };
                let left = self.eta.as_ref().and_then(Eta::left);
                let left = left.map_or(String::new(), |left| format!(", {}", left.words()));
                self.print_line(&format!("{kind} {}{length}{left}", started.stage));
            }
            Event::Step(step) => {
                // A running mean: the loss of single batches varies.
                let loss = step.loss.unwrap_or(f64::NAN);
                self.loss = Some(self.loss.map_or(loss, |mean| 0.95 * mean + 0.05 * loss));
                self.lr = step.lr.unwrap_or(f64::NAN);
            }
            Event::Pruned(pruned) => {
                self.sparsity = pruned.sparsity;
                let damp =
                    pruned.raised_damp.map_or(String::new(), |damp| format!(", damp raised to {damp:e}"));
                let error = match pruned.output_errors[..] {
                    [before, after] => {
                        format!(", output error {:.1}% -> {:.1}%", 100.0 * before, 100.0 * after)
                    }
                    _ => String::new(),
                };
                self.print_line(&format!(
                    "  at {} pruned {} to {:.2}% in {}{damp}{error}",
                    pruned.at,
                    counted(pruned.parameters, "weight matrix", "weight matrices"),
                    pruned.sparsity * 100.0,
                    duration(pruned.seconds)
                ));
            }
            Event::Quantized(quantized) => {
                let activations = quantized.activation_bits.map_or(String::new(), |bits| {
                    let tensors = counted(quantized.activations, "activation tensor", "activation tensors");
                    format!(" and {tensors} to {bits}")
                });
                let after = match quantized.calibrated {
                    0 => String::new(),
                    n => format!(", after {} of calibration", counted(n, "batch", "batches")),
                };
                let (at, bits) = (&quantized.at, quantized.weight_bits);
                let weights = counted(quantized.weights, "weight tensor is", "weight tensors are");
                self.print_line(&format!(
                    "  from {at} on {weights} quantized to {bits} bits{activations}{after}"
                ));
            }
            Event::RangesFixed(fixed) => {
                self.print_line(&format!(
                    "  before step {} the observers of {} are frozen",
                    fixed.step,
                    counted(fixed.tensors, "tensor", "tensors")
                ));
            }
            Event::Evaluated(evaluated) => {
                let figures: Vec<String> = evaluated
                    .metrics
                    .iter()
                    .map(|(name, value)| {
                        format!("{} {}", title(name), metric(name, value.unwrap_or(f64::NAN)))
                    })
                    .collect();
                self.print_line(&format!("  before step {}: {}", evaluated.step, figures.join(", ")));
            }
            Event::Warning(warning) => {
                self.print_line(&format!("warning: {}: {}", warning.stage, warning.message));
                self.print_line(&format!("  help: {}", warning.help));
            }
            Event::Kept(kept) => {
                let metric = kept.metric.to_uppercase();
                self.print_line(&format!(
                    "  best checkpoint: before step {}, {metric} {:.1}",
                    kept.step, kept.value
                ));
            }
            _ => {}
        }
        Ok(())
    }

    fn planned(&mut self, schedule: &Schedule, limit_steps: Option<u64>) {
        self.eta = self.estimates.then(|| Eta::new(schedule, limit_steps));
        self.handle_stop();
    }

    fn note(&mut self, text: &str) {
        self.print_line(&format!("note: {text}"));
    }

    fn important_note(&mut self, text: &str) {
        self.close();
        eprint(&format!("note: {text}\n"));
    }

    fn warnings(&mut self, warnings: &[Diagnostic], sources: &Sources) {
        if !warnings.is_empty() {
            self.close();
            print_diagnostics(warnings, sources);
        }
    }

    fn trial(&mut self, settings: &str, done: usize, total: usize, outcome: &TrialOutcome) {
        if done == 0 {
            self.handle_stop();
        }
        let number = if done == 0 { String::new() } else { format!("{done}/{total} ") };
        let sparsity = percent(outcome.sparsity);
        let quantized = outcome.quantized.as_ref();
        let quantized = quantized.map_or(String::new(), |m| format!(", quantized {}", metrics(m)));
        let damp = outcome.raised_damp.map_or(String::new(), |damp| format!(", damp raised to {damp:e}"));
        let shortened: Vec<String> = outcome.step_sizes.iter().map(f64::to_string).collect();
        let steps = match outcome.step_sizes.iter().all(|size| *size == 1.0) {
            true => String::new(),
            false => format!(", step size of the update {}", shortened.join(" ")),
        };
        self.print_line(&format!(
            "  {number}{settings} at {sparsity}: {}{quantized}{damp}{steps} ({})",
            metrics(&outcome.metrics),
            duration(outcome.seconds)
        ));
        for warning in &outcome.warnings {
            self.print_line(&format!("warning: {settings} at {sparsity}: {}", warning.message));
            if self.helped.insert(warning.kind) {
                self.print_line(&format!("  help: {}", warning.help));
            }
        }
    }

    fn wants_to_stop(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::SeqCst))
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        if self.quiet {
            return;
        }
        if let Work::Fetching { file, model } = work {
            return self.fetching.show(file, model, done, total);
        }
        self.note_event(work, done);
        if !std::io::stderr().is_terminal() {
            if self.line_is_due(done, total) {
                let (title, parts) = self.describe(work);
                eprintln!("{}", fitted(&title, done, total, &parts));
            }
            return;
        }
        let (title, parts) = self.describe(work);
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != title) {
            self.close();
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("  {prefix} {bar:12} {pos}/{len}  {wide_msg}") {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(title.clone());
            self.bar = Some((title, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(total);
            bar.set_message(parts.join("  "));
            bar.set_position(done);
            if done == total {
                self.close();
            }
        }
    }
}

/// `EM 41.70, F1 52.03`.
fn metrics(metrics: &Metrics) -> String {
    let shown = metrics.iter().map(|(name, value)| format!("{} {value:.2}", title(name)));
    shown.collect::<Vec<_>>().join(", ")
}

/// Columns of the narrowest terminal.
const COLUMNS: usize = 80;

/// A progress line that fits into the terminal: as many parts as fit, in their order.
fn fitted(title: &str, done: u64, total: u64, parts: &[String]) -> String {
    let counts = format!(" {done}/{total}");
    let room = COLUMNS - 3 - counts.len();
    let mut line = match title.chars().count() > room {
        true => format!("  {}…{counts}", title.chars().take(room - 1).collect::<String>()),
        false => format!("  {title}{counts}"),
    };
    for part in parts {
        if line.chars().count() + 2 + part.chars().count() < COLUMNS {
            line.push_str("  ");
            line.push_str(part);
        }
    }
    line
}

/// A line wrapped between words to the width of a terminal.
fn wrapped(line: &str) -> String {
    let indent = line.len() - line.trim_start().len() + 2;
    let indent = " ".repeat(indent);
    textwrap::fill(line, textwrap::Options::new(COLUMNS - 1).subsequent_indent(&indent))
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_progress_is_wider_than_a_terminal_and_the_first_parts_stay() {
        let parts = ["loss 0.123", "1h 02m left", "sparsity 80.0%", "lr 8.0e-5", "1234 samples/s"];
        let parts = parts.map(str::to_owned);
        for length in [1, 20, 40, 90] {
            let line = fitted(&"é".repeat(length), 123_456, 1_234_567, &parts);
            assert!(line.chars().count() < COLUMNS, "{line}");
            assert!(line.contains(" 123456/1234567"), "{line}");
        }
        let line = fitted("gradual: training", 12, 100, &parts);
        assert_eq!(line, "  gradual: training 12/100  loss 0.123  1h 02m left  sparsity 80.0%  lr 8.0e-5");
    }

    #[test]
    fn sentences_wrap_between_words_with_an_indent() {
        let text = format!("  help: {}", "word ".repeat(40));
        let lines: Vec<String> = wrapped(&text).lines().map(str::to_owned).collect();
        assert!(lines.len() > 2 && lines.iter().all(|l| l.chars().count() < COLUMNS));
        assert!(lines[1].starts_with("    word"), "{lines:?}");
        assert_eq!(wrapped("  short"), "  short");
    }
}
