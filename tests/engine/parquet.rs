//! Parquet files in the columns of `datasets`, recorded by pyarrow (`tests/oracle/parquet.py`).

use std::path::{Path, PathBuf};

use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::schedule::ir::Columns;
use obert::internals::task::data::documents;
use obert::internals::task::data::labelled::{self, Labelled};
use obert::internals::task::data::layout::Layout;
use obert::internals::task::data::splits::{DataSet, Need};
use obert::internals::task::data::squad::{self, Questions, Version};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet").join(name)
}

/// A folder with these recorded files under other names.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (recorded, name) in files {
        std::fs::copy(golden(recorded), dir.path().join(name)).unwrap();
    }
    dir
}

fn answers(files: &[(&str, &str)], version: Version) -> Result<Questions, Diagnostic> {
    let dir = folder(files);
    squad::read(&DataSet::new(dir.path(), Need::Dev), version, &mut Sources::new(), &mut Vec::new())
}

fn labels(files: &[(&str, &str)], layout: Layout) -> Result<(Labelled, Vec<String>), Diagnostic> {
    let mut notes = Vec::new();
    let dir = folder(files);
    labelled::read(&DataSet::new(dir.path(), Need::Dev), layout, &mut Sources::new(), &mut notes)
        .map(|data| (data, notes))
}

fn texts(file: &str) -> Result<Vec<String>, Diagnostic> {
    let dir = folder(&[(file, "validation.parquet")]);
    documents::read(&DataSet::new(dir.path(), Need::Dev), &mut Sources::new(), &mut Vec::new()).map(|d| d.dev)
}

#[test]
fn questions_are_read_from_all_parts_in_order() {
    let parts = [
        ("squad-00000-of-00002.parquet", "validation-00000-of-00002.parquet"),
        ("squad-00001-of-00002.parquet", "validation-00001-of-00002.parquet"),
    ];
    let read = answers(&parts, Version::One).unwrap().dev;
    let ids: Vec<&str> = read.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids, ["q1", "q2", "q4"]);
    assert_eq!(read[1].question, "Where did the cat sit?");
    let of_second: Vec<_> = read[1].answers.iter().map(|a| (a.text.as_str(), a.start)).collect();
    // Counted in characters in the file, in bytes here: the context begins with an umlaut.
    assert_eq!(of_second, [("on the mat", 38), ("the mat", 41)]);
    for question in &read {
        for answer in &question.answers {
            assert!(question.context[answer.start..].starts_with(&answer.text));
        }
    }
    let error = answers(&parts[1..], Version::One).unwrap_err();
    assert_eq!(error.code, Code::DataNotFound);
    assert!(
        error.message.contains("lacks the part `validation-00000-of-00002.parquet`"),
        "{}",
        error.message
    );
}

#[test]
fn questions_without_answers_and_answers_in_the_other_layout_are_read() {
    let read = answers(&[("squad_v2.parquet", "dev.parquet")], Version::Two).unwrap().dev;
    assert_eq!(read.iter().map(|q| q.answers.len()).collect::<Vec<_>>(), [1, 2, 0, 1]);
    let error = answers(&[("squad_v2.parquet", "dev.parquet")], Version::One).unwrap_err();
    assert!(error.message.contains("question `q3`") && error.message.contains("has no answer"));
    let read = answers(&[("squad_listed.parquet", "dev.parquet")], Version::One).unwrap().dev;
    assert_eq!((read[0].id.as_str(), read[0].answers[0].start), ("7", 50));
}

