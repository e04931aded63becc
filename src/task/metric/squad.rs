//! Exact match and F1 of SQuAD v1.1 and v2.0, as the official scripts compute them: answers are compared without case,
//! punctuation and articles, each with its best reference.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

static ARTICLES: LazyLock<Regex> = LazyLock::new(|| {
    // invariant: a constant pattern that compiles, as the tests show.
    Regex::new(r"\b(a|an|the)\b").expect("a valid pattern")
});

/// Lowercases an answer and removes ASCII punctuation, articles and repeated white space.
pub fn normalize(answer: &str) -> String {
    let bare: String = answer.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    ARTICLES.replace_all(&bare, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// 1 if both texts are equal after [`normalize`], otherwise 0.
pub fn exact_match(prediction: &str, reference: &str) -> f64 {
    f64::from(u8::from(normalize(prediction) == normalize(reference)))
}

/// The F1 over the words of both texts after [`normalize`], `0..=1`.
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

/// Mean exact match and F1 in percent, of predictions with their references.
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

/// A prediction for a question that may have no answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The best answer span.
    pub text: String,
    /// The score of "no answer" minus the score of the span.
    pub no_answer: f64,
}

/// Exact match and F1 of SQuAD v2.0 in percent; questions without an answer have no reference. For `em` and `f1` "no
/// answer" is predicted where its score is higher; `_answered` and `_unanswered` are the metrics of the questions with
/// and without an answer; `best_em` and `best_f1` are those at the best threshold for these questions.
pub fn score_v2<R: AsRef<str>>(pairs: &[(Prediction, Vec<R>)]) -> super::Metrics {
    let judged: Vec<Judged> =
        pairs.iter().map(|(prediction, references)| judge(prediction, references)).collect();
    let mut metrics = super::Metrics::new();
    for (name, of) in [("", None), ("_answered", Some(true)), ("_unanswered", Some(false))] {
        let chosen: Vec<&Judged> = judged.iter().filter(|j| of.is_none_or(|has| has == j.answered)).collect();
        if chosen.is_empty() {
            continue;
        }
        let mean = |value: fn(&Judged) -> f64| {
            let of_prediction =
                |j: &&Judged| if j.no_answer > 0.0 { f64::from(u8::from(!j.answered)) } else { value(j) };
            100.0 * chosen.iter().map(of_prediction).sum::<f64>() / chosen.len() as f64
        };
        metrics.insert(format!("em{name}"), mean(|j| j.em));
        metrics.insert(format!("f1{name}"), mean(|j| j.f1));
    }
    metrics.insert("best_em".into(), best(&judged, |j| j.em));
    metrics.insert("best_f1".into(), best(&judged, |j| j.f1));
    metrics
}

/// The metrics of a prediction's span, whatever its score of "no answer".
struct Judged {
    /// Whether the question has an answer.
    answered: bool,
    /// Whether the span is empty.
    is_empty: bool,
    em: f64,
    f1: f64,
    no_answer: f64,
}

fn judge<R: AsRef<str>>(prediction: &Prediction, references: &[R]) -> Judged {
    let answered = !references.is_empty();
    // References that are empty after normalization are ignored, as in the official script.
    let mut references: Vec<&str> =
        references.iter().map(AsRef::as_ref).filter(|r| !normalize(r).is_empty()).collect();
    if references.is_empty() {
        references.push("");
    }
    let f1_v2 = |reference: &&str| {
        // Two empty answers agree.
        if normalize(reference).is_empty() || normalize(&prediction.text).is_empty() {
            return exact_match(&prediction.text, reference);
        }
        f1(&prediction.text, reference)
    };
    Judged {
        answered,
        is_empty: prediction.text.is_empty(),
        em: references.iter().map(|r| exact_match(&prediction.text, r)).fold(0.0, f64::max),
        f1: references.iter().map(f1_v2).fold(0.0, f64::max),
        no_answer: prediction.no_answer,
    }
}

/// The mean at the best threshold of "no answer", found as in the official script: starting with "no answer" for every
/// question, the spans are accepted in the order of their scores.
fn best(judged: &[Judged], value: fn(&Judged) -> f64) -> f64 {
    let mut order: Vec<&Judged> = judged.iter().collect();
    order.sort_by(|a, b| a.no_answer.total_cmp(&b.no_answer));
    let mut now = judged.iter().filter(|j| !j.answered).count() as f64;
    let mut most = now;
    for j in order {
        now += match j.answered {
            true => value(j),
            // An empty span also predicts "no answer", which stays correct.
            false if j.is_empty => 0.0,
            false => -1.0,
        };
        most = most.max(now);
    }
    100.0 * most / judged.len().max(1) as f64
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
