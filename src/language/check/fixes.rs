//! Edits of a recipe's text: insertion after a span, into a block, or into the arguments of a choice.

use super::recipe::Prune;
use crate::diag::{Diagnostic, Sources, Span};
use crate::schedule::ir::ObsEach;

/// The span to replace, and its replacement.
pub(super) type Edit = (Span, String);

/// Adds an edit, if there is one, as an unsafe fix.
pub(super) fn suggest(diagnostic: Diagnostic, edit: Option<Edit>) -> Diagnostic {
    match edit {
        Some((span, text)) => diagnostic.unsafe_fix(span, text),
        None => diagnostic,
    }
}

/// Inserts `text` after a span.
pub(super) fn behind(place: Span, text: &str) -> Edit {
    let end = place.range().end;
    (Span::new(place.file, end..end), text.to_owned())
}

/// Inserts a line at the start of the block of the statement with this head, or adds a block.
pub(super) fn into_block(head: Span, line: &str, sources: &Sources) -> Edit {
    let text = &sources.get(head.file).text;
    let (start, end) = (head.range().start, head.range().end);
    let rest = &text[end..];
    let space = rest.len() - rest.trim_start().len();
    if !rest[space..].starts_with('{') {
        return behind(head, &format!(" {{ {line} }}"));
    }
    let brace = end + space + 1;
    let at = Span::new(head.file, brace..brace);
    // A block on one line stays on one line.
    let first = text[brace..].lines().next().unwrap_or("").trim();
    match first {
        "" => {
            let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let indent = text[begin..].len() - text[begin..].trim_start_matches(' ').len();
            (at, format!("\n{}{line}", " ".repeat(indent + 2)))
        }
        "}" => (at, format!(" {line} ")),
        comment if comment.starts_with('#') => {
            let end = brace + text[brace..].find('\n').unwrap_or(text.len() - brace);
            (Span::new(head.file, end..end), format!("\n  {line}"))
        }
        _ => (at, format!(" {line},")),
    }
}

/// Sets an argument of a statement's `obs`: replaces its value, or adds it if it is a default, whose span is
/// that of the criterion. `None` if the criterion is written as a name, or is not `obs`.
pub(super) fn obs_argument(
    prune: &Prune,
    name: &str,
    span_of: impl Fn(&ObsEach<Span>) -> Span,
    value: &str,
    sources: &Sources,
) -> Option<Edit> {
    let (call, choice) = (prune.by.span, prune.by.value.word());
    let place = span_of(prune.obs.as_ref()?);
    if place != call {
        return Some((place, value.to_owned()));
    }
    let arguments = sources.slice(call).trim().strip_prefix(choice)?.trim();
    let whole = match arguments.strip_prefix('(').and_then(|a| a.strip_suffix(')')).map(str::trim) {
        _ if arguments.is_empty() => format!("{choice}({name}: {value})"),
        Some("") => format!("{choice}({name}: {value})"),
        Some(given) => format!("{choice}({}, {name}: {value})", given.trim_end_matches(',').trim_end()),
        None => return None,
    };
    Some((call, whole))
}
