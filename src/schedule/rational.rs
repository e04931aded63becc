//! Exact fractions: the step of an event never depends on floating-point rounding.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Neg;

/// A fraction in lowest terms with a positive denominator.
///
/// Arithmetic is checked: `None` means that the exact result does not fit 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// Zero.
    pub const ZERO: Rational = Rational { numerator: 0, denominator: 1 };
    /// One.
    pub const ONE: Rational = Rational { numerator: 1, denominator: 1 };

    /// `numerator / denominator`; `None` for a zero denominator.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs()).max(1) as i128;
        let sign = denominator.signum();
        Some(Rational { numerator: sign * numerator / divisor, denominator: sign * denominator / divisor })
    }

    /// A whole number.
    pub fn whole(n: i64) -> Self {
        Rational { numerator: n as i128, denominator: 1 }
    }

    /// Reads a decimal such as `26`, `0.25` or `1.5e-4` exactly; `None` if it is not one or needs
    /// more than 30 digits on either side of the point.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let text: String = text.chars().filter(|c| *c != '_').collect();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        let value: i128 = digits.parse().ok()?;
        let power = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        if value == 0 {
            return Some(Self::ZERO);
        }
        let scale = 10i128.checked_pow(power.unsigned_abs()).filter(|_| power.abs() <= 30)?;
        if power >= 0 { Self::new(value.checked_mul(scale)?, 1) } else { Self::new(value, scale) }
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(-other)
    }

    /// The product.
    pub fn times(self, other: Self) -> Option<Self> {
        Self::new(
            self.numerator.checked_mul(other.numerator)?,
            self.denominator.checked_mul(other.denominator)?,
        )
    }

    /// The quotient; `None` when `other` is zero.
    pub fn over(self, other: Self) -> Option<Self> {
        Self::new(
            self.numerator.checked_mul(other.denominator)?,
            self.denominator.checked_mul(other.numerator)?,
        )
    }

    /// The largest whole number that is not greater.
    pub fn floor(self) -> i128 {
        self.numerator.div_euclid(self.denominator)
    }

    /// The smallest whole number that is not less.
    pub fn ceil(self) -> i128 {
        -(-self).floor()
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Whether this is zero.
    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Whether this is below zero.
    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }
}

impl Neg for Rational {
    type Output = Rational;

    fn neg(self) -> Rational {
        Rational { numerator: -self.numerator, denominator: self.denominator }
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        let across = |a: &Self, b: &Self| a.numerator.checked_mul(b.denominator);
        match (across(self, other), across(other, self)) {
            (Some(own), Some(others)) => own.cmp(&others),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

/// As a decimal where it has a short one (`0.25`), as a fraction otherwise (`1/3`).
impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            return write!(f, "{}", self.numerator);
        }
        let places = (1..=9u32).find(|p| 10i128.pow(*p) % self.denominator == 0);
        match places.and_then(|p| self.numerator.checked_mul(10i128.pow(p)).map(|n| (p as usize, n))) {
            Some((places, scaled)) => {
                let digits = scaled / self.denominator;
                let sign = if digits < 0 { "-" } else { "" };
                let digits = format!("{:0width$}", digits.unsigned_abs(), width = places + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places);
                write!(f, "{sign}{whole}.{fraction}")
            }
            None => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

/// The inverse of `Display`.
impl std::str::FromStr for Rational {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parsed = match text.split_once('/') {
            Some((n, d)) => n.parse().ok().zip(d.parse().ok()).and_then(|(n, d)| Rational::new(n, d)),
            None => match text.strip_prefix('-') {
                Some(positive) => Rational::from_decimal(positive).map(|r| -r),
                None => Rational::from_decimal(text),
            },
        };
        parsed.ok_or(())
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    // Division of 64 bits is many times faster, and enough for almost every fraction.
    if let (Ok(mut a), Ok(mut b)) = (u64::try_from(a), u64::try_from(b)) {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        return a.into();
    }
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(text: &str) -> Rational {
        text.parse().unwrap()
    }

    #[test]
    fn a_tenth_ten_times_is_one() {
        let sum = (0..10).fold(Rational::ZERO, |sum, _| sum.plus(r("0.1")).unwrap());
        assert_eq!(sum, Rational::ONE);
    }

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(Rational::from_decimal("1_000.50"), Rational::new(2001, 2));
        assert_eq!(Rational::from_decimal("2.5e-1"), Rational::new(1, 4));
        assert_eq!(Rational::from_decimal("1e400"), None);
        assert_eq!(Rational::from_decimal("x"), None);
    }

    #[test]
    fn floor_and_ceil_of_negative_fractions() {
        assert_eq!((r("-0.5").floor(), r("-0.5").ceil()), (-1, 0));
        assert_eq!((r("7/3").floor(), r("7/3").ceil()), (2, 3));
    }

    #[test]
    fn text_and_back_is_the_identity() {
        for text in ["0", "30", "0.25", "-0.125", "1/3", "-7/3", "0.000001"] {
            assert_eq!(r(text).to_string(), text);
        }
    }
}
