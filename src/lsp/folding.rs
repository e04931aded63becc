//! Folding: blocks and lists of several lines, runs of comments, and of `use` statements.

use lsp_types::{FoldingRange, FoldingRangeKind};

use super::lexer::Kind;
use super::snapshot::Snapshot;
use crate::language::syntax::ast::Item;

/// The ranges of lines that can be folded, by their first line.
pub fn ranges(snapshot: &Snapshot) -> Vec<FoldingRange> {
    let lines = snapshot.lines();
    let mut list: Vec<(usize, usize, Option<FoldingRangeKind>)> = Vec::new();
    let mut open = Vec::new();
    let mut comments: Option<(usize, usize)> = None;
    for token in &snapshot.tokens {
        let line = lines.line(token.range.start);
        match token.kind {
            Kind::Open(_) => open.push(line),
            Kind::Close(_) => {
                // The line of the closing bracket stays visible.
                if let Some(first) = open.pop().filter(|first| line > first + 1) {
                    list.push((first, line - 1, None));
                }
            }
            Kind::Comment => match &mut comments {
                Some((_, last)) if *last + 1 == line => *last = line,
                other => {
                    list.extend(
                        other.filter(|(a, b)| b > a).map(|(a, b)| (a, b, Some(FoldingRangeKind::Comment))),
                    );
                    *other = Some((line, line));
                }
            },
            _ => {}
        }
    }
    list.extend(comments.filter(|(a, b)| b > a).map(|(a, b)| (a, b, Some(FoldingRangeKind::Comment))));
    let uses = snapshot.compiled.tree.items.iter().filter_map(|item| match item {
        Item::Import(import) => Some(import.span.range()),
        _ => None,
    });
    let uses: Vec<_> = uses.collect();
    if let (Some(first), Some(last)) = (uses.first(), uses.last()) {
        let (first, last) = (lines.line(first.start), lines.line(last.end));
        list.extend((last > first).then_some((first, last, Some(FoldingRangeKind::Imports))));
    }
    list.sort_by_key(|(first, last, _)| (*first, std::cmp::Reverse(*last)));
    list.dedup_by_key(|(first, ..)| *first);
    let range = |(first, last, kind): (usize, usize, Option<FoldingRangeKind>)| FoldingRange {
        start_line: first as u32,
        end_line: last as u32,
        kind,
        ..FoldingRange::default()
    };
    list.into_iter().map(range).collect()
}
