//! Reads retrieval data in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, and judgements in `qrels/SPLIT.tsv`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Sources};

use super::files::{self, FileRow};
use super::json_rows::{JsonRow, each_line};
use super::splits::{DataSet, Split};
use super::table::Table;

/// Queries, documents, and which documents are relevant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retrieval {
    /// The documents: the title, if there is one, a space and the text.
    pub documents: Vec<String>,
    /// The queries that have a relevant document.
    pub queries: Vec<String>,
    /// The indices of the relevant documents of each query: those with a score above zero, in order.
    pub relevant: Vec<Vec<usize>>,
}

/// The folder of a retrieval data set, if the dev set is one.
pub fn folder(set: &DataSet) -> Option<PathBuf> {
    let folder = set.options.dev.unwrap_or(set.path);
    let is_there = |name: &str| folder.join(name).is_file();
    (is_there("corpus.jsonl") && is_there("queries.jsonl")).then(|| folder.to_owned())
}

/// Reads a folder, with the judgements of a split.
///
/// # Errors
/// Files that are missing or cannot be read, an id that occurs twice, an empty text, and judgements of unknown queries or
/// documents.
pub fn read(folder: &Path, split: Split, sources: &mut Sources) -> Result<Retrieval, Diagnostic> {
    let (names, documents) = texts(&folder.join("corpus.jsonl"), sources)?;
    let (asked, all_queries) = texts(&folder.join("queries.jsonl"), sources)?;
    let path = judgements(folder, split)?;
    let table = Table::read(&path, sources)?;
    let columns = ["query-id", "corpus-id", "score"];
    for column in columns {
        table.first_of(&[column], "judgements", sources)?;
    }
    let mut relevant: Vec<Vec<usize>> = vec![Vec::new(); all_queries.len()];
    for row in table.rows(&columns, sources)?.rows {
        let line = row.line;
        let mut cells = row.cells.into_iter().map(super::cell::Cell::into_text);
        let mut next = || cells.next().unwrap_or_default();
        let (query, document, score) = (next(), next(), next());
        let unknown = |what: &str, id: &str, file: &str, sources: &mut Sources| {
            let message = format!("line {line} of `{}` judges the {what} `{id}`", path.display());
            table
                .error(Code::JudgementUnknown, message, line, "this judgement", sources)
                .help(format!("`{file}` has no such `_id`: are the files of one data set?"))
        };
        let Some(query_index) = asked.get(&query) else {
            return Err(unknown("query", &query, "queries.jsonl", sources));
        };
        let Some(document_index) = names.get(&document) else {
            return Err(unknown("document", &document, "corpus.jsonl", sources));
        };
        let Some(score) = score.parse::<f64>().ok().filter(|score| score.is_finite()) else {
            let message = format!("line {line} of `{}` has the score `{score}`", path.display());
            return Err(table
                .error(Code::RowUnusable, message, line, "this judgement", sources)
                .help("a judgement has a number: 1 for a relevant document"));
        };
        if score > 0.0 {
            relevant[*query_index].push(*document_index);
        }
    }
    let judged = all_queries.into_iter().zip(relevant).filter(|(_, relevant)| !relevant.is_empty());
    let (queries, mut relevant): (Vec<String>, Vec<Vec<usize>>) = judged.unzip();
    for list in &mut relevant {
        list.sort_unstable();
        list.dedup();
    }
    if queries.is_empty() {
        let message = format!("`{}` has no relevant document", path.display());
        return Err(Diagnostic::unlocated(Code::DataEmpty, message).help("is it the right file?"));
    }
    Ok(Retrieval { documents, queries, relevant })
}

/// The file with the judgements of a split.
fn judgements(folder: &Path, split: Split) -> Result<PathBuf, Diagnostic> {
    let file = |split: Split| split.prefixes().iter().map(move |name| format!("qrels/{name}.tsv"));
    let there = |split: Split| file(split).map(|name| folder.join(name)).find(|path| path.is_file());
    there(split).ok_or_else(|| {
        let wanted: Vec<String> = file(split).collect();
        let message = format!("`{}` has no {}", folder.display(), wanted.join(" or "));
        let missing = Diagnostic::unlocated(Code::DataNotFound, message);
        match there(Split::Test) {
            Some(_) => missing.help("evaluate on the test split: `--split test`"),
            None => missing.help("judgements have the columns query-id, corpus-id and score"),
        }
    })
}

