//! The quality gate of `obertc pack`: an export that is worse than its model by more than a limit is refused.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::eval::eval;
use super::eval_config::{EvalConfig, EvalReport};
use crate::diag::{Code, Diagnostic};
use crate::engine::events::Observer;
use crate::output::numbers::{metric, percent, title};
use crate::params::Settings;
use crate::task::metric::{Metrics, less_is_better, main_metric};

/// The model's metrics on dev data, and how much worse its export may be.
#[derive(Debug)]
pub(crate) struct QualityGate {
    evaluation: EvalConfig,
    model: EvalReport,
    most: f64,
}

impl QualityGate {
    /// Evaluates the model. `most` is the greatest relative drop of the main metric, such as 0.01.
    ///
    /// # Errors
    /// Those of [`eval`].
    pub(crate) fn new(
        model: &Path,
        data: Option<PathBuf>,
        settings: Settings,
        most: f64,
        observer: &mut (impl Observer + Send),
    ) -> Result<Self, Error> {
        let mut evaluation = EvalConfig::new(model, data);
        evaluation.settings = settings;
        let model = eval(&evaluation, observer)?;
        Ok(QualityGate { evaluation, model, most })
    }

    /// Evaluates an export of the model, in place of which messages name `out`, and returns both values of the main
    /// metric in a sentence.
    ///
    /// # Errors
    /// Those of [`eval`]; a metric that is worse by more than the limit, or no number.
    pub(crate) fn check(
        &self,
        export: &Path,
        out: &Path,
        observer: &mut (impl Observer + Send),
    ) -> Result<String, Diagnostic> {
        let mut evaluation = self.evaluation.clone();
        evaluation.model = export.to_owned();
        let found = eval(&evaluation, observer).map_err(|error| {
            let first = error.diagnostics().first();
            let (code, why) =
                first.map_or((Code::QualityDropped, String::new()), |d| (d.code, d.message.clone()));
            Diagnostic::unlocated(
                code,
                format!("`{}` was not written, as its evaluation failed: {why}", out.display()),
            )
            .help("leave out `--data` and `--max-drop`, and evaluate the export with `obertc eval`")
        })?;
        let over = format!("over {} {}", found.examples, found.unit);
        compare(&self.model.metrics, &found.metrics, self.most).map(|text| format!("{text}, {over}")).map_err(
            |why| {
                let message = format!("`{}` was not written: its {why}", out.display());
                Diagnostic::unlocated(Code::QualityDropped, message).help(
                    "train with `quantize`, use another `--precision`, or allow more, as with `--max-drop 3%`",
                )
            },
        )
    }
}

/// Compares the main metric of an export with that of its model, in a sentence without a subject; `Err` if it is worse by
/// more than `most`, or no number.
fn compare(model: &Metrics, export: &Metrics, most: f64) -> Result<String, String> {
    let name = main_metric(model);
    let value_of = |metrics: &Metrics| metrics.get(name).copied().unwrap_or(f64::NAN);
    let (before, after) = (value_of(model), value_of(export));
    let change = relative_change(before, after);
    let drop = if less_is_better(name) { change } else { -change };
    let both =
        format!("{} is {}, that of the model {}", title(name), metric(name, after), metric(name, before));
    // A comparison with a value that is no number is false.
    if drop <= most {
        return Ok(both);
    }
    Err(format!("{both}: it may be worse by {}, and is worse by {}", percent(most), percent(drop)))
}

/// `(after − before) / |before|`; 0 for equal values.
fn relative_change(before: f64, after: f64) -> f64 {
    if before == after { 0.0 } else { (after - before) / before.abs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(name: &str, value: f64) -> Metrics {
        Metrics::from([("extra".to_owned(), 1.0), (name.to_owned(), value)])
    }

    fn compared(name: &str, before: f64, after: f64, most: f64) -> Result<String, String> {
        compare(&metrics(name, before), &metrics(name, after), most)
    }

    #[test]
    fn an_export_may_be_worse_by_a_share_of_the_main_metric() {
        assert_eq!(compared("f1", 64.9, 64.4, 0.01).unwrap(), "F1 is 64.4, that of the model 64.9");
        assert_eq!(
            compared("f1", 64.0, 60.8, 0.01).unwrap_err(),
            "F1 is 60.8, that of the model 64.0: it may be worse by 1.0%, and is worse by 5.0%"
        );
        assert!(compared("spearman", -0.5, -0.51, 0.01).is_err());
        assert!(compared("spearman", 0.5, 0.6, 0.0).is_ok());
        assert!(compared("loss", 1.0, 1.02, 0.01).is_err());
        assert!(compared("loss", 1.0, 0.5, 0.0).is_ok());
    }

    #[test]
    fn a_metric_that_is_no_number_is_worse_and_an_equal_one_never() {
        assert!(compared("f1", 50.0, f64::NAN, 1.0).is_err());
        assert!(compare(&metrics("f1", 50.0), &metrics("em", 50.0), 1.0).is_err());
        assert!(compared("f1", 0.0, 0.0, 0.0).is_ok());
        assert!(compared("spearman", 0.0, -0.1, 0.5).is_err());
    }
}
