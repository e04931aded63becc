//! The files of a data folder: which ones there are, and their text.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, Span};

/// The halves of a data set, by the beginnings of their files' names.
pub const TRAIN: &[&str] = &["train"];
/// Held-out files: GLUE says `dev`, others `validation` or `valid`.
pub const DEV: &[&str] = &["dev", "valid"];

/// The files of a folder whose names begin with one of `prefixes` and end with one of
/// `extensions`, by name.
///
/// # Errors
/// A folder that is none, cannot be read, or holds no such file.
pub fn find(folder: &Path, prefixes: &[&str], extensions: &[&str]) -> Result<Vec<PathBuf>, Diagnostic> {
    let wanted = || {
        let names: Vec<String> = prefixes.iter().map(|p| format!("{p}*")).collect();
        format!("{} ({})", names.join(" or "), extensions.join(", "))
    };
    let lacks = |what: String| {
        Diagnostic::unlocated(Code::DataNotFound, format!("`{}` {what}", folder.display()))
            .help(format!("give a folder with files called {}: `--data DIR`", wanted()))
    };
    if !folder.is_dir() {
        let what = if folder.exists() { "is a file, not a folder" } else { "does not exist" };
        return Err(lacks(format!("{what}, so there is no data")));
    }
    let entries = std::fs::read_dir(folder).map_err(|e| lacks(format!("cannot be read: {e}")))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            prefixes.iter().any(|p| name.starts_with(p)) && extensions.contains(&extension) && path.is_file()
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(lacks(format!("holds no {}", wanted())));
    }
    match missing_part(&files) {
        Some(part) => Err(Diagnostic::unlocated(
            Code::DataNotFound,
            format!("`{}` lacks the part `{part}`", folder.display()),
        )
        .help("download the missing part of the data set")),
        None => Ok(files),
    }
}

/// The first part that is missing of a data set in parts: `train-00000-of-00002.parquet`.
fn missing_part(files: &[PathBuf]) -> Option<String> {
    let names: Vec<&str> = files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    names.iter().find_map(|name| {
        let (stem, extension) = name.rsplit_once('.')?;
        let (front, count) = stem.rsplit_once("-of-")?;
        let (front, number) = front.rsplit_once('-')?;
        number.parse::<u32>().ok()?;
        let (width, parts) = (count.len(), count.parse::<u32>().ok()?);
        let part = |i: u32| format!("{front}-{i:0width$}-of-{count}.{extension}");
        (0..parts.min(100_000)).map(part).find(|part| !names.contains(&part.as_str()))
    })
}

/// A file's text, without a byte-order mark.
///
/// # Errors
/// A file that cannot be read, is empty, or is not UTF-8.
pub fn text(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::DataNotReadable, format!("cannot read `{shown}`: {why}"))
            .help("save it as UTF-8 text")
    };
    let mut bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(unreadable("it is UTF-16, not UTF-8".into()));
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        unreadable(format!("line {line} is not UTF-8, from byte {at} of the file on"))
    })?;
    if text.trim().is_empty() {
        return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{shown}` is empty"))
            .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(text)
}

/// An error that shows the line where it is. Data sets are large: of a long line only the
/// beginning is shown.
pub fn in_line(
    code: Code,
    message: impl Into<String>,
    (path, line, text): (&Path, usize, &str),
    label: impl Into<String>,
    sources: &mut Sources,
) -> Diagnostic {
    const SHOWN: usize = 120;
    let end = (0..=text.len().min(SHOWN)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let file = sources.add(format!("{}:{line}", path.display()), &text[..end]);
    Diagnostic::error(code, message, Span::new(file, 0..end.max(1).min(text.len().max(1))), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_encodings_and_empty_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            text(&path)
        };
        assert_eq!(read(b"\xEF\xBB\xBFa\tb\n").unwrap(), "a\tb\n");
        assert!(read(b"\xFF\xFEa\0").unwrap_err().message.contains("UTF-16"));
        assert!(read(b"ok\nna\xEFve\n").unwrap_err().message.contains("line 2"));
        assert_eq!(read(b" \n").unwrap_err().code, Code::DataEmpty);
    }

    #[test]
    fn a_missing_part_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), "x").unwrap();
        write("train-00000-of-00003.parquet");
        write("train-00002-of-00003.parquet");
        let error = find(dir.path(), TRAIN, &["parquet"]).unwrap_err();
        assert!(error.message.contains("lacks the part `train-00001-of-00003.parquet`"), "{}", error.message);
        write("train-00001-of-00003.parquet");
        let names = find(dir.path(), TRAIN, &["parquet"]).unwrap();
        assert!(names.is_sorted() && names.len() == 3);
    }

    #[test]
    fn files_are_found_by_how_their_names_begin_and_end() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["dev_matched.tsv", "dev_mismatched.tsv", "dev.md", "test.tsv", "validation.csv"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = find(dir.path(), DEV, &["tsv", "csv"]).unwrap();
        assert_eq!(found.len(), 3);
        let error = find(dir.path(), TRAIN, &["tsv"]).unwrap_err();
        assert_eq!(error.code, Code::DataNotFound);
        assert!(error.message.contains("train*"), "{}", error.message);
    }
}
