//! Detection of SparseML's YAML in a file that is parsed as a recipe.

use std::ops::Range;

use crate::diag::{Code, Diagnostic, Span};

/// The first line that only a SparseML recipe has, such as `- !EpochRangeModifier` or `pruning_modifiers:`.
pub(super) fn yaml_line(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let is_tag = trimmed.strip_prefix('-').is_some_and(|rest| rest.trim_start().starts_with('!'));
        if is_tag || trimmed.ends_with("modifiers:") {
            let indent = line.len() - line.trim_start().len();
            return Some(start + indent..start + indent + trimmed.len());
        }
        start += line.len();
    }
    None
}

pub(super) fn not_yaml(line: Span) -> Diagnostic {
    Diagnostic::error(Code::Malformed, "this looks like YAML", line, "as SparseML writes it")
        .help("give the file a name that ends in `.yaml`, or turn it into a recipe: `obertc import`")
}
