//! Rows as JSON objects: one in each line (`.jsonl`), or in a list, at the top or under `data` (`.json`).

use std::path::Path;

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::json_places::offset_of;

use super::files::{FileRow, LONGEST_ROW};

/// A JSON object, with its line or, in a list, its number; from 1.
#[derive(Clone, Debug)]
pub struct JsonRow {
    /// The line or number.
    pub line: usize,
    /// The object.
    pub object: Map<String, Value>,
}

/// Whether a text is JSON lines rather than a list of objects.
pub fn is_lines(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    // The first line is a whole object, and others follow or it has no list under `data`.
    let others = text.trim().len() > first.trim().len();
    first.trim_start().starts_with('{')
        && (others || !first.contains("\"data\""))
        && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok()
}

/// Calls `take` with each object of JSON lines.
///
/// # Errors
/// A line that is no object, or an error of `take`.
pub fn each_line(
    path: &Path,
    text: &str,
    sources: &mut Sources,
    mut take: impl FnMut(JsonRow, &str, &mut Sources) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = FileRow { path, line: i + 1, text: line };
        check_length(&place, sources)?;
        let object = match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(not_an_object(&place, 0, "no JSON object", sources)),
            Err(e) => {
                return Err(not_an_object(&place, offset_of(line, 1, e.column()), &reason(&e), sources));
            }
        };
        take(JsonRow { line: i + 1, object }, line, sources)?;
    }
    Ok(())
}

/// Checks the length of a row.
///
/// # Errors
/// A row longer than [`LONGEST_ROW`].
pub fn check_length(place: &FileRow, sources: &mut Sources) -> Result<(), Diagnostic> {
    if place.text.len() <= LONGEST_ROW {
        return Ok(());
    }
    let (line, path) = (place.line, place.path.display());
    let message = format!(
        "line {line} of `{path}` is {} MiB long; rows of more than {} MiB are not read",
        place.text.len() >> 20,
        LONGEST_ROW >> 20
    );
    Err(place
        .error_at(0..1, Code::DataNotReadable, message, "this row", sources)
        .help("are its line ends missing, or is a quote not closed? split long texts into rows"))
}

fn not_an_object(place: &FileRow, at: usize, why: &str, sources: &mut Sources) -> Diagnostic {
    let message = format!("line {} of `{}` is no JSON object", place.line, place.path.display());
    place
        .error_at(at..at + 1, Code::DataNotReadable, message, why, sources)
        .help("the file holds one object in each line; was it cut off?")
}

/// Parses a list of objects, or an object with such a list under `data`.
///
/// # Errors
/// A text that is neither.
pub fn listed(path: &Path, text: &str, sources: &mut Sources) -> Result<Vec<JsonRow>, Diagnostic> {
    let whole = FileRow { path, line: 1, text };
    let shown = path.display();
    const SHAPES: &str = "expected a list of objects, {\"data\": [objects]}, or an object in each line; \
        pandas writes one with `to_json(orient=\"records\")`";
    let value: Value = serde_json::from_str(text).map_err(|e| {
        let at = offset_of(text, e.line(), e.column());
        let message = format!("`{shown}` is not JSON");
        whole.error_at(at..at + 1, Code::DataNotReadable, message, reason(&e), sources).help(SHAPES)
    })?;
    let list = match value {
        Value::Array(list) => list,
        Value::Object(mut object) => match object.remove("data") {
            Some(Value::Array(list)) => list,
            _ => {
                let message = format!("`{shown}` holds no list of rows");
                return Err(whole
                    .error_at(0..1, Code::DataNotReadable, message, "this is no list", sources)
                    .help(SHAPES));
            }
        },
        _ => {
            let message = format!("`{shown}` holds no list of rows");
            return Err(whole
                .error_at(0..1, Code::DataNotReadable, message, "this is no list", sources)
                .help(SHAPES));
        }
    };
    let row = |(i, value): (usize, Value)| match value {
        Value::Object(object) => Ok(JsonRow { line: i + 1, object }),
        other => {
            let text = other.to_string();
            let message = format!("row {} of `{shown}` is no JSON object", i + 1);
            let place = FileRow { path, line: 1, text: &text };
            Err(place.error(Code::DataNotReadable, message, "in place of an object", sources).help(SHAPES))
        }
    };
    list.into_iter().enumerate().map(row).collect()
}

/// The message of `serde_json` without its position, which the diagnostic shows.
pub fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stand_in_lines_or_in_a_list() {
        assert!(is_lines("{\"a\": 1}\n{\"a\": 2}\n"));
        assert!(is_lines("\n{\"a\": 1}\n"), "one row");
        assert!(!is_lines("{\"data\": [\n{\"a\": 1}]}"));
        assert!(!is_lines("{\"data\": [{\"a\": 1}]}\n"));
        assert!(!is_lines("[{\"a\": 1}]"));
        let read = |text: &str| listed(Path::new("x.json"), text, &mut Sources::new());
        assert_eq!(read("[{\"a\": 1}, {\"a\": 2}]").unwrap()[1].line, 2);
        assert_eq!(read("{\"version\": 1, \"data\": [{\"a\": 1}]}").unwrap().len(), 1);
        for wrong in ["{\"text\": {\"0\": \"a\"}}", "3", "[1]", "[{\"a\": 1}", "{\"data\": {}}"] {
            assert_eq!(read(wrong).unwrap_err().code, Code::DataNotReadable, "{wrong}");
        }
    }

    #[test]
    fn a_line_that_is_cut_off_is_shown_where_it_ends() {
        let mut sources = Sources::new();
        let text = "{\"a\": \"x\"}\n{\"a\": \"y";
        let error = each_line(Path::new("x.jsonl"), text, &mut sources, |_, _, _| Ok(())).unwrap_err();
        let place = sources.line_column(error.primary.unwrap().span);
        assert_eq!((place.line, place.column), (2, 8));
    }
}
