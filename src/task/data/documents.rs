//! Documents for language models, packed into sequences of one length.

use std::path::Path;

use rayon::prelude::*;

use crate::diag::{Code, Diagnostic, Sources};
use crate::text::Tokenizer;

use super::cache::{Counter, Inputs, Progress};
use super::files::{self, DEV, TRAIN};
use super::rows::Table;
use super::squad::Need;

/// The extensions of texts: plain, or JSON lines or rows of a Parquet file with a `text` each.
const EXTENSIONS: &[&str] = &["txt", "jsonl", "parquet"];

/// The documents of both halves.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// To train on.
    pub train: Vec<String>,
    /// Held out, to measure on.
    pub dev: Vec<String>,
}

/// Reads the texts of a folder. In a plain text, documents stand between empty lines; in JSON
/// lines and Parquet files each `text` is one.
///
/// # Errors
/// Files that are missing, empty or unreadable.
pub fn read_folder(folder: &Path, need: Need, sources: &mut Sources) -> Result<Documents, Diagnostic> {
    let mut read = |prefixes: &[&str]| -> Result<Vec<String>, Diagnostic> {
        let mut all = Vec::new();
        for file in files::find(folder, prefixes, EXTENSIONS)? {
            all.extend(read_file(&file, sources)?);
        }
        Ok(all)
    };
    let train = if need == Need::Both { read(TRAIN)? } else { Vec::new() };
    Ok(Documents { train, dev: read(DEV)? })
}

fn read_file(path: &Path, sources: &mut Sources) -> Result<Vec<String>, Diagnostic> {
    if path.extension().is_some_and(|e| e == "jsonl" || e == "parquet") {
        let table = Table::read(path, sources)?;
        let column = table.first_of(&["text"], "text", sources)?;
        let rows = table.rows(&[column], sources)?.rows;
        let texts: Vec<String> =
            rows.into_iter().filter_map(|mut row| row.cells.pop()).filter(|t| !t.is_empty()).collect();
        return match texts.is_empty() {
            false => Ok(texts),
            true => {
                Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{}` holds no text", path.display()))
                    .help("is it the right file?"))
            }
        };
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

/// What sequences of a language model are made of.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Texts<'a> {
    /// The documents, in order.
    pub documents: &'a [String],
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The longest sequence, in tokens.
    pub max_length: usize,
}

impl Inputs for Texts<'_> {
    type Feature = Vec<u32>;
    const KIND: &'static str = "masked language modelling";

    /// `[CLS] tokens [SEP]` sequences of at most `max_length` tokens: the documents are concatenated with
    /// `[SEP]` between them, so that only the last sequence may be shorter.
    ///
    /// # Errors
    /// A tokenizer that fails.
    fn make(&self, progress: &Progress) -> Result<Vec<Vec<u32>>, Diagnostic> {
        let Texts { documents, tokenizer, max_length } = *self;
        let counter = Counter::new(documents.len(), progress);
        let each: Result<Vec<Vec<u32>>, String> = documents
            .par_iter()
            .map(|text| {
                let ids = tokenizer.encode(text)?.ids;
                counter.one();
                Ok(ids)
            })
            .collect();
        let each = each.map_err(|why| {
            Diagnostic::unlocated(Code::TokenizerNotReadable, format!("a text cannot be tokenized: {why}"))
                .help("is the tokenizer the model's own?")
        })?;
        let mut stream: Vec<u32> = Vec::new();
        for ids in each.iter().filter(|ids| !ids.is_empty()) {
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
    use super::super::cache::unwatched;
    use super::*;

    #[test]
    fn documents_stand_between_empty_lines_or_one_in_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("train.txt");
        std::fs::write(&plain, "\n = Title = \none\n\n\ntwo\nthree\n").unwrap();
        let mut sources = Sources::new();
        assert_eq!(read_file(&plain, &mut sources).unwrap(), ["= Title =\none", "two\nthree"]);
        let lines = dir.path().join("dev.jsonl");
        std::fs::write(&lines, "{\"text\": \"one\\n\\ntwo\"}\n{\"text\": \"\"}\n").unwrap();
        assert_eq!(read_file(&lines, &mut sources).unwrap(), ["one\n\ntwo"]);
        std::fs::write(&lines, "{\"body\": \"one\"}\n").unwrap();
        assert_eq!(read_file(&lines, &mut sources).unwrap_err().code, Code::ColumnMissing);
    }

    #[test]
    fn documents_are_packed_whole_and_nothing_is_lost() {
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e";
        let tokenizer = Tokenizer::from_vocabulary(words.split(' ').map(str::to_owned), true).unwrap();
        let documents = ["a b c", "d e", "a"].map(str::to_owned);
        let texts = Texts { documents: &documents, tokenizer: &tokenizer, max_length: 6 };
        let packed = texts.make(&unwatched).unwrap();
        // a b c [SEP] | d e [SEP] a
        assert_eq!(packed, [vec![2, 5, 6, 7, 3, 3], vec![2, 8, 9, 3, 5, 3]]);
    }
}
