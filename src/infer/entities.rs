//! Entities from the logits of token classification.

use crate::text::Encoded;

/// A part of a text with a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// The label, without `B-` or `I-`.
    pub label: String,
    /// The text.
    pub text: String,
    /// The mean probability of the label over the words.
    pub score: f32,
    /// The offset of its first character.
    pub start: usize,
    /// The offset after its last character.
    pub end: usize,
}

/// The label of tokens outside of entities.
const OUTSIDE: &str = "O";

/// Joins words of the same type to entities, by the labels `B-TYPE`, `I-TYPE` and `O` or by bare types: the aggregation
/// strategy `first` of the token classification pipeline in `transformers`. A word has the label of its first token,
/// since the others have none in training. `logits` is `[labels][tokens]`, without special tokens.
pub(super) fn entities(text: &str, encoded: &Encoded, logits: &[&[f32]], names: &[String]) -> Vec<Entity> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last: Option<u32> = None;
    for (token, &(start, end)) in encoded.offsets.iter().enumerate() {
        let Some(logits) = logits.iter().map(|row| row.get(token).copied()).collect::<Option<Vec<f32>>>()
        else {
            break;
        };
        let word = encoded.words[token];
        if let (true, Some(group)) = (word.is_some() && word == last, groups.last_mut()) {
            group.end = end;
            continue;
        }
        last = word;
        let (label, score) = most_probable(&logits);
        let name = names[label].as_str();
        let (begins, kind) = match (name.strip_prefix("B-"), name.strip_prefix("I-")) {
            (Some(kind), _) => (true, kind),
            (_, Some(kind)) => (false, kind),
            _ => (false, name),
        };
        match groups.last_mut() {
            Some(group) if !begins && group.kind == kind => group.add(score, end),
            _ => groups.push(Group { kind, scores: vec![score], start, end }),
        }
    }
    let inside = groups.into_iter().filter(|group| group.kind != OUTSIDE);
    inside.filter_map(|group| group.entity(text)).collect()
}

/// Words of one type.
struct Group<'a> {
    kind: &'a str,
    scores: Vec<f32>,
    start: usize,
    end: usize,
}

impl Group<'_> {
    fn add(&mut self, score: f32, end: usize) {
        self.scores.push(score);
        self.end = end;
    }

    fn entity(self, text: &str) -> Option<Entity> {
        let part = text.get(self.start..self.end)?;
        let start = text[..self.start].chars().count();
        Some(Entity {
            label: self.kind.to_owned(),
            text: part.to_owned(),
            score: self.scores.iter().sum::<f32>() / self.scores.len() as f32,
            start,
            end: start + part.chars().count(),
        })
    }
}

/// The most probable label and its probability.
fn most_probable(logits: &[f32]) -> (usize, f32) {
    let (label, most) = logits
        .iter()
        .enumerate()
        .fold((0, f32::MIN), |best, (i, l)| if *l > best.1 { (i, *l) } else { best });
    (label, 1.0 / logits.iter().map(|l| (l - most).exp()).sum::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_type_are_joined_and_parts_of_words_follow_the_first() {
        let text = "Ada Lovelace met Babbage in London";
        let offsets = vec![(0, 3), (4, 8), (8, 12), (13, 16), (17, 24), (25, 27), (28, 34)];
        let words = [0, 1, 1, 2, 3, 4, 5].map(Some).to_vec();
        let encoded = Encoded { ids: vec![9; 7], offsets, words };
        let names = ["O", "B-PER", "I-PER", "B-LOC"].map(str::to_owned);
        // The second part of `Lovelace` has a label of its own, which does not count.
        let labels = [1, 2, 3, 0, 1, 0, 3];
        let rows: Vec<Vec<f32>> = (0..4)
            .map(|label| labels.iter().map(|l| if *l == label { 9.0 } else { 0.0 }).collect())
            .collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let found = entities(text, &encoded, &rows, &names);
        let shown: Vec<_> = found.iter().map(|e| (e.label.as_str(), e.text.as_str(), e.start)).collect();
        assert_eq!(shown, [("PER", "Ada Lovelace", 0), ("PER", "Babbage", 17), ("LOC", "London", 28)]);
        assert!(found.iter().all(|e| (e.score - 0.99963).abs() < 1e-4));
    }

    #[test]
    fn a_beginning_ends_the_entity_before_it_and_bare_labels_are_types() {
        let encoded = |n: usize| Encoded {
            ids: vec![9; n],
            offsets: (0..n).map(|i| (2 * i, 2 * i + 1)).collect(),
            words: (0..n as u32).map(Some).collect(),
        };
        let names = ["B-X", "X", "O"].map(str::to_owned);
        let rows = [[5.0, 5.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 5.0]];
        let rows: Vec<&[f32]> = rows.iter().map(|row| row.as_slice()).collect();
        let found = entities("é b c d", &encoded(1), &rows, &names);
        assert!(found.is_empty(), "an offset within a character is no entity");
        let found = entities("a b c d", &encoded(4), &rows, &names);
        let shown: Vec<_> = found.iter().map(|e| (e.text.as_str(), e.start, e.end)).collect();
        assert_eq!(shown, [("a", 0, 1), ("b c", 2, 5)]);
    }
}
