//! Times and durations: an exact number of epochs plus an exact number of optimizer steps.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Rational;

/// A point on a stage's time axis, or a length of it: `epochs` epochs plus `steps` steps.
///
/// Both parts are stored, so `2 epochs + 500 steps` needs no number of steps per epoch until it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time {
    epochs: Rational,
    steps: Rational,
}

impl Time {
    /// The time 0, or a duration of zero.
    pub const ZERO: Time = Time { epochs: Rational::ZERO, steps: Rational::ZERO };

    /// A time in epochs.
    pub fn epochs(epochs: Rational) -> Self {
        Time { epochs, steps: Rational::ZERO }
    }

    /// A time in optimizer steps.
    pub fn steps(steps: Rational) -> Self {
        Time { epochs: Rational::ZERO, steps }
    }

    /// The sum; `None` on overflow.
    pub fn plus(self, other: Time) -> Option<Time> {
        Some(Time { epochs: self.epochs.plus(other.epochs)?, steps: self.steps.plus(other.steps)? })
    }

    /// The difference; `None` on overflow.
    pub fn minus(self, other: Time) -> Option<Time> {
        Some(Time { epochs: self.epochs.minus(other.epochs)?, steps: self.steps.minus(other.steps)? })
    }

    /// The product with `factor`; `None` on overflow.
    pub fn times(self, factor: Rational) -> Option<Time> {
        Some(Time { epochs: self.epochs.times(factor)?, steps: self.steps.times(factor)? })
    }

    /// The exact position in steps when an epoch has `steps_per_epoch` steps.
    pub fn in_steps(self, steps_per_epoch: u64) -> Rational {
        let per_epoch = Rational::whole(steps_per_epoch.min(1 << 50) as i64);
        let exact = self.epochs.times(per_epoch).and_then(|e| e.plus(self.steps));
        exact.unwrap_or(Rational::whole(i64::MAX))
    }

    /// The first step at or after this time. An event at this time happens before that step's forward
    /// pass.
    pub fn first_step(self, steps_per_epoch: u64) -> u64 {
        u64::try_from(self.in_steps(steps_per_epoch).ceil()).unwrap_or(0)
    }

    /// The position in epochs, for reports and plots.
    pub fn in_epochs(self, steps_per_epoch: u64) -> f64 {
        self.in_steps(steps_per_epoch).to_f64() / steps_per_epoch as f64
    }

    /// The order of two times; `None` if it depends on the number of steps in an epoch.
    pub fn compare(self, other: Time) -> Option<Ordering> {
        let by_epochs = self.epochs.cmp(&other.epochs);
        let by_steps = self.steps.cmp(&other.steps);
        match (by_epochs, by_steps) {
            (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
            (a, b) if a == b => Some(a),
            _ => None,
        }
    }

    /// Whether both parts are zero.
    pub fn is_zero(self) -> bool {
        self.epochs.is_zero() && self.steps.is_zero()
    }

    /// Whether it is in steps alone.
    pub fn is_in_steps(self) -> bool {
        self.epochs.is_zero() && !self.steps.is_zero()
    }

    /// Whether it is a sum of epochs and steps.
    pub fn is_mixed(self) -> bool {
        !self.epochs.is_zero() && !self.steps.is_zero()
    }

    /// Whether either part is below zero.
    pub fn has_negative_part(self) -> bool {
        self.epochs.is_negative() || self.steps.is_negative()
    }

    /// `self / other` if both are in epochs or both in steps; `None` otherwise.
    pub fn ratio_to(self, other: Time) -> Option<Rational> {
        if self.steps.is_zero() && other.steps.is_zero() {
            self.epochs.over(other.epochs)
        } else if self.epochs.is_zero() && other.epochs.is_zero() {
            self.steps.over(other.steps)
        } else {
            None
        }
    }
}

/// `4 epochs`, `500 steps`, `2 epochs + 500 steps`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = |value: Rational, word: &str| {
            format!("{value} {word}{}", if value == Rational::ONE { "" } else { "s" })
        };
        match (self.epochs.is_zero(), self.steps.is_zero()) {
            (_, true) => f.write_str(&unit(self.epochs, "epoch")),
            (true, false) => f.write_str(&unit(self.steps, "step")),
            (false, false) if self.steps.is_negative() => {
                write!(f, "{} - {}", unit(self.epochs, "epoch"), unit(-self.steps, "step"))
            }
            (false, false) => write!(f, "{} + {}", unit(self.epochs, "epoch"), unit(self.steps, "step")),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a time such as `2 epochs + 500 steps`");
        let mut time = Time::ZERO;
        let mut sign = Rational::ONE;
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            if let "+" | "-" = word {
                sign = if word == "-" { -Rational::ONE } else { Rational::ONE };
                continue;
            }
            let value: Rational = word.parse().map_err(|_| wrong())?;
            let part = match words.next() {
                Some("epoch" | "epochs") => Time::epochs(value),
                Some("step" | "steps") => Time::steps(value),
                _ => return Err(wrong()),
            };
            time = part.times(sign).and_then(|p| time.plus(p)).ok_or_else(wrong)?;
        }
        Ok(time)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn an_event_happens_before_the_first_step_at_or_after_it() {
        assert_eq!(t("2 epochs").first_step(1000), 2000);
        assert_eq!(t("0.25 epochs").first_step(10), 3);
        assert_eq!(t("0.1 epochs").first_step(10), 1);
        assert_eq!(t("2 epochs + 500 steps").first_step(7), 514);
    }

    #[test]
    fn times_compare_only_where_every_epoch_length_agrees() {
        assert_eq!(t("1 epoch").compare(t("2 epochs")), Some(Ordering::Less));
        assert_eq!(t("1 epoch").compare(t("500 steps")), None);
        assert_eq!(t("1 epoch + 5 steps").compare(t("1 epoch")), Some(Ordering::Greater));
    }

    #[test]
    fn text_and_back_is_the_identity() {
        for text in ["0 epochs", "1 epoch", "0.25 epochs", "1/3 epochs", "500 steps", "2 epochs - 1 step"] {
            assert_eq!(t(text).to_string(), text);
        }
    }
}
