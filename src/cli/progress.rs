//! Bars on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::eta::Eta;
use super::fetching::Fetching;
use super::{eprint, print_diagnostics, stop};
use crate::diag::{Diagnostic, Sources};
use crate::engine::events::{Event, Observer, Work};
use crate::output::figures::{duration, metric, percent, title};
use crate::schedule::Schedule;

/// Shows a run while it goes.
pub struct Watcher {
    fetching: Fetching,
    /// Whether the remaining time of a run is estimated.
    estimates: bool,
    eta: Option<Eta>,
    quiet: bool,
    bar: Option<(String, ProgressBar)>,
    loss: Option<f64>,
    lr: f64,
    sparsity: f64,
    line: Line,
    /// When a run stops that is asked to, if it does.
    stops: Option<&'static str>,
    stop: Option<Arc<AtomicBool>>,
}

/// Without a terminal a line is printed with each hundredth of the work, but not more often than this.
const SHORTEST: Duration = Duration::from_secs(10);
/// Where a hundredth takes longer, a line is printed this often.
const LONGEST: Duration = Duration::from_secs(60);

/// The last line that was printed without a terminal.
struct Line {
    at: Instant,
    hundredth: u64,
}

impl Watcher {
    /// A watcher that writes nothing.
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
        }
    }

    /// The same that shows how long a run will still take.
    pub fn estimating(mut self) -> Self {
        self.estimates = true;
        self
    }

    /// The same that lets a run stop when the program is asked to: `when` is printed then.
    pub fn stopping(mut self, when: &'static str) -> Self {
        self.stops = Some(when);
        self
    }

    /// Handles Ctrl-C from now on, if it is to.
    pub fn handle_stop(&mut self) {
        self.stop = self.stops.map(stop::on_request);
    }

    fn print_line(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        self.close();
        eprintln!("{text}");
    }

    fn close(&mut self) {
        self.fetching.close();
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// What is being done, and how it goes.
    fn describe(&self, work: Work) -> (String, String) {
        match work {
            Work::Training(stage) => {
                let mut parts: Vec<String> = Vec::new();
                parts.extend(self.loss.map(|l| format!("loss {l:.3}")));
                parts.push(format!("lr {:.1e}", self.lr));
                if self.sparsity > 0.0 {
                    parts.push(format!("sparsity {}", percent(self.sparsity)));
                }
                let eta = self.eta.as_ref();
                let speed = eta.and_then(|f| f.speed(stage));
                parts.extend(speed.map(|s| format!("{s:.0} samples/s")));
                parts.extend(eta.and_then(Eta::left).map(|l| l.words()));
                (format!("{stage}: training"), parts.join("  "))
            }
            Work::Fetching { file, .. } => (file.to_owned(), String::new()),
            Work::Features => ("features".to_owned(), String::new()),
            Work::Gradients(stage) => (format!("{stage}: gradients"), String::new()),
            Work::Calibrating(stage) => (format!("{stage}: calibrating"), String::new()),
            Work::Evaluating(stage) => (format!("{stage}: measuring"), String::new()),
        }
    }

    /// Whether it is time for a line.
    fn line_is_due(&mut self, done: u64, total: u64) -> bool {
        let hundredth = done * 100 / total.max(1);
        let since = self.line.at.elapsed();
        let due = since >= LONGEST || (since >= SHORTEST && hundredth != self.line.hundredth);
        if due {
            self.line = Line { at: Instant::now(), hundredth };
        }
        due
    }

    fn foresee(&mut self, event: &Event) {
        let Some(eta) = &mut self.eta else { return };
        match event {
            Event::StageStarted(e) => eta.begin(&e.stage, e.steps_per_epoch),
            Event::Step(e) => eta.stepped(&e.stage, e.step, e.seconds.unwrap_or(0.0)),
            Event::Pruned(e) => eta.pruned(&e.stage, e.step, e.seconds),
            Event::Evaluated(e) => eta.evaluated(&e.stage, e.step, e.seconds),
            Event::StageFinished(e) => eta.finished(&e.stage),
            _ => {}
        }
    }
}

impl Observer for Watcher {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.foresee(event);
        match event {
            Event::StageStarted(started) => {
                self.loss = None;
                self.sparsity = 0.0;
                let kind = if started.branch { "branch" } else { "stage" };
                let length = match started.steps {
                    0 => String::new(),
                    steps => format!(", {steps} steps"),
                };
                self.print_line(&format!("{kind} {}{length}", started.stage));
            }
            Event::Step(step) => {
                // The bar shows a running mean: single batches jump.
                let loss = step.loss.unwrap_or(f64::NAN);
                self.loss = Some(self.loss.map_or(loss, |mean| 0.95 * mean + 0.05 * loss));
                self.lr = step.lr.unwrap_or(f64::NAN);
            }
            Event::Pruned(pruned) => {
                self.sparsity = pruned.sparsity;
                let damp =
                    pruned.raised_damp.map_or(String::new(), |damp| format!(", damp raised to {damp:e}"));
                self.print_line(&format!(
                    "  at {} pruned {} parameters to {:.2}% in {}{damp}",
                    pruned.at,
                    pruned.parameters,
                    pruned.sparsity * 100.0,
                    duration(pruned.seconds)
                ));
            }
            Event::Quantized(quantized) => {
                let activations = quantized.activation_bits.map_or(String::new(), |bits| {
                    format!(" and {} activations to {bits}", quantized.activations)
                });
                let after = match quantized.calibrated {
                    0 => String::new(),
                    n => format!(", after {n} batches of calibration"),
                };
                let (at, weights, bits) = (&quantized.at, quantized.weights, quantized.weight_bits);
                self.print_line(&format!(
                    "  from {at} on quantizes {weights} weights to {bits} bits{activations}{after}"
                ));
            }
            Event::RangesFixed(fixed) => {
                self.print_line(&format!(
                    "  before step {} fixed the ranges of {} tensors",
                    fixed.step, fixed.tensors
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
            Event::Kept(kept) => {
                let metric = kept.metric.to_uppercase();
                self.print_line(&format!(
                    "  best weights: those before step {}, {metric} {:.1}",
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
        if !std::io::stderr().is_terminal() {
            if self.line_is_due(done, total) {
                let (title, detail) = self.describe(work);
                eprintln!("  {title} {done}/{total}  {detail}");
            }
            return;
        }
        let (title, detail) = self.describe(work);
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != title) {
            self.close();
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("  {prefix:28} {bar:30} {pos}/{len}  {msg}") {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar.set_prefix(title.clone());
            self.bar = Some((title, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_length(total);
            bar.set_message(detail);
            bar.set_position(done);
            if done == total {
                self.close();
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.close();
    }
}
