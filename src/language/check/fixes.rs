//! Replacements that mend a recipe: text put behind something, into a block, or between parentheses.

use crate::diag::{Diagnostic, Sources, Span};

/// Where text is put, and the text.
pub(super) type Edit = (Span, String);

/// Adds a replacement that may not be what was meant, if there is one.
pub(super) fn suggest(diagnostic: Diagnostic, edit: Option<Edit>) -> Diagnostic {
    match edit {
        Some((span, text)) => diagnostic.unsafe_fix(span, text),
        None => diagnostic,
    }
}

/// Puts `text` behind a place.
pub(super) fn behind(place: Span, text: &str) -> Edit {
    let end = place.range().end;
    (Span::new(place.file, end..end), text.to_owned())
}

/// Puts a line first into the block of the statement with this head, or gives it a block.
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
    // A block on one line takes it there.
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

/// Gives an argument of the choice at `call` another value: where it is written, at `place`, or between the
/// parentheses, if it is a default, whose place is the whole choice. `None` where the choice itself is not
/// written, but a name.
pub(super) fn argument(
    call: Span,
    choice: &str,
    (name, place): (&str, Span),
    value: &str,
    sources: &Sources,
) -> Option<Edit> {
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
