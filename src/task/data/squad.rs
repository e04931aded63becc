//! Questions and answers of SQuAD, v1.1 and v2.0, from its JSON or from Parquet files.

use std::path::Path;

use serde::Deserialize;

use crate::diag::{Code, Diagnostic, Sources, Span};
use crate::params::folder::offset_of;

use super::files::{self, DEV, TRAIN};
use super::squad_rows;

/// The extensions of SQuAD's files.
const EXTENSIONS: &[&str] = &["json", "parquet"];

/// A question about a text, with its reference answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The data set's identity of it.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text that holds the answer.
    pub context: std::sync::Arc<str>,
    /// The reference answers; training uses the first. None if the text does not answer it.
    pub answers: Vec<Answer>,
}

/// A reference answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Where it begins in the context, in bytes.
    pub start: usize,
}

/// The two halves of a data set.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// To train on.
    pub train: Vec<Question>,
    /// Held out, to measure on.
    pub dev: Vec<Question>,
}

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<RawQuestion>,
}

/// A question as a file has it.
#[derive(Deserialize)]
pub(super) struct RawQuestion {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) id: String,
    pub(super) question: String,
    pub(super) answers: Option<Vec<RawAnswer>>,
}

/// An answer as a file has it: where it begins is counted in characters.
#[derive(Deserialize)]
pub(super) struct RawAnswer {
    pub(super) text: String,
    pub(super) answer_start: i64,
}

/// Which SQuAD it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// v1.1: every question has an answer.
    One,
    /// v2.0: some have none.
    Two,
}

/// Which halves are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Training and held-out questions.
    Both,
    /// Held-out questions only.
    Dev,
}

/// Reads the files of a folder whose names begin with `train` and `dev` or `valid`, JSON or Parquet.
///
/// # Errors
/// Files that are missing or are not SQuAD of this version, as diagnostics that point into them.
pub fn read_folder(
    folder: &Path,
    need: Need,
    version: Version,
    sources: &mut Sources,
) -> Result<Split, Diagnostic> {
    let mut read = |prefixes: &[&str]| -> Result<Vec<Question>, Diagnostic> {
        let mut questions = Vec::new();
        for file in files::find(folder, prefixes, EXTENSIONS)? {
            questions.extend(read_file(&file, version, sources)?);
        }
        Ok(questions)
    };
    let train = if need == Need::Both { read(TRAIN)? } else { Vec::new() };
    Ok(Split { train, dev: read(DEV)? })
}

/// Reads one file.
///
/// # Errors
/// A file that is not SQuAD of this version, as a diagnostic that points into it.
pub fn read_file(path: &Path, version: Version, sources: &mut Sources) -> Result<Vec<Question>, Diagnostic> {
    if path.extension().is_some_and(|e| e == "parquet") {
        return squad_rows::read(path, version);
    }
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| {
        Diagnostic::unlocated(Code::DataNotReadable, format!("cannot read `{shown}`: {e}"))
            .help("is it a text file in UTF-8?")
    })?;
    let file: File = serde_json::from_str(&text).map_err(|e| {
        let at = offset_of(&text, e.line(), e.column());
        // Data sets are large and often one line: only what is near the mistake is shown.
        let (start, end) = (floor(&text, at.saturating_sub(40)), floor(&text, (at + 40).min(text.len())));
        let near = sources.add(format!("{shown}:{}:{}", e.line(), e.column()), &text[start..end]);
        let here = at.min(end.saturating_sub(1)).max(start) - start;
        Diagnostic::error(
            Code::DataNotReadable,
            "this is not SQuAD v1.1",
            Span::new(near, here..here + 1),
            e.to_string(),
        )
        .help("expected {\"data\": [{\"paragraphs\": [{\"context\": …, \"qas\": [{\"id\", \"question\", \"answers\"}]}]}]}")
    })?;
    let mut questions = Vec::new();
    for paragraph in file.data.into_iter().flat_map(|a| a.paragraphs) {
        let context: std::sync::Arc<str> = paragraph.context.into();
        for raw in paragraph.qas {
            questions.push(question(raw, &context, version, &shown)?);
        }
    }
    if questions.is_empty() {
        return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{shown}` holds no question"))
            .help("is it the right file?"));
    }
    Ok(questions)
}

/// Checks that every answer stands where it says.
pub(super) fn question(
    raw: RawQuestion,
    context: &std::sync::Arc<str>,
    version: Version,
    file: &str,
) -> Result<Question, Diagnostic> {
    let wrong = |what: String| {
        Diagnostic::unlocated(Code::DataNotReadable, format!("question `{}` in `{file}` {what}", raw.id))
    };
    let answers = raw.answers.unwrap_or_default();
    if answers.is_empty() && version == Version::One {
        return Err(wrong("has no answer".into())
            .help("SQuAD v1.1 answers every question; for v2.0 say `data: squad_v2`"));
    }
    let mut list = Vec::new();
    for answer in answers {
        let at = usize::try_from(answer.answer_start)
            .ok()
            .and_then(|n| context.char_indices().map(|(i, _)| i).chain([context.len()]).nth(n));
        let found = at.and_then(|at| context.get(at..)).is_some_and(|rest| rest.starts_with(&answer.text));
        match at.filter(|_| found) {
            Some(start) => list.push(Answer { text: answer.text, start }),
            None => {
                return Err(wrong(format!(
                    "says its answer begins at character {}, where the context reads otherwise",
                    answer.answer_start
                ))
                .help("`answer_start` counts characters, not bytes, from 0"));
            }
        }
    }
    Ok(Question { id: raw.id, question: raw.question, context: context.clone(), answers: list })
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(i64),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<Question>, Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.json");
        std::fs::write(&path, json).unwrap();
        read_file(&path, Version::One, &mut Sources::new())
    }

    fn one(context: &str, answer: &str, start: i64) -> String {
        serde_json::json!({"data": [{"paragraphs": [{"context": context, "qas": [
            {"id": "q", "question": "?", "answers": [{"text": answer, "answer_start": start}]}
        ]}]}]})
        .to_string()
    }

    #[test]
    fn answers_are_counted_in_characters_and_kept_in_bytes() {
        let questions = read(&one("Übung macht den Meister", "macht", 6)).unwrap();
        assert_eq!(questions[0].answers[0].start, 7);
    }

    #[test]
    fn a_wrong_place_is_refused() {
        let error = read(&one("abc def", "def", 3)).unwrap_err();
        assert!(error.message.contains("begins at character 3"), "{}", error.message);
        assert!(read(&one("abc", "c", -1)).is_err());
        assert!(read(&one("abc", "c", 99)).is_err());
    }

    #[test]
    fn what_is_not_squad_is_refused() {
        assert_eq!(read("{").unwrap_err().code, Code::DataNotReadable);
        assert_eq!(read("{\"data\": 3}").unwrap_err().code, Code::DataNotReadable);
        assert_eq!(read("{\"data\": []}").unwrap_err().code, Code::DataEmpty);
        let unanswered = one("abc", "c", 2).replace(r#"[{"answer_start":2,"text":"c"}]"#, "[]");
        let unanswered = unanswered.replace(r#"[{"text":"c","answer_start":2}]"#, "[]");
        assert!(read(&unanswered).unwrap_err().message.contains("no answer"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.json");
        std::fs::write(&path, &unanswered).unwrap();
        let questions = read_file(&path, Version::Two, &mut Sources::new()).unwrap();
        assert!(questions[0].answers.is_empty(), "v2.0 has such questions");
    }
}
