//! Counts in sentences, with the noun in the singular or the plural.

use std::fmt::Display;

/// A count with its noun: `1 row`, `3 rows`, `0 rows`. Only exactly 1 takes the singular, as in `0.5 epochs`.
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let noun = agreeing(&count, one, many);
    format!("{count} {noun}")
}

/// The form of a noun or verb that agrees with a count: `one` for exactly 1, else `many`.
pub fn agreeing<'a, N: PartialEq + From<u8>>(count: &N, one: &'a str, many: &'a str) -> &'a str {
    if *count == N::from(1) { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_takes_the_singular() {
        assert_eq!(counted(1usize, "row", "rows"), "1 row");
        assert_eq!(counted(0u64, "row", "rows"), "0 rows");
        assert_eq!(counted(21u32, "row is", "rows are"), "21 rows are");
        assert_eq!(counted(1.0, "epoch", "epochs"), "1 epoch");
        assert_eq!(counted(0.5, "epoch", "epochs"), "0.5 epochs");
        assert_eq!(counted(1.5, "epoch", "epochs"), "1.5 epochs");
        assert_eq!(counted(-1i64, "step", "steps"), "-1 steps");
        assert_eq!((agreeing(&1usize, "is", "are"), agreeing(&2usize, "is", "are")), ("is", "are"));
    }
}
