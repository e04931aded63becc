//! What was measured, kept in a file.

use std::path::PathBuf;

use obert::internals::diag::{Code, Diagnostic};
use obert::internals::engine::gradient_sharing::Trial;
use obert::internals::engine::oneshot::Outcome;
use obert::internals::files::write_whole;
use obert::internals::task::metric::Metrics;
use serde_json::{Value, json};

/// The metrics of every way to prune a model that was tried.
pub struct Figures {
    path: PathBuf,
    identity: String,
    known: serde_json::Map<String, Value>,
}

impl Figures {
    /// What the file knows, if it is there.
    pub fn open(path: PathBuf, identity: &str) -> Result<Self, Vec<Diagnostic>> {
        let known = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| {
                let message = format!("`{}` is damaged: {e}; remove it", path.display());
                vec![Diagnostic::unlocated(Code::WriteFailed, message)]
            })?,
            Err(_) => serde_json::Map::new(),
        };
        Ok(Figures { path, identity: identity.into(), known })
    }

    /// The model's as it is.
    pub fn dense(&mut self, measure: impl FnOnce() -> Metrics) -> Result<Metrics, Vec<Diagnostic>> {
        if let Some(known) = self.known_dense() {
            return Ok(known);
        }
        let measured = measure();
        self.known.insert(self.dense_key(), json!(measured));
        self.write().map_err(|d| vec![d])?;
        Ok(measured)
    }

    /// The model's as it is, once that was measured.
    pub fn known_dense(&self) -> Option<Metrics> {
        self.known.get(&self.dense_key()).map(metrics)
    }

    fn dense_key(&self) -> String {
        format!("{} as it is", self.identity)
    }

    /// The model's that a trial gave.
    pub fn get(&self, trial: &Trial) -> Option<Outcome> {
        let known = self.known.get(&self.key(trial))?;
        Some(Outcome {
            sparsity: trial.sparsity,
            metrics: metrics(known),
            quantized: None,
            raised_damp: None,
            step_sizes: Vec::new(),
            seconds: 0.0,
        })
    }

    /// Keeps a measurement.
    pub fn put(&mut self, trial: &Trial, outcome: &Outcome) -> Result<(), Diagnostic> {
        self.known.insert(self.key(trial), json!(outcome.metrics));
        self.write()
    }

    fn key(&self, trial: &Trial) -> String {
        format!("{} by {:?} at {}", self.identity, trial.prune.by, trial.sparsity)
    }

    fn write(&self) -> Result<(), Diagnostic> {
        let folder = self.path.parent().unwrap_or(std::path::Path::new("."));
        obert::internals::files::output_folder(folder)?;
        write_whole(&self.path, format!("{:#}\n", json!(self.known)).as_bytes())
    }
}

fn metrics(value: &Value) -> Metrics {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(name, figure)| Some((name.clone(), figure.as_f64()?))).collect()
}
