//! Matches the labels of the data with the logits of a model: by name, by number, or by order.

use crate::diag::{Code, Diagnostic, nearest};
use crate::params::BertConfig;
use crate::task::data::labelled::Labelled;

/// The logits of a model, with the label of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outputs {
    /// Their label names, in order (`id2label`).
    pub(super) names: Vec<String>,
    matching: Matching,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matching {
    /// A label of the data is a label name in any case, or an index in the known label order of MNLI or QQP.
    Name,
    /// A label of the data is the index of a logit.
    Number,
    /// The logits are those of these labels of the data, in order.
    Order(Vec<String>),
}

impl Outputs {
    /// The number of logits that the data needs of a model with this configuration.
    pub(super) fn count(raw: &Labelled, config: Option<&BertConfig>) -> usize {
        let evaluates = raw.train.is_empty();
        match config.and_then(BertConfig::labels) {
            Some(names) if evaluates || matching(raw, &names).is_some() => names.len(),
            Some(_) => raw.labels.len(),
            None => match config.and_then(placeholders) {
                Some(count) if evaluates && are_numbers_below(raw, count) => count,
                _ => raw.labels.len(),
            },
        }
    }

    /// Matches the labels of data and model. `new_head` says that the model's classifier is new.
    ///
    /// # Errors
    /// Labels that the model does not have, or training data with a single label.
    pub(super) fn of(
        raw: &Labelled,
        config: &BertConfig,
        new_head: bool,
        notes: &mut Vec<String>,
    ) -> Result<Self, Diagnostic> {
        let known = raw.labels.clone();
        let alike = |label: &str| {
            Diagnostic::unlocated(Code::DataEmpty, format!("every row has the label `{label}`"))
                .help("there is nothing to tell apart; is it the column of the labels?")
        };
        let first = known.first().map_or("", String::as_str);
        if !raw.train.is_empty() && known.len() < 2 {
            return Err(alike(first));
        }
        let Some(names) = config.labels() else {
            let outputs = Outputs { names: unnamed(raw, config, new_head, notes), matching: Matching::Name };
            return if outputs.names.len() < 2 { Err(alike(first)) } else { Ok(outputs) };
        };
        match matching(raw, &names) {
            Some(matching) => {
                let outputs = Outputs { names, matching };
                notes.extend(outputs.note());
                Ok(outputs.renamed())
            }
            None if new_head => Ok(Outputs { names: known, matching: Matching::Name }),
            None => Err(differ(&names, &raw.occurring, raw)),
        }
    }

    /// The index of the logit of a label.
    pub(super) fn number(&self, raw: &Labelled, label: &str) -> Option<usize> {
        match &self.matching {
            Matching::Name => raw.layout.number(label, &self.names),
            Matching::Number => label.parse().ok().filter(|number| *number < self.names.len()),
            Matching::Order(labels) => labels.iter().position(|l| l.eq_ignore_ascii_case(label)),
        }
    }

