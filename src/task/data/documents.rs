//! Documents for masked language modelling, packed into sequences of equal length.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic, Sources, agreeing};
use crate::text::Tokenizer;

use super::cache::{Counter, FeatureInputs, Progress};
use super::cell::Cell;
use super::files;
use super::pairs::token_ids;
use super::splits::DataSet;
use super::table::Table;

/// The file extensions of documents: plain text, or tables with a column `text`.
const EXTENSIONS: &[&str] = &["txt", "jsonl", "json", "parquet"];

/// The documents of a data set.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The training set.
    pub train: Vec<String>,
    /// The dev set.
    pub dev: Vec<String>,
}

/// Reads the documents of a data set. In plain text files empty lines separate documents; in JSON and Parquet files
/// each `text` is a document.
///
/// # Errors
/// Files that are missing, empty or unreadable.
pub fn read(set: &DataSet, sources: &mut Sources, notes: &mut Vec<String>) -> Result<Documents, Diagnostic> {
    let mut read = |files: Vec<PathBuf>| -> Result<Vec<String>, Diagnostic> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_file(&file, sources, notes)?);
        }
        Ok(all)
    };
    let train = read(set.train(EXTENSIONS)?)?;
    Ok(Documents { train, dev: read(set.dev(EXTENSIONS, |_| true)?)? })
}

fn read_file(path: &Path, sources: &mut Sources, notes: &mut Vec<String>) -> Result<Vec<String>, Diagnostic> {
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("txt")) {
        let table = Table::read(path, sources)?;
        let column = table.first_of(&["text"], "text", sources)?;
        let rows = table.rows(&[column], sources)?.rows;
        if let Some(row) = rows.iter().find(|row| row.cells.iter().any(Cell::is_list)) {
            let message =
                format!("{} {} of `{}` has a list for `text`", table.unit(), row.line, path.display());
            let is_parquet = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
            let code = if is_parquet { Code::ParquetColumn } else { Code::DataNotReadable };
            return Err(table
                .error(code, message, row.line, "this row", sources)
                .help("every row needs one text"));
        }
        let count = rows.len();
        let texts = rows.into_iter().filter_map(|mut row| row.cells.pop()).map(Cell::into_text);
        let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return Err(Diagnostic::unlocated(
                Code::DataEmpty,
                format!("`{}` holds no text", path.display()),
            )
            .help("is it the right file?"));
        }
        if texts.len() < count {
            let (empty, shown) = (count - texts.len(), path.display());
            let what = agreeing(&empty, "has no text and is left out", "have no text and are left out");
            notes.push(format!("{empty} of {count} rows of `{shown}` {what}"));
        }
        return Ok(texts);
    }
    let text = files::text(path)?;
    let mut documents = vec![String::new()];
    for line in text.lines() {
        match (line.trim(), documents.last_mut()) {
            ("", Some(last)) if !last.is_empty() => documents.push(String::new()),
            (line, Some(last)) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            _ => {}
        }
    }
    documents.retain(|d| !d.is_empty());
    Ok(documents)
}

/// A data set of texts before tokenization: everything that the token sequences of masked language modelling are
/// computed from. Its hash is part of the key in the cache.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Texts<'a> {
    /// The documents, in order.
    pub documents: &'a [String],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The maximum length of a sequence, in tokens.
    pub max_length: usize,
}

impl FeatureInputs for Texts<'_> {
    type Feature = Vec<u32>;
    const KIND: &'static str = "masked language modelling";

    /// Concatenates the documents with `[SEP]` between them and cuts them into sequences `[CLS] tokens [SEP]` of
    /// `max_length` tokens; only the last one can be shorter.
    ///
    /// # Errors
    /// A tokenizer that fails.
    fn make(&self, progress: &Progress) -> Result<Vec<Vec<u32>>, Diagnostic> {
        let Texts { documents, tokenizer, max_length } = *self;
        let counter = Counter::new(documents.len(), progress);
        let encode = |text: &String| {
            let ids = token_ids(tokenizer, text)?;
            counter.one();
            Ok(ids)
        };
        let each: Result<Vec<Vec<u32>>, Diagnostic> = documents.par_iter().map(encode).collect();
        let mut stream: Vec<u32> = Vec::new();
        for ids in each?.iter().filter(|ids| !ids.is_empty()) {
            if !stream.is_empty() {
                stream.push(tokenizer.sep());
            }
            stream.extend(ids);
        }
        let room = max_length.saturating_sub(2).max(1);
        let wrap = |part: &[u32]| {
            let mut ids = Vec::with_capacity(part.len() + 2);
            ids.push(tokenizer.cls());
            ids.extend(part);
            ids.push(tokenizer.sep());
            ids
        };
        Ok(stream.chunks(room).map(wrap).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::no_progress;
    use super::*;

    #[test]
    fn documents_stand_between_empty_lines_or_one_in_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("train.txt");
        std::fs::write(&plain, "\n = Title = \none\n\n\ntwo\nthree\n").unwrap();
        let mut sources = Sources::new();
        assert_eq!(
            read_file(&plain, &mut sources, &mut Vec::new()).unwrap(),
            ["= Title =\none", "two\nthree"]
        );
        let lines = dir.path().join("dev.jsonl");
        let mut notes = Vec::new();
        std::fs::write(&lines, "{\"text\": \"one\\n\\ntwo\"}\n{\"text\": \"\"}\n").unwrap();
        assert_eq!(read_file(&lines, &mut sources, &mut notes).unwrap(), ["one\n\ntwo"]);
        assert!(notes[0].contains("1 of 2 rows"), "{notes:?}");
        std::fs::write(&lines, "{\"body\": \"one\"}\n").unwrap();
        assert_eq!(read_file(&lines, &mut sources, &mut notes).unwrap_err().code, Code::ColumnMissing);
    }

    #[test]
    fn documents_are_packed_whole_and_nothing_is_lost() {
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e";
        let tokenizer = Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap();
        let documents = ["a b c", "d e", "a"].map(str::to_owned);
        let texts = Texts { documents: &documents, tokenizer: &tokenizer, max_length: 6 };
        let packed = texts.make(&no_progress).unwrap();
        // a b c [SEP] | d e [SEP] a
        assert_eq!(packed, [vec![2, 5, 6, 7, 3, 3], vec![2, 8, 9, 3, 5, 3]]);
    }
}