/// The texts of a file, and the index of each id.
fn texts(path: &Path, sources: &mut Sources) -> Result<(HashMap<String, usize>, Vec<String>), Diagnostic> {
    let content = files::text(path)?;
    let (mut ids, mut texts) = (HashMap::new(), Vec::new());
    let mut lines: Vec<usize> = Vec::new();
    each_line(path, &content, sources, |JsonRow { line, object }, row, sources| {
        let place = FileRow { path, line, text: row };
        let shown = path.display();
        let Some(id) = id(&object) else {
            let message = format!("line {line} of `{shown}` has no `_id`");
            return Err(place
                .error(Code::RowUnusable, message, "this object", sources)
                .help("as {\"_id\": \"7\", \"title\": \"\", \"text\": \"…\"}"));
        };
        let part = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("").trim();
        let text = format!("{} {}", part("title"), part("text"));
        if text.trim().is_empty() {
            let message = format!("line {line} of `{shown}` has an empty text");
            return Err(place
                .error(Code::RowUnusable, message, "this object", sources)
                .help("an embedding needs a text: remove the line, and judgements of it"));
        }
        if let Some(before) = ids.insert(id.clone(), texts.len()) {
            let message = format!("lines {} and {line} of `{shown}` have the `_id` `{id}`", lines[before]);
            return Err(place
                .error(Code::IdTwice, message, "the same id", sources)
                .help("judgements name texts by their ids: give each text its own"));
        }
        lines.push(line);
        texts.push(text.trim().to_owned());
        Ok(())
    })?;
    Ok((ids, texts))
}

fn id(object: &Map<String, Value>) -> Option<String> {
    match object.get("_id")? {
        Value::String(id) => Some(id.trim().to_owned()).filter(|id| !id.is_empty()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::splits::{Need, ReadOptions};
    use super::*;

    const CORPUS: &str =
        "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"one\"}\n{\"_id\": 2, \"text\": \"two\"}\n";
    const QUERIES: &str = "{\"_id\": \"q1\", \"text\": \"first\"}\n{\"_id\": \"q2\", \"text\": \"second\"}\n";
    const HEAD: &str = "query-id\tcorpus-id\tscore\n";

    fn read(corpus: &str, queries: &str, judgements: &str) -> Result<Retrieval, Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("qrels")).unwrap();
        std::fs::write(dir.path().join("corpus.jsonl"), corpus).unwrap();
        std::fs::write(dir.path().join("queries.jsonl"), queries).unwrap();
        std::fs::write(dir.path().join("qrels/test.tsv"), format!("{HEAD}{judgements}")).unwrap();
        let set = DataSet::new(dir.path(), Need::Dev);
        assert!(folder(&set).is_some());
        let error = super::read(dir.path(), set.options.split, &mut Sources::new()).unwrap_err();
        assert!(error.code != Code::DataNotFound || error.help.unwrap().contains("--split test"));
        let options = ReadOptions { split: Split::Test, ..ReadOptions::default() };
        super::read(dir.path(), options.split, &mut Sources::new())
    }

    #[test]
    fn documents_have_their_titles_and_queries_without_relevant_ones_are_left_out() {
        let data = read(CORPUS, QUERIES, "q1\t2\t1\nq1\td1\t0\nq2\td1\t0\n").unwrap();
        assert_eq!(data.documents, ["T one", "two"]);
        assert_eq!((data.queries, data.relevant), (vec!["first".to_owned()], vec![vec![1]]));
    }

    #[test]
    fn ids_that_occur_twice_or_nowhere_and_empty_texts_are_refused() {
        let judged = "q1\td1\t1\n";
        let twice = format!("{CORPUS}{{\"_id\": \"d1\", \"text\": \"again\"}}\n");
        let error = read(&twice, QUERIES, judged).unwrap_err();
        assert_eq!(error.code, Code::IdTwice);
        assert!(error.message.contains("lines 1 and 3"), "{}", error.message);
        for wrong in ["q1\td9\t1\n", "q9\td1\t1\n"] {
            let error = read(CORPUS, QUERIES, &format!("{judged}{wrong}")).unwrap_err();
            assert!(
                error.code == Code::JudgementUnknown && error.message.contains("line 3"),
                "{}",
                error.message
            );
        }
        let empty = CORPUS.replace("two", " ");
        assert_eq!(read(&empty, QUERIES, judged).unwrap_err().code, Code::RowUnusable);
        assert_eq!(read(CORPUS, QUERIES, "q1\td1\tyes\n").unwrap_err().code, Code::RowUnusable);
        assert_eq!(read(CORPUS, QUERIES, "q1\td1\t0\n").unwrap_err().code, Code::DataEmpty);
    }
}
