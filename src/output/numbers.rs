//! Formatting of numbers and names in summaries, reports and model cards.

use time::OffsetDateTime;

/// A metric's name in a title: `EM`, `F1`, `Accuracy`, `Accuracy mm`, `NDCG@10`.
pub fn title(metric: &str) -> String {
    if metric.len() <= 2 {
        return metric.to_uppercase();
    }
    if let Some((name @ ("ndcg" | "mrr" | "recall"), cutoff)) = metric.rsplit_once('_')
        && cutoff.parse::<usize>().is_ok()
    {
        let name = if name == "recall" { "Recall".to_owned() } else { name.to_uppercase() };
        return format!("{name}@{cutoff}");
    }
    let words: Vec<&str> = metric.split('_').map(|word| if word == "f1" { "F1" } else { word }).collect();
    let words = words.join(" ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Whether a metric is in percent, from 0 to 100.
pub fn is_percentage(metric: &str) -> bool {
    ["em", "f1", "accuracy", "precision", "recall", "mrr", "ndcg", "macro_f1", "micro_f1"]
        .iter()
        .any(|known| metric.starts_with(known))
}

/// A metric's value: a correlation with four decimals, a loss with three, a percentage with one.
pub fn metric(name: &str, value: f64) -> String {
    format!("{value:.*}", decimals(name))
}

/// The decimals that [`metric`] shows.
pub fn decimals(metric: &str) -> usize {
    match metric {
        "pearson" | "spearman" | "mse" => 4,
        "loss" => 3,
        _ => 1,
    }
}

/// The row and column of a parameter in tables: `bert.encoder.layer.0.attention.self.query.weight` is `query` of `layer
/// 0`.
pub fn place(name: &str) -> (String, String) {
    let stem = name.strip_suffix(".weight").unwrap_or(name);
    let words: Vec<&str> = stem.split('.').collect();
    let Some(at) = words.iter().position(|w| *w == "layer") else {
        return (stem.to_owned(), "weight".to_owned());
    };
    let layer = words.get(at + 1).copied().unwrap_or("");
    let column = match words.get(at + 2..).unwrap_or(&[]) {
        ["attention", "self", part] => (*part).to_owned(),
        ["attention", "output", "dense"] => "attention out".to_owned(),
        ["intermediate", "dense"] => "feed-forward in".to_owned(),
        ["output", "dense"] => "feed-forward out".to_owned(),
        rest => rest.join("."),
    };
    (format!("layer {layer}"), column)
}

/// A fraction between 0 and 1 as `87.5%`.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A number with thousands separators: `1,234,567`.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in powers of a thousand: `12 kB`, `3.4 MB`, `1.2 GB`.
pub fn bytes(n: usize) -> String {
    match n {
        0..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// Seconds as `3.4s`, `2m 05s` or `5h 12m`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1}s"),
        s if s < 3600.0 => format!("{}m {:02}s", s as u64 / 60, s as u64 % 60),
        s => format!("{}h {:02}m", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

/// Seconds since 1970 as `2026-11-23 02:54 UTC`.
pub fn date(unix_time: u64) -> String {
    let date = i64::try_from(unix_time).ok().and_then(|t| OffsetDateTime::from_unix_timestamp(t).ok());
    let Some(date) = date else { return format!("{unix_time} s after 1970") };
    let (month, day) = (u8::from(date.month()), date.day());
    format!("{}-{month:02}-{day:02} {:02}:{:02} UTC", date.year(), date.hour(), date.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // As `date -u -d @N` prints them.
        for (unix_time, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00 UTC"),
            (1_795_402_498, "2026-11-23 02:54 UTC"),
        ] {
            assert_eq!(date(unix_time), expected);
        }
    }

    #[test]
    fn figures_are_grouped_and_carry_their_unit() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!([bytes(12_300), bytes(2_014_944), bytes(1_340_000_000)], ["12 kB", "2.0 MB", "1.34 GB"]);
        assert_eq!([duration(3.42), duration(125.0), duration(18_720.0)], ["3.4s", "2m 05s", "5h 12m"]);
        assert_eq!(
            ["f1", "ndcg_10", "recall_100", "accuracy_mm"].map(title),
            ["F1", "NDCG@10", "Recall@100", "Accuracy mm"]
        );
        assert_eq!(place("bert.encoder.layer.3.output.dense.weight").1, "feed-forward out");
    }
}
