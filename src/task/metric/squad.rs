//! Exact match and F1 by the definition of SQuAD v1.1: answers are compared without case,
//! punctuation and articles, each against its best reference.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

static ARTICLES: LazyLock<Regex> = LazyLock::new(|| {
    // invariant: a constant pattern that compiles, as the tests show.
    Regex::new(r"\b(a|an|the)\b").expect("a valid pattern")
});

/// Lower case, without ASCII punctuation, articles and superfluous space.
pub fn normalize(answer: &str) -> String {
    let bare: String = answer.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    ARTICLES.replace_all(&bare, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 1 if both are the same after [`normalize`], else 0.
pub fn exact_match(prediction: &str, reference: &str) -> f64 {
    f64::from(u8::from(normalize(prediction) == normalize(reference)))
}

/// The harmonic mean of precision and recall over words, `0..=1`.
pub fn f1(prediction: &str, reference: &str) -> f64 {
    let (prediction, reference) = (normalize(prediction), normalize(reference));
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for word in reference.split(' ').filter(|w| !w.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let total = reference.split(' ').filter(|w| !w.is_empty()).count() as f64;
    let words: Vec<&str> = prediction.split(' ').filter(|w| !w.is_empty()).collect();
    let mut common = 0.0;
    for word in &words {
        if let Some(left) = counts.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            common += 1.0;
        }
    }
    if common == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (common / words.len() as f64, common / total);
    2.0 * precision * recall / (precision + recall)
}

/// Mean exact match and F1 over questions, in percent; each prediction comes with its references.
pub fn score<'a, R: AsRef<str> + 'a>(pairs: impl Iterator<Item = (&'a str, Vec<R>)>) -> (f64, f64) {
    let (mut em, mut f, mut count) = (0.0, 0.0, 0usize);
    for (prediction, references) in pairs {
        let best = |metric: fn(&str, &str) -> f64| {
            references.iter().map(|r| metric(prediction, r.as_ref())).fold(0.0, f64::max)
        };
        em += best(exact_match);
        f += best(f1);
        count += 1;
    }
    let percent = 100.0 / count.max(1) as f64;
    (em * percent, f * percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_punctuation_articles_and_space_do_not_count() {
        assert_eq!(normalize("The  Cat's, \n an Apple-tree!"), "cats appletree");
        assert_eq!(exact_match("the Beatles", "Beatles."), 1.0);
        assert_eq!(normalize("theatre a.m."), "theatre am");
    }

    #[test]
    fn f1_counts_repeated_words_as_often_as_both_have_them() {
        assert_eq!(f1("red red blue", "red green"), 0.4);
        assert_eq!(f1("", "x"), 0.0);
        assert_eq!(f1("x", "x"), 1.0);
    }

    #[test]
    fn the_best_reference_counts() {
        let (em, f) = score([("4 July", vec!["July", "4 July 1776"]), ("x", vec!["x"])].into_iter());
        assert_eq!(em, 50.0);
        assert!((f - 90.0).abs() < 1e-9, "{f}");
    }
}
