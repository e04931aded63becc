//! Source positions of the keys and values of a JSON object.

use std::ops::Range;

use crate::diag::{FileId, Span};

/// A key of an object, with byte ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The range of the key with its quotes.
    pub at: Range<usize>,
    /// The range of the value.
    pub value: Range<usize>,
}

/// The source positions of the keys of a file.
#[derive(Clone, Debug)]
pub struct Places {
    /// The file.
    pub file: FileId,
    /// Its keys, in order.
    pub entries: Vec<Entry>,
}

impl Places {
    /// The first character of the file.
    pub fn start(&self) -> Span {
        Span::new(self.file, 0..1)
    }

    /// The position of a value; the first character of the file if the key is missing.
    pub fn value(&self, key: &str) -> Span {
        let entry = self.entries.iter().rfind(|e| e.key == key);
        entry.map_or(self.start(), |e| Span::new(self.file, e.value.clone()))
    }

    /// The position of a key; the first character of the file if it is missing.
    pub fn key(&self, key: &str) -> Span {
        let entry = self.entries.iter().rfind(|e| e.key == key);
        entry.map_or(self.start(), |e| Span::new(self.file, e.at.clone()))
    }
}

/// The keys of the outermost object, in order; none for any other JSON value. `text` must be valid JSON, so that only
/// strings and brackets have to be recognized.
pub fn entries(text: &str) -> Vec<Entry> {
    let bytes = text.as_bytes();
    let skip = |mut at: usize, what: &[u8]| {
        while bytes.get(at).is_some_and(|b| b.is_ascii_whitespace() || what.contains(b)) {
            at += 1;
        }
        at
    };
    let mut list = Vec::new();
    let mut at = skip(0, b"");
    if bytes.get(at) != Some(&b'{') {
        return list;
    }
    at = skip(at + 1, b"");
    while bytes.get(at) == Some(&b'"') {
        let key = at..end_of_string(bytes, at);
        let start = skip(key.end, b":");
        let end = end_of_value(bytes, start);
        let name = text.get(key.clone()).and_then(|quoted| serde_json::from_str(quoted).ok());
        list.extend(name.map(|name| Entry { key: name, at: key, value: start..end }));
        at = skip(end, b",");
    }
    list
}

/// The offset after the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The offset after the value that begins at `at`.
fn end_of_value(bytes: &[u8], at: usize) -> usize {
    let (mut at, mut depth, mut end) = (at, 0usize, at);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => break,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if !bytes[at - 1].is_ascii_whitespace() {
            end = at;
        }
    }
    end
}

/// The byte offset of a line and column of serde_json, both counted from 1.
pub(crate) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, &str, &str)> {
        let entry = |e: Entry| (e.key, &text[e.at], &text[e.value]);
        entries(text).into_iter().map(entry).collect()
    }

    #[test]
    fn keys_and_values_are_found_whatever_is_in_them() {
        let text = r#" { "a" : 1 , "b\"}":{"a":[1,{"x":"}"}]}, "ü":"\\", "c":[ ],"d":null }"#;
        assert_eq!(
            texts(text),
            [
                ("a".to_owned(), "\"a\"", "1"),
                ("b\"}".to_owned(), r#""b\"}""#, r#"{"a":[1,{"x":"}"}]}"#),
                ("ü".to_owned(), "\"ü\"", r#""\\""#),
                ("c".to_owned(), "\"c\"", "[ ]"),
                ("d".to_owned(), "\"d\"", "null"),
            ]
        );
        assert_eq!(texts("{}"), []);
        assert_eq!(texts("[1, {\"a\": 2}]"), []);
        assert_eq!(texts(""), []);
    }
}
