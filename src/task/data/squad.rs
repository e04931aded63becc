//! Reads SQuAD v1.1 and v2.0: the original JSON, flat rows as `datasets` and `transformers` write them (JSON, JSON
//! lines), and Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::json_places::offset_of;

use super::answers::{Collected, RawQuestion};
use super::files::{self, FileRow};
use super::json_rows::{self, reason};
pub use super::questions::{Answer, Question, Questions, Version};
use super::splits::{DataSet, Split};
use super::squad_json::{Entry, File};
use super::squad_rows;

/// The file extensions of SQuAD.
const EXTENSIONS: &[&str] = &["json", "jsonl", "parquet"];

/// Reads a data set.
///
/// # Errors
/// Missing files, files that are not SQuAD of this version, answers that do not occur in their context, or a dev set
/// without any answer.
pub fn read(
    set: &DataSet,
    version: Version,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Questions, Diagnostic> {
    let mut read = |files: Vec<PathBuf>, split: Split| -> Result<Vec<Question>, Diagnostic> {
        let mut questions = Vec::new();
        for file in files {
            let mut collected = Collected::new(&file, version, split);
            read_file(&file, &mut collected, sources)?;
            questions.extend(collected.finish(set.options.skip_bad, notes)?);
        }
        Ok(questions)
    };
    let train = read(set.train(EXTENSIONS)?, Split::Train)?;
    let files = set.dev(EXTENSIONS, |_| true)?;
    let shown = files.first().map(|f| f.display().to_string()).unwrap_or_default();
    let dev = read(files, Split::Dev)?;
    if dev.iter().all(|question| question.answers.is_empty()) {
        let message = format!("no question of `{shown}` has an answer: nothing could be evaluated");
        return Err(Diagnostic::unlocated(Code::DataEmpty, message)
            .help("does it lack `answers`, as hidden test splits do? evaluate on the dev split"));
    }
    Ok(Questions { train, dev })
}

fn read_file(path: &Path, collected: &mut Collected, sources: &mut Sources) -> Result<(), Diagnostic> {
    let is = |name: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(name));
    if is("parquet") {
        return squad_rows::read(path, collected);
    }
    let text = files::text(path)?;
    if is("jsonl") || json_rows::is_lines(&text) {
        return read_lines(path, &text, collected, sources);
    }
    let file: File = serde_json::from_str(&text).map_err(|e| {
        let at = offset_of(&text, e.line(), e.column());
        not_squad(&FileRow { path, line: 1, text: &text }, at, &reason(&e), sources)
    })?;
    for (i, entry) in file.data.into_iter().enumerate() {
        if let Err(lacking) = add(entry, collected) {
            let message = format!("entry {} of `{}` {lacking}", i + 1, path.display());
            return Err(Diagnostic::unlocated(Code::ColumnMissing, message).help(SHAPES));
        }
    }
    Ok(())
}

fn read_lines(
    path: &Path,
    text: &str,
    collected: &mut Collected,
    sources: &mut Sources,
) -> Result<(), Diagnostic> {
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = FileRow { path, line: i + 1, text: line };
        json_rows::check_length(&place, sources)?;
        let entry: Entry = serde_json::from_str(line)
            .map_err(|e| not_squad(&place, offset_of(line, 1, e.column()), &reason(&e), sources))?;
        if let Err(lacking) = add(entry, collected) {
            let message = format!("line {} of `{}` {lacking}", i + 1, path.display());
            return Err(place.error(Code::ColumnMissing, message, "this row", sources).help(SHAPES));
        }
    }
    Ok(())
}

const SHAPES: &str = "expected {\"data\": [{\"paragraphs\": [{\"context\": …, \"qas\": [{\"id\", \"question\", \
    \"answers\"}]}]}]}, or rows of {\"id\", \"question\", \"context\", \"answers\"} under `data` or in lines";

