//! Reads CoNLL files: a word and its tag in each line, separated by white space, and an empty line after each sentence.

use std::path::Path;

use crate::diag::{Code, Diagnostic, Sources};

use super::files::{self, FileRow};

/// The file extensions of CoNLL files.
pub const EXTENSIONS: &[&str] = &["conll", "txt", "bio", "iob", "iob2"];

/// A sentence, with the line where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The first line, from 1.
    pub line: usize,
    /// Its words: the first column.
    pub words: Vec<String>,
    /// Their tags: the last column.
    pub tags: Vec<String>,
}

/// Reads the sentences of a file. Columns between the first and the last are ignored, as are `-DOCSTART-` lines.
///
/// # Errors
/// A file that cannot be read or is empty, or a line without a tag.
pub fn read(path: &Path, sources: &mut Sources) -> Result<Vec<Lines>, Diagnostic> {
    let text = files::text(path)?;
    let mut list: Vec<Lines> = Vec::new();
    let mut open = false;
    for (i, line) in text.lines().enumerate() {
        let columns: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        let [word, .., tag] = columns.as_slice() else {
            if !line.trim().is_empty() {
                let message = format!("line {} of `{}` has a word and no tag", i + 1, path.display());
                return Err(FileRow { path, line: i + 1, text: line }
                    .error(Code::RowUnusable, message, "this line", sources)
                    .help("a line has a word and, behind a space or a tab, its tag: `Paris B-LOC`"));
            }
            open = false;
            continue;
        };
        if *word == "-DOCSTART-" {
            open = false;
            continue;
        }
        if !open {
            list.push(Lines { line: i + 1, words: Vec::new(), tags: Vec::new() });
            open = true;
        }
        if let Some(sentence) = list.last_mut() {
            sentence.words.push((*word).to_owned());
            sentence.tags.push((*tag).to_owned());
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Lines>, Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.txt");
        std::fs::write(&path, text).unwrap();
        super::read(&path, &mut Sources::new())
    }

    #[test]
    fn sentences_end_at_empty_lines_and_the_last_column_is_the_tag() {
        let text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n \nPeter\tB-PER\n";
        let list = read(text).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].line, &list[0].words[..]), (3, &["EU".to_owned(), "rejects".to_owned()][..]));
        assert_eq!(list[0].tags, ["B-ORG", "O"]);
        assert_eq!((list[1].line, &list[1].tags[..]), (7, &["B-PER".to_owned()][..]));
        let error = read("EU B-ORG\nrejects\n").unwrap_err();
        assert!(error.code == Code::RowUnusable && error.message.contains("line 2"), "{}", error.message);
        assert_eq!(read("\n").unwrap_err().code, Code::DataEmpty);
    }
}