    /// The positive label for F1: the one asked for, otherwise the second of two. `None` with more labels.
    ///
    /// # Errors
    /// An unknown label.
    pub(super) fn positive(
        &self,
        raw: &Labelled,
        asked: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<Option<usize>, Diagnostic> {
        let named = |label: &str| {
            let by_name = || self.names.iter().position(|name| name.eq_ignore_ascii_case(label));
            self.number(raw, label).or_else(by_name)
        };
        if let Some(label) = asked {
            return named(label).map(Some).ok_or_else(|| {
                let near = nearest(label, self.names.iter().map(String::as_str));
                let near = near.map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                Diagnostic::unlocated(
                    Code::LabelUnknown,
                    format!("`positive` is `{label}`, which is no label"),
                )
                .help(format!("{near}the labels are {}", self.names.join(", ")))
            });
        }
        let [negative, _] = self.names.as_slice() else { return Ok(None) };
        let second = raw.labels.get(1).and_then(|label| self.number(raw, label)).unwrap_or(1);
        if !raw.layout.numbered {
            let (positive, other) = match second {
                1 => (&self.names[1], negative),
                _ => (negative, &self.names[1]),
            };
            notes.push(format!(
                "F1 is that of `{positive}`; for that of `{other}` say `classify(…, positive: \"{other}\")`, or `eval --positive {other}`"
            ));
        }
        Ok(Some(second))
    }

    /// Takes the label names that the recipe declares, so that the saved model has them.
    fn renamed(self) -> Self {
        match self.matching {
            Matching::Order(names) => Outputs { names, matching: Matching::Name },
            _ => self,
        }
    }

    /// The note on how labels were matched, unless by name.
    fn note(&self) -> Option<String> {
        let pairs = |labels: &mut dyn Iterator<Item = String>| {
            let pairs = labels.zip(&self.names).map(|(label, name)| format!("{label} is {name}"));
            pairs.collect::<Vec<_>>().join(", ")
        };
        match &self.matching {
            Matching::Name => None,
            Matching::Number => {
                let pairs = pairs(&mut (0..self.names.len()).map(|i| i.to_string()));
                Some(format!("labels are class indices: {pairs}"))
            }
            Matching::Order(labels) => {
                let pairs = pairs(&mut labels.iter().cloned());
                Some(format!("`labels` are the model's outputs in this order: {pairs}"))
            }
        }
    }
}

/// How the labels that occur match the label names of a model, if they do.
fn matching(raw: &Labelled, names: &[String]) -> Option<Matching> {
    let (occurring, layout) = (&raw.occurring, &raw.layout);
    if occurring.iter().all(|label| layout.number(label, names).is_some()) {
        return Some(Matching::Name);
    }
    if layout.numbered {
        return None;
    }
    if !layout.labels.is_empty() {
        return (layout.labels.len() == names.len()).then(|| Matching::Order(layout.labels.clone()));
    }
    are_numbers_below(raw, names.len()).then_some(Matching::Number)
}

fn are_numbers_below(raw: &Labelled, count: usize) -> bool {
    raw.occurring.iter().all(|label| label.parse::<usize>().is_ok_and(|number| number < count))
}

/// The number of labels in `id2label`, where they are placeholders such as `LABEL_0`.
fn placeholders(config: &BertConfig) -> Option<usize> {
    config.rest.get("id2label").and_then(|names| Some(names.as_object()?.len()))
}

/// The label names for a model that has none.
fn unnamed(raw: &Labelled, config: &BertConfig, new_head: bool, notes: &mut Vec<String>) -> Vec<String> {
    let known = raw.labels.clone();
    if new_head {
        return known;
    }
    let count = placeholders(config).filter(|_| raw.train.is_empty()).unwrap_or(known.len());
    if raw.layout.labels.is_empty() && are_numbers_below(raw, count) {
        return (0..count).map(|i| i.to_string()).collect();
    }
    notes.push(format!(
        "the model's outputs have no names; they are taken to be {}, in this order (`labels` gives another)",
        known.join(", ")
    ));
    known
}

fn differ(model: &[String], data: &[String], raw: &Labelled) -> Diagnostic {
    let message = format!("the model's labels are {}, the data's {}", shown(model), shown(data));
    let error = Diagnostic::unlocated(Code::LabelsDiffer, message);
    if model.len() != data.len() || raw.layout.numbered {
        return error.help("give a model that was trained for this data, or one without a classifier");
    }
    let quoted: Vec<String> = data.iter().map(|l| format!("\"{l}\"")).collect();
    error.help(format!(
        "if they mean the same, list the data's in the order of the model's: `classify(…, labels: [{}])`, or `eval --labels {}`; else give a model without a classifier",
        quoted.join(", "),
        data.join(",")
    ))
}

fn shown(labels: &[String]) -> String {
    const SHOWN: usize = 10;
    match labels.len() {
        n if n > SHOWN => format!("{} and {} more", labels[..SHOWN].join(", "), n - SHOWN),
        _ => labels.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::BertShape;
    use crate::schedule::ir::Columns;
    use crate::task::data::labelled::{DevSet, Example};
    use crate::task::data::layout::Layout;

    fn examples(labels: &[&str]) -> Vec<Example> {
        let example = |label: &&str| Example { text: "x".into(), pair: None, label: (*label).to_owned() };
        labels.iter().map(example).collect()
    }

    fn data(train: &[&str], dev: &[&str], declared: &[&str]) -> Labelled {
        let columns = Columns {
            text: "text".into(),
            pair: None,
            label: "label".into(),
            labels: declared.iter().map(|l| (*l).to_owned()).collect(),
            max_length: 9,
            positive: None,
        };
        let dev = vec![DevSet { suffix: "", examples: examples(dev) }];
        Labelled::new(Layout::columns(&columns), examples(train), dev)
    }

    fn model(names: &[&str]) -> BertConfig {
        let shape =
            BertShape { vocab: 9, hidden: 8, layers: 1, heads: 1, intermediate: 8, positions: 9, types: 2 };
        let mut config = BertConfig::new(shape);
        config.set_labels(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        config
    }

    fn numbers(raw: &Labelled, config: &BertConfig) -> (Vec<Option<usize>>, Vec<String>) {
        let mut notes = Vec::new();
        assert_eq!(
            Outputs::count(raw, Some(config)),
            Outputs::of(raw, config, false, &mut notes).unwrap().names.len()
        );
        notes.clear();
        let outputs = Outputs::of(raw, config, false, &mut notes).unwrap();
        (raw.occurring.iter().map(|label| outputs.number(raw, label)).collect(), notes)
    }

    #[test]
    fn labels_match_by_name_in_any_order_and_case() {
        let config = model(&["POS", "NEG", "OTHER"]);
        for raw in [data(&["neg", "pos"], &["neg"], &[]), data(&[], &["neg", "pos"], &[])] {
            let (numbers, notes) = numbers(&raw, &config);
            assert_eq!(numbers, [Some(1), Some(0)]);
            assert!(notes.is_empty());
        }
    }

    #[test]
    fn numbers_are_those_of_the_outputs() {
        let config = model(&["NEGATIVE", "POSITIVE"]);
        for raw in [data(&["0", "1"], &["1"], &[]), data(&[], &["0", "1"], &[])] {
            let (numbers, notes) = numbers(&raw, &config);
            assert_eq!(numbers, [Some(0), Some(1)]);
            assert!(notes[0].contains("0 is NEGATIVE, 1 is POSITIVE"), "{notes:?}");
        }
    }

    #[test]
    fn other_names_are_refused_until_they_are_listed_in_the_models_order() {
        let config = model(&["NEGATIVE", "POSITIVE"]);
        let raw = data(&[], &["neg", "pos"], &[]);
        let error = Outputs::of(&raw, &config, false, &mut Vec::new()).unwrap_err();
        assert_eq!(error.code, Code::LabelsDiffer);
        assert!(error.help.unwrap().contains("labels: [\"neg\", \"pos\"]"));
        let (numbers, notes) = numbers(&data(&[], &["neg", "pos"], &["pos", "neg"]), &config);
        assert_eq!(numbers, [Some(1), Some(0)]);
        assert!(notes[0].contains("pos is NEGATIVE, neg is POSITIVE"), "{notes:?}");
        let more = data(&[], &["0", "1", "2"], &[]);
        assert!(Outputs::of(&more, &config, false, &mut Vec::new()).is_err(), "there is no output 2");
        let new = Outputs::of(&data(&["a", "b", "c"], &["a"], &[]), &config, true, &mut Vec::new()).unwrap();
        assert_eq!(new.names, ["a", "b", "c"], "a new classifier has the labels of the data");
    }

    #[test]
    fn outputs_without_names_are_numbered_or_taken_in_the_order_of_the_data_which_is_said() {
        let config = model(&["LABEL_0", "LABEL_1", "LABEL_2"]);
        let (numbers_, notes) = numbers(&data(&[], &["2", "0"], &[]), &config);
        assert_eq!(numbers_, [Some(0), Some(2)]);
        assert!(notes.is_empty());
        let (numbers_, notes) = numbers(&data(&[], &["b", "c", "a"], &[]), &config);
        assert_eq!(numbers_, [Some(0), Some(1), Some(2)]);
        assert!(notes[0].contains("taken to be a, b, c"), "{notes:?}");
    }

    #[test]
    fn the_positive_label_is_the_second_of_two_or_the_one_asked_for() {
        let raw = data(&["fraud", "legit"], &["legit"], &[]);
        let outputs = Outputs::of(&raw, &model(&["legit", "fraud"]), false, &mut Vec::new()).unwrap();
        let mut notes = Vec::new();
        assert_eq!(outputs.positive(&raw, None, &mut notes).unwrap(), Some(0));
        assert!(notes[0].contains("F1 is that of `legit`") && notes[0].contains("positive: \"fraud\""));
        notes.clear();
        assert_eq!(outputs.positive(&raw, Some("fraud"), &mut notes).unwrap(), Some(1));
        assert!(notes.is_empty());
        let error = outputs.positive(&raw, Some("fruad"), &mut notes).unwrap_err();
        assert!(error.help.unwrap().contains("did you mean `fraud`?"));
        let three = data(&["a", "b", "c"], &["a"], &[]);
        let outputs = Outputs::of(&three, &model(&["a", "b", "c"]), false, &mut Vec::new()).unwrap();
        assert_eq!(outputs.positive(&three, None, &mut notes).unwrap(), None);
    }
}
