//! The differences between two plans, line by line.

use similar::{ChangeTag, TextDiff};

/// The lines that differ between two rendered plans, each below the heading of its stage; empty if there are
/// none. The widths of columns do not count.
pub fn render(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let plain = |lines: &[&str]| -> Vec<String> {
        lines.iter().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (old_plain, new_plain) = (plain(&old), plain(&new));
    let old_slices: Vec<&str> = old_plain.iter().map(String::as_str).collect();
    let new_slices: Vec<&str> = new_plain.iter().map(String::as_str).collect();
    let diff = TextDiff::from_slices(&old_slices, &new_slices);
    let mut text = String::new();
    let mut heading: Option<&str> = None;
    for change in diff.iter_all_changes() {
        let (sign, line) = match (change.tag(), change.old_index(), change.new_index()) {
            (ChangeTag::Delete, Some(i), _) => ('-', old[i]),
            (ChangeTag::Insert, _, Some(i)) => ('+', new[i]),
            (_, _, Some(i)) => {
                if is_heading(new[i]) {
                    heading = Some(new[i]);
                }
                continue;
            }
            _ => continue,
        };
        if is_heading(line) {
            heading = None;
        } else if let Some(above) = heading.take() {
            text.push_str(&format!("  {above}\n"));
        }
        text.push_str(format!("{sign} {line}").trim_end());
        text.push('\n');
    }
    text
}

fn is_heading(line: &str) -> bool {
    ["recipe ", "stage ", "branch "].iter().any(|word| line.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_only_moved_is_no_difference_and_others_are_below_their_stage() {
        let before = "recipe a\n  seed 1\n\nstage x\n   0 epochs  evaluate\n   2 epochs  prune to 80%\n";
        let after = "recipe a\n  seed 1\n\nstage x\n  0 epochs   evaluate\n  2 epochs   prune to 90%\n";
        assert_eq!(
            render(before, after),
            "  stage x\n-    2 epochs  prune to 80%\n+   2 epochs   prune to 90%\n"
        );
        assert_eq!(render(before, before), "");
    }
}
