//! Numbers of a recipe: an exact fraction where possible, and the nearest double.

use crate::schedule::Rational;

/// A number of a recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The nearest double.
    pub value: f64,
    /// The exact value, if it is representable.
    pub exact: Option<Rational>,
}

impl Number {
    /// Parses a number such as `8e-5` or `1_000`; `None` if it is not finite.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|c| *c != '_').collect();
        let value: f64 = plain.parse().ok()?;
        value.is_finite().then(|| Number { value, exact: Rational::from_decimal(text) })
    }

    /// A whole number.
    pub fn whole(n: i64) -> Self {
        Number { value: n as f64, exact: Some(Rational::whole(n)) }
    }

    /// Applies an operation to the exact values if possible, else to the doubles. So `8e-5 / 10` is the double
    /// nearest to 8e-6.
    pub fn combine(
        self,
        other: Self,
        approximately: impl Fn(f64, f64) -> f64,
        exactly: impl Fn(Rational, Rational) -> Option<Rational>,
    ) -> Self {
        let exact = self.exact.zip(other.exact).and_then(|(a, b)| exactly(a, b));
        let value = exact.map_or_else(|| approximately(self.value, other.value), Rational::to_f64);
        Number { value, exact }
    }

    /// The value as a whole number, if it is one.
    pub fn as_whole(self) -> Option<i64> {
        let exact = self.exact?;
        let whole = exact.floor();
        (Rational::new(whole, 1) == Some(exact)).then(|| i64::try_from(whole).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Rational};

    #[test]
    fn scientific_notation_is_a_number_and_an_overflow_is_not() {
        assert_eq!(Number::parse("8e-5").unwrap().value, 8e-5);
        assert_eq!(Number::parse("1_000").unwrap().as_whole(), Some(1000));
        assert_eq!(Number::parse("1.5").unwrap().as_whole(), None);
        assert!(Number::parse("1e400").is_none());
    }

    #[test]
    fn a_quotient_is_the_nearest_double_of_the_exact_one() {
        let tenth = |n: Number| n.combine(Number::whole(10), |a, b| a / b, Rational::over).value;
        assert_eq!(tenth(Number::parse("8e-5").unwrap()), 8e-6);
        assert_ne!(8e-5 / 10.0, 8e-6, "which plain division misses");
    }
}