#[test]
fn classes_have_the_names_that_the_file_gives_them_and_minus_one_is_none() {
    let (data, notes) = labels(&[("mnli.parquet", "validation_matched.parquet")], Layout::mnli()).unwrap();
    let read: Vec<_> = data.dev[0].examples.iter().map(|e| (e.text.as_str(), e.label.as_str())).collect();
    let expected = [("a cat sat", "entailment"), ("a dog ran", "contradiction"), ("a rat hid", "neutral")];
    assert_eq!(read, expected);
    assert!(
        notes[0].starts_with("1 row of") && notes[0].contains("has no label and is left out"),
        "{notes:?}"
    );
    let own = |label: &str| {
        Layout::columns(&Columns {
            text: "premise".into(),
            pair: Some("hypothesis".into()),
            label: label.into(),
            labels: vec![],
            max_length: 9,
            positive: None,
        })
    };
    let (data, _) = labels(&[("mnli.parquet", "dev.parquet")], own("label")).unwrap();
    assert_eq!(data.labels, ["contradiction", "entailment", "neutral"]);
    // Without a description the numbers are what they are; a data set that is known names them.
    let (data, _) = labels(&[("numbers.parquet", "dev.parquet")], own("label")).unwrap();
    assert_eq!(data.labels, ["0", "1", "2"]);
    let (data, _) = labels(&[("numbers.parquet", "dev.parquet")], Layout::mnli()).unwrap();
    let number = |label: &str| data.layout.number(label, &data.layout.labels);
    assert_eq!(
        data.dev[0].examples.iter().map(|e| number(&e.label)).collect::<Vec<_>>(),
        [Some(0), Some(2), Some(1)]
    );
    let error = labels(&[("mnli.parquet", "dev.parquet")], own("labels")).unwrap_err();
    assert_eq!(error.code, Code::ColumnMissing);
    assert_eq!(error.help.unwrap(), "did you mean `label`? its columns are premise, hypothesis, label, idx");
    assert!(error.primary.is_some(), "the columns are shown");
}

#[test]
fn texts_are_read_and_empty_ones_left_out() {
    assert_eq!(texts("texts.parquet").unwrap(), ["the cat sat on the mat", "the dog ran"]);
    let (dir, mut notes) = (folder(&[("null.parquet", "dev.parquet")]), Vec::new());
    documents::read(&DataSet::new(dir.path(), Need::Dev), &mut Sources::new(), &mut notes).unwrap();
    assert!(notes[0].ends_with("has no text and is left out"), "{notes:?}");
}

#[test]
fn every_file_that_is_not_what_it_should_be_is_named_with_the_reason() {
    let wrong = |file: &str, code: Code, expected: &str| {
        let error = texts(file).unwrap_err();
        assert_eq!(error.code, code, "{file}: {}", error.message);
        assert!(error.message.contains(expected), "{file}: {}", error.message);
        assert!(error.help.is_some());
    };
    wrong("gzip.parquet", Code::ParquetNotReadable, "compressed with GZIP");
    wrong("vectors.parquet", Code::ParquetColumn, "`text`");
    wrong("empty.parquet", Code::DataEmpty, "is empty");
    wrong("numbers.parquet", Code::ColumnMissing, "no column `text`");
    let error = answers(&[("texts.parquet", "dev.parquet")], Version::One).unwrap_err();
    assert_eq!(error.code, Code::ColumnMissing);
    assert!(error.message.contains("no column `id`"), "{}", error.message);
}

#[test]
fn a_file_that_is_cut_off_or_foreign_is_refused_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dev.parquet");
    let whole = std::fs::read(golden("mnli.parquet")).unwrap();
    let read = || {
        let mut notes = Vec::new();
        let set = DataSet::new(dir.path(), Need::Dev);
        labelled::read(&set, Layout::mnli(), &mut Sources::new(), &mut notes)
    };
    for length in [0, 3, 8, 100, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(read().unwrap_err().code, Code::ParquetNotReadable, "{length} bytes");
    }
    std::fs::write(&path, b"sentence1\tsentence2\tlabel\na\tb\tneutral\n").unwrap();
    assert_eq!(read().unwrap_err().code, Code::ParquetNotReadable);
    // Pages that were damaged: an error or other texts, but never a crash.
    for at in (4..whole.len() - 8).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).unwrap();
        if let Err(error) = read() {
            assert!(error.help.is_some(), "{}", error.message);
        }
    }
}
