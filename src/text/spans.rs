//! The best answer spans of a window, as in the SQuAD scripts of `transformers`.

use super::windows::Window;

/// The number of best start and end logits that are combined (`n_best_size` of the SQuAD scripts).
const BEST: usize = 20;
/// The default maximum length of an answer in tokens (`max_answer_length`).
pub const LONGEST_ANSWER: usize = 30;

/// An answer span in its context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Start logit plus end logit.
    pub score: f32,
    /// Its first byte in the context.
    pub from: usize,
    /// The byte after its last.
    pub to: usize,
}

/// All spans from one of the 20 best starts to one of the 20 best ends, at most `longest` tokens long, best first.
/// `start` and `end` are the logits of the window's tokens.
pub fn spans(window: &Window, start: &[f32], end: &[f32], longest: usize) -> Vec<Span> {
    let mut list = candidates(window, start, end, longest);
    list.sort_by(|a, b| b.score.total_cmp(&a.score));
    list
}

/// The best span, the first of [`spans`].
pub fn best(window: &Window, start: &[f32], end: &[f32], longest: usize) -> Option<Span> {
    candidates(window, start, end, longest).into_iter().fold(None, |best: Option<Span>, span| match best {
        Some(best) if span.score.total_cmp(&best.score).is_le() => Some(best),
        _ => Some(span),
    })
}

fn candidates(window: &Window, start: &[f32], end: &[f32], longest: usize) -> Vec<Span> {
    let context = window.context_start..window.context_start + window.offsets.len();
    let top = |logits: &[f32]| {
        let mut places: Vec<usize> = (0..window.ids.len()).collect();
        places.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
        places.truncate(BEST);
        places.retain(|p| context.contains(p));
        places
    };
    let (starts, ends) = (top(start), top(end));
    let mut list = Vec::new();
    for s in &starts {
        for e in ends.iter().filter(|e| *e >= s && **e - *s < longest) {
            let offset = |place: usize| window.offsets[place - window.context_start];
            list.push(Span { score: start[*s] + end[*e], from: offset(*s).0, to: offset(*e).1 });
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_in_the_context_ends_behind_its_start_and_is_not_long() {
        let window = Window {
            ids: vec![1; 43],
            types: vec![0; 43],
            context_start: 2,
            offsets: (0..40).map(|i| (2 * i, 2 * i + 1)).collect(),
        };
        let (mut start, mut end) = (vec![0.0; 43], vec![0.0; 43]);
        start[0] = 9.0; // [CLS] is no answer
        start[12] = 5.0;
        end[5] = 8.0; // before the start
        end[14] = 4.0;
        end[42] = 7.0; // the last [SEP]
        start[2] = 4.5;
        end[41] = 4.6; // 39 tokens from place 2
        let first = Span { score: 12.5, from: 0, to: 7 };
        assert_eq!(
            spans(&window, &start, &end, LONGEST_ANSWER)[0],
            first,
            "start at 2 with the end at 5 is the best"
        );
        assert_eq!(best(&window, &start, &end, LONGEST_ANSWER), Some(first));
        end[5] = 0.0;
        assert_eq!(spans(&window, &start, &end, LONGEST_ANSWER)[0], Span { score: 9.6, from: 20, to: 79 });
        let all = spans(&window, &start, &end, LONGEST_ANSWER);
        assert_eq!(best(&window, &start, &end, LONGEST_ANSWER), all.first().copied());
        assert_eq!(best(&window, &start, &end, 40).unwrap().score, 9.6, "two starts are as good");
    }
}