fn not_squad(place: &FileRow, at: usize, why: &str, sources: &mut Sources) -> Diagnostic {
    let message = format!("`{}` is not SQuAD", place.path.display());
    place.error_at(at..at + 1, Code::DataNotReadable, message, why, sources).help(SHAPES)
}

/// Adds an article with its paragraphs, or one question.
fn add(entry: Entry, collected: &mut Collected) -> Result<(), String> {
    if let Some(paragraphs) = entry.paragraphs {
        for paragraph in paragraphs {
            let context: Arc<str> = paragraph.context.into();
            for raw in paragraph.qas {
                let answers = raw.answers.map(|a| a.0);
                let raw = RawQuestion { id: raw.id, question: raw.question, answers };
                collected.add(raw, &context);
            }
        }
        return Ok(());
    }
    match (entry.question, entry.context) {
        (Some(question), Some(context)) => {
            let id = entry.id.unwrap_or_else(|| format!("{}", collected.count() + 1));
            let raw = RawQuestion { id, question, answers: entry.answers.map(|a| a.0) };
            let context = collected.shared(context);
            collected.add(raw, &context);
            Ok(())
        }
        (None, _) => Err("has neither `paragraphs` nor a `question`".into()),
        (_, None) => Err("has a `question` without its `context`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::splits::{Need, ReadOptions};
    use super::*;

    fn read_as(name: &str, text: &str, version: Version) -> Result<(Vec<Question>, Vec<String>), Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut notes = Vec::new();
        let set = DataSet::new(&path, Need::Dev);
        super::read(&set, version, &mut Sources::new(), &mut notes).map(|q| (q.dev, notes))
    }

    fn read(json: &str) -> Result<Vec<Question>, Diagnostic> {
        read_as("dev.json", json, Version::One).map(|(questions, _)| questions)
    }

    fn nested(context: &str, answers: serde_json::Value) -> String {
        serde_json::json!({"data": [{"paragraphs": [{"context": context, "qas": [
            {"id": "q", "question": "?", "answers": answers}
        ]}]}]})
        .to_string()
    }

    fn one(context: &str, answer: &str, start: i64) -> String {
        nested(context, serde_json::json!([{"text": answer, "answer_start": start}]))
    }

    /// Reads `json` as the training set, with a valid dev set.
    fn train(json: &str, skip_bad: bool) -> Result<(Vec<Question>, Vec<String>), Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.json"), json).unwrap();
        std::fs::write(dir.path().join("dev.json"), one("abc", "c", 2)).unwrap();
        let options = ReadOptions { skip_bad, ..ReadOptions::default() };
        let set = DataSet { options, ..DataSet::new(dir.path(), Need::Both) };
        let mut notes = Vec::new();
        super::read(&set, Version::One, &mut Sources::new(), &mut notes).map(|q| (q.train, notes))
    }

    #[test]
    fn answers_are_counted_in_characters_and_kept_in_bytes() {
        let questions = read(&one("Übung macht den Meister", "macht", 6)).unwrap();
        assert_eq!(questions[0].answers[0].start, 7);
    }

    #[test]
    fn an_answer_is_found_by_its_text_where_its_place_is_wrong() {
        let (questions, notes) = train(&one("a def, b def, c", "def", 10), false).unwrap();
        assert_eq!(questions[0].answers[0].start, 9, "the nearest of two");
        assert!(
            notes[0].starts_with("1 question of")
                && notes[0].contains("has an answer")
                && notes[0].contains("question `q`"),
            "{notes:?}"
        );
        let (questions, _) = train(&one("abc def", " def ", 4), false).unwrap();
        assert_eq!((questions[0].answers[0].text.as_str(), questions[0].answers[0].start), ("def", 4));
    }

    #[test]
    fn an_answer_that_is_nowhere_is_refused_in_training_and_counts_in_evaluation() {
        for start in [3, -1, 99] {
            let error = train(&one("abc def", "xyz", start), false).unwrap_err();
            assert_eq!(error.code, Code::RowUnusable);
            assert!(error.message.contains("question `q`"), "{}", error.message);
            assert!(error.help.unwrap().contains("--skip-bad"));
        }
        let error = train(&one("abc def", "xyz", 3), true).unwrap_err();
        assert_eq!(error.code, Code::DataEmpty, "nothing is left");
        let (questions, notes) = read_as("dev.json", &one("abc def", "xyz", 3), Version::One).unwrap();
        assert_eq!((questions[0].answers[0].text.as_str(), questions[0].answers[0].start), ("xyz", 7));
        assert!(
            notes[0].starts_with("1 question of")
                && notes[0].contains("has a reference answer that is not in its context"),
            "{notes:?}"
        );
    }

    #[test]
    fn flat_rows_are_read_under_data_in_a_list_and_in_lines() {
        let lists = serde_json::json!({"id": 7, "title": "t", "question": "?", "context": "Ü b c",
            "answers": {"text": ["b", "c"], "answer_start": [2, 4]}});
        let pairs = serde_json::json!({"question": "?", "context": "Ü b c",
            "answers": [{"text": "b", "answer_start": 2}, {"text": "c", "answer_start": 4}]});
        let texts = [
            ("dev.json", serde_json::json!({"version": "1", "data": [&lists, &pairs]}).to_string()),
            ("dev.json", serde_json::json!([&lists, &pairs]).to_string()),
            ("dev.json", format!("{lists}\n{pairs}\n")),
            ("dev.jsonl", format!("{lists}\n\n{pairs}")),
        ];
        for (name, text) in texts {
            let (questions, _) = read_as(name, &text, Version::One).unwrap();
            assert_eq!(questions.iter().map(|q| q.id.as_str()).collect::<Vec<_>>(), ["7", "2"], "{text}");
            for question in questions {
                assert_eq!(question.answers.iter().map(|a| a.start).collect::<Vec<_>>(), [3, 5]);
            }
        }
        let lacking =
            read_as("dev.jsonl", "{\"question\": \"?\", \"answers\": []}", Version::One).unwrap_err();
        assert!(
            lacking.message.contains("line 1") && lacking.message.contains("context"),
            "{}",
            lacking.message
        );
        let uneven = lists.to_string().replace("[2,4]", "[2]");
        let error = read_as("dev.jsonl", &uneven, Version::One).unwrap_err();
        assert!(error.primary.unwrap().text.contains("2 texts and 1 place of answers"));
    }

    #[test]
    fn what_is_not_squad_is_refused() {
        assert_eq!(read("{").unwrap_err().code, Code::DataNotReadable);
        assert_eq!(read("{\"data\": 3}").unwrap_err().code, Code::DataNotReadable);
        assert_eq!(read("{\"data\": []}").unwrap_err().code, Code::DataEmpty);
        assert_eq!(read("{\"data\": [{\"title\": \"x\"}]}").unwrap_err().code, Code::ColumnMissing);
    }

    #[test]
    fn questions_without_answers_are_those_of_version_two_and_never_all_of_a_dev_split() {
        let without = nested("abc", serde_json::json!([]));
        let with = nested("abc", serde_json::json!([{"text": "b", "answer_start": 1}]));
        let error = train(&without, false).unwrap_err();
        assert!(error.message.contains("no answer") && error.help.unwrap().contains("squad_v2"));
        for text in [&without, &without.replace("\"answers\"", "\"others\"")] {
            for version in [Version::One, Version::Two] {
                let error = read_as("dev.json", text, version).unwrap_err();
                assert!(error.message.contains("has an answer") || error.message.contains("no answer"));
            }
        }
        let mut value: serde_json::Value = serde_json::from_str(&with).unwrap();
        let more: serde_json::Value = serde_json::from_str(&without).unwrap();
        value["data"].as_array_mut().unwrap().push(more["data"][0].clone());
        let (questions, _) = read_as("dev.json", &value.to_string(), Version::Two).unwrap();
        assert_eq!(questions.iter().map(|q| q.answers.len()).collect::<Vec<_>>(), [1, 0]);
    }
}
