//! Bars on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::eta::Eta;
use crate::diag::Diagnostic;
use crate::engine::events::{Event, Observer, Work};
use crate::output::figures::{duration, metric, percent, title};
use crate::output::log::RunLog;
use crate::output::tensorboard::Board;
use crate::task::data::cache::Making;

/// Shows a run while it goes and writes its log.
pub struct Watcher {
    log: Option<RunLog>,
    board: Option<Board>,
    eta: Option<Eta>,
    quiet: bool,
    bar: Option<(String, ProgressBar)>,
    loss: Option<f64>,
    lr: f64,
    sparsity: f64,
    line: Line,
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
            log: None,
            board: None,
            eta: None,
            quiet,
            bar: None,
            loss: None,
            lr: 0.0,
            sparsity: 0.0,
            line,
            stop: None,
        }
    }

    /// The same that writes a log, and TensorBoard's files if there is a board.
    pub fn recording(mut self, log: RunLog, board: Option<Board>) -> Self {
        (self.log, self.board) = (Some(log), board);
        self
    }

    /// The same that says how long the run will still take.
    pub fn with_eta(mut self, eta: Eta) -> Self {
        self.eta = Some(eta);
        self
    }

    /// The same that wants to stop once a flag is set.
    pub fn stopping(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    fn print_line(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        self.close();
        eprintln!("{text}");
    }

    fn close(&mut self) {
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
        if let Some(log) = &mut self.log {
            log.append(event)?;
        }
        if let Some(board) = &mut self.board {
            board.append(event)?;
        }
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

    fn wants_to_stop(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::SeqCst))
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        if self.quiet {
            return;
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

/// Makes features while a bar shows how far it is.
pub fn with_progress<R>(cache: Option<PathBuf>, quiet: bool, make: impl FnOnce(&mut Making) -> R) -> R {
    let watcher = Mutex::new(Watcher::new(quiet));
    let progress = |done: usize, total: usize| {
        // Whoever finds the bar in use has nothing newer to tell.
        if let Ok(mut watcher) = watcher.try_lock() {
            watcher.progress(Work::Features, done as u64, total as u64);
        }
    };
    make(&mut Making::new(cache, &progress))
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.close();
    }
}
