//! Equally spaced events, such as those of gradual pruning.

use serde::{Deserialize, Serialize};

use super::{Rational, Time};

/// The most events of a window; more are taken for a mistake.
pub const MOST_EVENTS: usize = 100_000;

/// `over start..end every step`: events at start, start + every, … and always at `end` itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The time of the first event.
    pub start: Time,
    /// The time of the last event.
    pub end: Time,
    /// The time between events; the last interval may be shorter.
    pub every: Time,
}

/// One event of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occurrence {
    /// The exact time.
    pub at: Time,
    /// The fraction of the window elapsed, `0..=1`, computed from exact times.
    pub share: f64,
}

impl Window {
    /// A window of one event.
    pub fn once(at: Time) -> Self {
        Window { start: at, end: at, every: Time::ZERO }
    }

    /// All events when an epoch has `steps_per_epoch` steps, at most [`MOST_EVENTS`].
    pub fn occurrences(&self, steps_per_epoch: u64) -> Vec<Occurrence> {
        let position = |t: Time| t.in_steps(steps_per_epoch);
        let (start, end) = (position(self.start), position(self.end));
        let length = end.minus(start).unwrap_or(Rational::ZERO);
        let mut list = Vec::new();
        let (mut now, mut gone) = (self.start, start);
        while gone < end && list.len() < MOST_EVENTS {
            let share = gone.minus(start).and_then(|g| g.over(length));
            list.push(Occurrence { at: now, share: share.map_or(0.0, Rational::to_f64) });
            let Some(next) = now.plus(self.every) else { break };
            let reached = position(next);
            if reached <= gone {
                break;
            }
            (now, gone) = (next, reached);
        }
        list.push(Occurrence { at: self.end, share: 1.0 });
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str, every: &str) -> Window {
        let t = |s: &str| s.parse().unwrap();
        Window { start: t(start), end: t(end), every: t(every) }
    }

    fn epochs(w: Window, s: u64) -> Vec<String> {
        w.occurrences(s).iter().map(|o| o.at.to_string()).collect()
    }

    #[test]
    fn the_end_always_belongs_to_the_window() {
        let w = window("0 epochs", "2.5 epochs", "1 epoch");
        assert_eq!(epochs(w, 4), ["0 epochs", "1 epoch", "2 epochs", "2.5 epochs"]);
        let exact = window("2 epochs", "26 epochs", "4 epochs");
        assert_eq!(exact.occurrences(1000).len(), 7);
    }

    #[test]
    fn nothing_drifts_when_the_distance_is_no_whole_number_of_steps() {
        let w = window("0 epochs", "1 epoch", "0.1 epochs");
        let steps: Vec<u64> = w.occurrences(7).iter().map(|o| o.at.first_step(7)).collect();
        assert_eq!(steps, [0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
    }

    #[test]
    fn one_event_has_gone_all_the_way() {
        let once = Window::once("1 epoch".parse().unwrap()).occurrences(10);
        assert_eq!(once.len(), 1);
        assert_eq!(once[0].share, 1.0);
    }
}
