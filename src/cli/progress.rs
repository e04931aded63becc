//! Bars on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::diag::Diagnostic;
use crate::engine::events::{Event, Observer, Work};
use crate::output::log::RunLog;
use crate::output::summary::duration;
use crate::task::data::cache::Making;

/// Shows a run while it goes and writes its log.
pub struct Watcher {
    log: Option<RunLog>,
    quiet: bool,
    bar: Option<(String, ProgressBar)>,
    loss: Option<f64>,
    lr: f64,
    sparsity: f64,
    line: Instant,
}

/// Without a terminal a line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Watcher {
    /// A watcher that writes `log`, if there is one.
    pub fn new(log: Option<RunLog>, quiet: bool) -> Self {
        Watcher { log, quiet, bar: None, loss: None, lr: 0.0, sparsity: 0.0, line: Instant::now() }
    }

    fn say(&mut self, text: &str) {
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
                let loss = self.loss.map_or(String::new(), |l| format!("loss {l:.3}  "));
                let sparsity = match self.sparsity {
                    0.0 => String::new(),
                    s => format!("  sparsity {:.1}%", s * 100.0),
                };
                (format!("{stage}: training"), format!("{loss}lr {:.1e}{sparsity}", self.lr))
            }
            Work::Features => ("features".to_owned(), String::new()),
            Work::Gradients(stage) => (format!("{stage}: gradients"), String::new()),
            Work::Evaluating(stage) => (format!("{stage}: measuring"), String::new()),
        }
    }
}

impl Observer for Watcher {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        if let Some(log) = &mut self.log {
            log.append(event)?;
        }
        match event {
            Event::StageStarted { stage, branch, steps, .. } => {
                self.loss = None;
                self.sparsity = 0.0;
                let kind = if *branch { "branch" } else { "stage" };
                let length = if *steps == 0 { String::new() } else { format!(", {steps} steps") };
                self.say(&format!("{kind} {stage}{length}"));
            }
            Event::Step { loss, lr, .. } => {
                // The bar shows a running mean: single batches jump.
                self.loss = Some(self.loss.map_or(*loss, |mean| 0.95 * mean + 0.05 * loss));
                self.lr = *lr;
            }
            Event::Pruned { at, parameters, sparsity, seconds, raised_damp, .. } => {
                self.sparsity = *sparsity;
                let damp = raised_damp.map_or(String::new(), |damp| format!(", damp raised to {damp:e}"));
                self.say(&format!(
                    "  at {at} pruned {parameters} parameters to {:.2}% in {}{damp}",
                    sparsity * 100.0,
                    duration(*seconds)
                ));
            }
            Event::Evaluated { step, metrics, .. } => {
                let figures: Vec<String> = metrics
                    .iter()
                    .map(|(name, value)| format!("{} {value:.1}", name.to_uppercase()))
                    .collect();
                self.say(&format!("  before step {step}: {}", figures.join(", ")));
            }
            Event::Kept { step, metric, value, .. } => {
                let metric = metric.to_uppercase();
                self.say(&format!("  kept as it was before step {step}: {metric} {value:.1}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn progress(&mut self, work: Work, done: u64, total: u64) {
        if self.quiet {
            return;
        }
        let (title, detail) = self.describe(work);
        if !std::io::stderr().is_terminal() {
            if self.line.elapsed() >= LINE_EVERY {
                self.line = Instant::now();
                eprintln!("  {title} {done}/{total}  {detail}");
            }
            return;
        }
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != title) {
            self.close();
            let bar = ProgressBar::new(total);
            let template = "  {prefix:28} {bar:30} {pos}/{len}  {msg}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
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
    let watcher = Mutex::new(Watcher::new(None, quiet));
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
