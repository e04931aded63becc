//! Suggestions for misspelt words.

/// The candidate most similar to `word`, if one is similar enough to be what was intended: at a
/// Damerau-Levenshtein distance of at most a third of the longer word's length, or with one a prefix of the
/// other (`spars`, `sparsity`). Case is ignored.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let shortest_prefix = 3;
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let name = candidate.to_lowercase();
            let begins = wanted.len().min(name.len()) >= shortest_prefix
                && (name.starts_with(&wanted) || wanted.starts_with(&name));
            let distance = strsim::damerau_levenshtein(&wanted, &name);
            let allowed = (wanted.chars().count().max(name.chars().count()) / 3).max(1);
            let rank = if begins { distance.min(1) } else { distance };
            (begins || distance <= allowed).then_some((rank, distance, candidate))
        })
        .min()
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_and_prefixes_are_near_and_other_words_are_not() {
        let words = ["sparsity", "pattern", "rank", "by"];
        assert_eq!(nearest("spars", words), Some("sparsity"));
        assert_eq!(nearest("Patern", words), Some("pattern"));
        assert_eq!(nearest("rnak", words), Some("rank"));
        assert_eq!(nearest("temperature", words), None);
    }
}
