//! Precision, recall and F1 of named entities, as seqeval computes them with `mode="strict"`.

use std::collections::BTreeMap;

use crate::task::data::tags::{Scheme, Tag};

use super::Metrics;

/// An entity of a sentence: the words `start..end`, and the index of its type.
pub type Entity = (usize, usize, usize);

/// The tags of a set of labels, for the extraction of entities.
#[derive(Clone, Debug)]
pub struct Tags {
    scheme: Scheme,
    /// Prefix and index of the type of each label.
    tags: Vec<(char, usize)>,
    kinds: Vec<String>,
}

/// The numbers of entities of a type: in both, predicted, and in the data.
#[derive(Clone, Copy, Default)]
struct Counts {
    both: usize,
    predicted: usize,
    gold: usize,
}

impl Tags {
    /// The tags of these labels; `None` if they mark no entities.
    pub fn of(labels: &[String]) -> Option<Tags> {
        let scheme = Scheme::of(labels)?;
        let mut kinds: Vec<String> = Vec::new();
        let mut tags = Vec::new();
        for Tag { prefix, kind } in labels.iter().filter_map(|label| Tag::parse(label)) {
            let index = kinds.iter().position(|k| *k == kind).unwrap_or(kinds.len());
            if prefix != 'O' && index == kinds.len() {
                kinds.push(kind);
            }
            tags.push((prefix, if prefix == 'O' { usize::MAX } else { index }));
        }
        Some(Tags { scheme, tags, kinds })
    }

    /// The entities of a sentence, given the index of each word's label: those whose tags follow each other as the scheme
    /// demands (`seqeval.scheme.Entities`). In IOBES and BILOU an entity without its last tag is none.
    pub fn entities(&self, sentence: &[usize]) -> Vec<Entity> {
        let (single, last) = match self.scheme {
            Scheme::Iob2 => (None, None),
            Scheme::Iobes => (Some('S'), Some('E')),
            Scheme::Bilou => (Some('U'), Some('L')),
        };
        let mut found = Vec::new();
        let mut at = 0;
        while at < sentence.len() {
            let (prefix, kind) = self.tags[sentence[at]];
            let start = at;
            at += 1;
            if Some(prefix) == single {
                found.push((start, at, kind));
                continue;
            }
            if prefix != 'B' {
                continue;
            }
            let mut end = 'B';
            while let Some((next, _)) =
                sentence.get(at).map(|label| self.tags[*label]).filter(|(next, own)| {
                    *own == kind && (*next == 'I' || Some(*next) == last) && Some(end) != last
                })
            {
                end = next;
                at += 1;
            }
            if last.is_none_or(|last| last == end) {
                found.push((start, at, kind));
            }
        }
        found
    }

    /// `f1`, `precision` and `recall` over all entities (micro averages), and those of each type, in percent; 0 where
    /// the denominator is 0. Both arguments have a list of label indices for each sentence.
    pub fn metrics(&self, predicted: &[Vec<usize>], gold: &[Vec<usize>]) -> Metrics {
        let mut counts = vec![Counts::default(); self.kinds.len()];
        for (predicted, gold) in predicted.iter().zip(gold) {
            let (predicted, gold) = (self.entities(predicted), self.entities(gold));
            for entity in &predicted {
                counts[entity.2].predicted += 1;
                counts[entity.2].both += usize::from(gold.contains(entity));
            }
            gold.iter().for_each(|entity| counts[entity.2].gold += 1);
        }
        let all = counts.iter().fold(Counts::default(), |sum, c| Counts {
            both: sum.both + c.both,
            predicted: sum.predicted + c.predicted,
            gold: sum.gold + c.gold,
        });
        let mut metrics = BTreeMap::new();
        let mut add = |name: &str, c: &Counts| {
            let share = |whole: usize| if whole == 0 { 0.0 } else { 100.0 * c.both as f64 / whole as f64 };
            metrics.insert(format!("precision{name}"), share(c.predicted));
            metrics.insert(format!("recall{name}"), share(c.gold));
            let whole = c.predicted + c.gold;
            let f1 = if whole == 0 { 0.0 } else { 200.0 * c.both as f64 / whole as f64 };
            metrics.insert(format!("f1{name}"), f1);
        };
        add("", &all);
        for (kind, counts) in self.kinds.iter().zip(&counts) {
            // Tags without a type all have the type `_`; its metrics are the overall ones.
            if kind != "_" {
                add(&format!("_{kind}"), counts);
            }
        }
        metrics
    }
}
