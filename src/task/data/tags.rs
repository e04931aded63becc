//! Tags of named entities: `O`, or a prefix that says where in an entity the word is, and the entity's type.

use std::collections::BTreeSet;

/// How the prefixes of tags mark entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `B` begins an entity, `I` continues it (BIO, IOB2).
    Iob2,
    /// As IOB2; `E` ends an entity of several words, `S` is one of a single word.
    Iobes,
    /// As IOBES, with `L` for `E` and `U` for `S`.
    Bilou,
}

/// A tag, such as `B-PER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// `B`, `I`, `E`, `S`, `L`, `U`, or `O` outside of entities.
    pub prefix: char,
    /// The entity's type; `_` of a tag without one, as in seqeval.
    pub kind: String,
}

impl Tag {
    /// Reads a tag; `None` if it has no prefix of a scheme.
    pub fn parse(tag: &str) -> Option<Tag> {
        let mut letters = tag.chars();
        let prefix = letters.next().filter(|c| "BIESLUO".contains(*c))?;
        let rest = letters.as_str();
        let kind = rest.strip_prefix('-').or(rest.is_empty().then_some("_"))?;
        let outside = prefix == 'O' && !rest.is_empty();
        (!kind.is_empty() && !outside).then(|| Tag { prefix, kind: kind.to_owned() })
    }
}

impl Scheme {
    /// The scheme of a set of tags; `None` if they are no entities, such as parts of speech.
    pub fn of(labels: &[String]) -> Option<Scheme> {
        let tags: Option<Vec<Tag>> = labels.iter().map(|label| Tag::parse(label)).collect();
        let prefixes: BTreeSet<char> = tags?.iter().map(|tag| tag.prefix).filter(|p| *p != 'O').collect();
        let within = |known: &str| prefixes.iter().all(|p| known.contains(*p));
        match () {
            () if prefixes.is_empty() => None,
            () if within("BI") => Some(Scheme::Iob2),
            () if within("BIES") => Some(Scheme::Iobes),
            () if within("BILU") => Some(Scheme::Bilou),
            () => None,
        }
    }
}

/// Sorts tags: `O` first, then by type, and within a type `B`, `I` and the others.
pub fn sort(labels: &mut [String]) {
    labels.sort_by_cached_key(|label| match Tag::parse(label) {
        Some(tag) if tag.prefix == 'O' => (String::new(), 0),
        Some(tag) => (tag.kind, 1 + "BIESLU".find(tag.prefix).unwrap_or(0)),
        None => (label.clone(), 0),
    });
}

/// Whether a sentence has tags that only IOB1 allows: an entity that begins with `I`.
pub fn is_iob1(tags: &[String]) -> bool {
    let mut before = None;
    tags.iter().any(|tag| {
        let tag = Tag::parse(tag);
        let begins = match (&tag, &before) {
            (Some(tag), Some(Tag { prefix, kind })) => {
                tag.prefix == 'I' && (*prefix == 'O' || *kind != tag.kind)
            }
            (Some(tag), None) => tag.prefix == 'I',
            (None, _) => false,
        };
        before = tag;
        begins
    })
}

/// Converts the tags of a sentence from IOB1, where an entity begins with `B` only after another of its type, to IOB2.
pub fn iob2_of_iob1(tags: &mut [String]) {
    let mut before: Option<Tag> = None;
    for text in tags {
        let tag = Tag::parse(text);
        if let Some(tag) = tag.as_ref().filter(|tag| tag.prefix == 'I') {
            let goes_on = before.as_ref().is_some_and(|b| b.prefix != 'O' && b.kind == tag.kind);
            if !goes_on {
                text.replace_range(..1, "B");
            }
        }
        before = tag;
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::strings;
    use super::*;

    #[test]
    fn the_scheme_is_found_by_the_prefixes() {
        let of = |labels: &str| Scheme::of(&strings(&labels.split(' ').collect::<Vec<_>>()));
        assert_eq!(of("O B-PER I-PER B-LOC"), Some(Scheme::Iob2));
        assert_eq!(of("O B I"), Some(Scheme::Iob2), "without types");
        assert_eq!(of("O B-PER I-PER E-PER S-PER"), Some(Scheme::Iobes));
        assert_eq!(of("O B-PER I-PER L-PER U-PER"), Some(Scheme::Bilou));
        for none in ["O", "NN VB DT", "O PER LOC", "O B-PER E-PER U-PER", "B- O", "O-PER B-PER"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn tags_are_sorted_by_type_with_o_first() {
        let mut labels = strings(&["I-PER", "S-LOC", "B-PER", "O", "B-LOC"]);
        sort(&mut labels);
        assert_eq!(labels, ["O", "B-LOC", "S-LOC", "B-PER", "I-PER"]);
    }

    #[test]
    fn iob1_becomes_iob2() {
        let mut tags = strings(&["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC", "I-PER"]);
        assert!(is_iob1(&tags));
        iob2_of_iob1(&mut tags);
        assert_eq!(tags, ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC", "B-PER"]);
        assert!(!is_iob1(&tags));
    }
}
