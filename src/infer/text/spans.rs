//! The best answers of a window, as SQuAD's evaluation finds them.

use super::windows::Window;

/// Starts and ends that are looked at.
const BEST: usize = 20;
/// Tokens of the longest answer.
const LONGEST: usize = 30;

/// An answer within its context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The start's and the end's logit, added.
    pub score: f32,
    /// Where it begins in the context, in bytes.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
}

/// All answers among the 20 best starts and ends, at most 30 tokens long, the best first.
pub fn spans(window: &Window, start: &[f32], end: &[f32]) -> Vec<Span> {
    let context = window.context..window.context + window.offsets.len();
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
        for e in ends.iter().filter(|e| *e >= s && **e - *s < LONGEST) {
            let offset = |place: usize| window.offsets[place - window.context];
            list.push(Span { score: start[*s] + end[*e], from: offset(*s).0, to: offset(*e).1 });
        }
    }
    list.sort_by(|a, b| b.score.total_cmp(&a.score));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_lies_in_the_context_ends_behind_its_start_and_is_not_long() {
        let window = Window {
            ids: vec![1; 43],
            types: vec![0; 43],
            context: 2,
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
        assert_eq!(spans(&window, &start, &end)[0], Span { score: 12.5, from: 0, to: 7 });
        end[5] = 0.0;
        assert_eq!(spans(&window, &start, &end)[0], Span { score: 9.6, from: 20, to: 79 });
    }
}
