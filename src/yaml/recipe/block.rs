//! Re-indents blocks of YAML, for the fixes that diagnostics propose.

use crate::diag::Span;

/// The text at `whole` below a new key `name`, indented by two more columns. `None` if the text is in flow style
/// or is not the first of its line.
pub(super) fn wrapped(text: &str, whole: Span, name: &str) -> Option<String> {
    let block = text.get(whole.range())?;
    let indent = indent_of(text, whole)?;
    if block.starts_with(['{', '[']) {
        return None;
    }
    let deeper = " ".repeat(indent + 2);
    let mut lines = block.lines();
    let mut out = format!("{name}:\n{deeper}{}", lines.next()?);
    for line in lines {
        out.push('\n');
        if !line.trim().is_empty() {
            out.push_str(&format!("  {line}"));
        }
    }
    Some(out)
}

/// The mapping at `inner` with the indentation of `whole`, the entry whose value it is. `None` if it is in flow
/// style.
pub(super) fn moved_out(text: &str, whole: Span, inner: Span) -> Option<String> {
    let block = text.get(inner.range())?;
    let (to, from) = (indent_of(text, whole)?, indent_of(text, inner)?);
    if block.starts_with(['{', '[']) || from <= to {
        return None;
    }
    let mut lines = block.lines();
    let mut out = lines.next()?.to_owned();
    for line in lines {
        out.push('\n');
        let spaces = line.len() - line.trim_start_matches(' ').len();
        out.push_str(&line[spaces.min(from - to)..]);
    }
    Some(out)
}

/// The number of spaces before a place, if nothing else is before it on its line.
pub(super) fn indent_of(text: &str, place: Span) -> Option<usize> {
    let before = text.get(..place.start as usize)?;
    let line = before.rsplit('\n').next()?;
    line.bytes().all(|b| b == b' ').then_some(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    #[test]
    fn a_block_goes_in_and_comes_out_again() {
        let text = "a:\n  b: 1\n\n  c:\n    d: 2\n";
        let file = Sources::new().add("x", text);
        let inner = Span::new(file, 5..text.len() - 1);
        let wrapped = wrapped(text, inner, "n").unwrap();
        assert_eq!(wrapped, "n:\n    b: 1\n\n    c:\n      d: 2");
        let whole = Span::new(file, 0..text.len() - 1);
        assert_eq!(moved_out(text, whole, inner).unwrap(), "b: 1\n\nc:\n  d: 2");
    }

    #[test]
    fn flow_style_stays_where_it_is() {
        let text = "a: {b: 1}";
        let file = Sources::new().add("x", text);
        assert_eq!(wrapped(text, Span::new(file, 3..9), "n"), None);
        assert_eq!(moved_out(text, Span::new(file, 0..9), Span::new(file, 3..9)), None);
    }
}
