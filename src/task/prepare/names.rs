//! Matches the label names of data and model, for tasks whose labels are named by both.

use crate::diag::{Code, Diagnostic, nearest};
use crate::params::BertConfig;

/// The labels of a data set.
pub(super) struct DataLabels<'a> {
    /// In order: those declared, else those of the training data.
    pub(super) known: &'a [String],
    /// Every label that occurs.
    pub(super) occurring: &'a [String],
    /// The word for a label in messages.
    pub(super) word: &'static str,
}

impl DataLabels<'_> {
    /// Whether every label is a whole number.
    pub(super) fn is_numbered(&self) -> bool {
        self.occurring.iter().all(|label| label.parse::<usize>().is_ok())
    }

    /// Whether the labels are names of a model's outputs, or their indices.
    fn fit(&self, names: &[String]) -> bool {
        let is_index = |label: &String| label.parse::<usize>().is_ok_and(|number| number < names.len());
        self.occurring.iter().all(|label| names.contains(label)) || self.occurring.iter().all(is_index)
    }

    /// The number of outputs that the data needs of a model with this configuration.
    pub(super) fn count(&self, config: Option<&BertConfig>) -> usize {
        let of_model = config.and_then(BertConfig::labels).filter(|names| self.fit(names));
        of_model.map_or(self.known.len(), |names| names.len())
    }

    /// The names of a model's outputs, if the labels are among them. `None` if the outputs are to get the labels of the
    /// data.
    ///
    /// # Errors
    /// Labels that the model does not have.
    pub(super) fn of_model(
        &self,
        config: &BertConfig,
        new_head: bool,
        notes: &mut Vec<String>,
    ) -> Result<Option<Vec<String>>, Diagnostic> {
        let Some(names) = config.labels() else { return Ok(None) };
        if self.fit(&names) {
            if self.by_index(&names) {
                let pairs = names.iter().enumerate().map(|(i, name)| format!("{i} is {name}"));
                notes.push(format!(
                    "{}s are class indices: {}",
                    self.word,
                    pairs.collect::<Vec<_>>().join(", ")
                ));
            }
            return Ok(Some(names));
        }
        if new_head {
            return Ok(None);
        }
        let lost = self.occurring.iter().find(|label| !names.contains(label)).map_or("", String::as_str);
        let near = nearest(lost, names.iter().map(String::as_str));
        let near = near.map(|near| format!("the nearest is `{near}`; ")).unwrap_or_default();
        let (word, shown) = (self.word, names.join(", "));
        let message = format!("the data has the {word} `{lost}`; the model's labels are {shown}");
        Err(Diagnostic::unlocated(Code::LabelsDiffer, message)
            .help(format!("{near}give a model that was trained for this data, or one without a classifier")))
    }

    /// Whether the labels are indices of these names.
    fn by_index(&self, names: &[String]) -> bool {
        self.is_numbered() && !names.iter().any(|name| self.occurring.contains(name))
    }

    /// The index of a label, by name or by number.
    pub(super) fn number(&self, label: &str, names: &[String]) -> Option<usize> {
        let by_number = || label.parse::<usize>().ok().filter(|n| self.by_index(names) && *n < names.len());
        names.iter().position(|name| name == label).or_else(by_number)
    }

    /// The note for a model whose outputs have no names: they get the data's labels, in order.
    pub(super) fn unnamed(&self) -> String {
        format!(
            "the model's outputs have no names; they are taken to be {}, in this order (`labels` gives another)",
            self.known.join(", ")
        )
    }
}
