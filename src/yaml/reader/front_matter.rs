//! Finds the YAML between the delimiters of a Markdown file.

use std::ops::Range;

use crate::diag::{Code, Diagnostic, FileId, Findings, Span};

/// The byte ranges of the YAML and of the text after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FrontMatter {
    /// The bytes of the YAML.
    pub(crate) yaml: Range<usize>,
    /// The first byte after the closing delimiter.
    pub(crate) prose: usize,
}

const DELIMITERS: [&str; 2] = ["---", "+++"];

/// Finds the front matter of a Markdown file.
///
/// SparseML opens it at the first line that begins with `---` or `+++` and closes it at the next
/// `---` or `+++` anywhere, even within a comment. Here it closes at a line that is a delimiter;
/// where SparseML would close it earlier, there is a warning. `None` if an error was reported.
pub(crate) fn front_matter(file: FileId, text: &str, findings: &mut Findings) -> Option<FrontMatter> {
    let lines = lines(text);
    let delimiter = |range: &Range<usize>| DELIMITERS.into_iter().find(|d| text[range.clone()].trim() == *d);
    let begins = |range: &Range<usize>| {
        DELIMITERS.into_iter().find(|d| text[range.clone()].trim_start().starts_with(d))
    };
    let Some((opens, opener)) = lines.iter().enumerate().find_map(|(i, l)| begins(l).map(|d| (i, d))) else {
        findings.push(
            Diagnostic::error(
                Code::NoFrontMatter,
                "this Markdown file has no front matter",
                Span::new(file, first_line(text)),
                "no line of `---` in the file",
            )
            .help("put the YAML at the top, between two lines of `---`; or save the YAML alone as .yaml"),
        );
        return None;
    };
    let open = lines[opens].clone();
    let start = open.end;
    let closes = lines.iter().skip(opens + 1).find(|l| delimiter(l).is_some());
    let Some(close) = closes else {
        findings.push(
            Diagnostic::error(
                Code::NoFrontMatter,
                "the front matter never ends",
                Span::new(file, trimmed(text, &open)),
                "opens here",
            )
            .help("close it with a line of `---`"),
        );
        return None;
    };
    let close = close.clone();
    let early = DELIMITERS.iter().filter_map(|d| text[start..close.start].find(d)).min();
    if let Some(at) = early {
        let at = start + at;
        findings.push(
            Diagnostic::warning(
                Code::FrontMatterEnds,
                "SparseML ends the front matter here, in the middle of a line",
                Span::new(file, at..at + 3),
                "SparseML ignores everything after this",
            )
            .and_at(Span::new(file, trimmed(text, &close)), "the import reads up to here")
            .help("remove `---` or `+++` from inside the line, so that SparseML reads the same"),
        );
    } else if delimiter(&close) != Some(opener) {
        findings.push(
            Diagnostic::warning(
                Code::FrontMatterEnds,
                format!(
                    "front matter that opens with `{opener}` closes with `{}`",
                    text[close.clone()].trim()
                ),
                Span::new(file, trimmed(text, &close)),
                "another delimiter",
            )
            .and_at(Span::new(file, trimmed(text, &open)), "opens here")
            .help(format!("close it with `{opener}`; SparseML takes either, other readers do not")),
        );
    }
    Some(FrontMatter { yaml: start..close.start, prose: close.end })
}

/// The byte ranges of the lines, each with its line ending.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end;
            range
        })
        .collect()
}

fn trimmed(text: &str, range: &Range<usize>) -> Range<usize> {
    let line = &text[range.clone()];
    let start = range.start + (line.len() - line.trim_start().len());
    start..start + line.trim().len()
}

fn first_line(text: &str) -> Range<usize> {
    0..text.lines().next().map_or(0, str::len)
}
