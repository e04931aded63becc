//! Reads sentences whose words have tags, from CoNLL files and from tables with lists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic, Sources, counted, nearest};
use crate::schedule::ir::TaggedColumns;

use super::bad_rows::BadRows;
use super::cell::Cell;
use super::splits::DataSet;
use super::table::Table;
use super::{conll, tags};

/// The file extensions of tables whose cells can be lists, and of CoNLL files.
const EXTENSIONS: &[&str] = &["jsonl", "json", "parquet", "conll", "txt", "bio", "iob", "iob2"];

/// The tag of a word that has none: it counts neither in the loss nor in metrics (PyTorch's `ignore_index`).
const IGNORED: &str = "-100";

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sentence {
    /// Its words.
    pub words: Vec<String>,
    /// The tag of each word as the file has it; `-100` for none.
    pub tags: Vec<String>,
}

impl Sentence {
    /// The tags of the words that have one.
    pub fn known_tags(&self) -> impl Iterator<Item = &String> {
        self.tags.iter().filter(|tag| *tag != IGNORED)
    }
}

/// A data set for token classification.
#[derive(Clone, Debug, Default)]
pub struct Tagged {
    /// The training set.
    pub train: Vec<Sentence>,
    /// The dev set.
    pub dev: Vec<Sentence>,
    /// The tags in order: those declared by the recipe, else those of the training set, else those of the dev set.
    pub labels: Vec<String>,
    /// Whether the recipe declares them.
    pub declared: bool,
    /// Every tag that occurs, in order.
    pub occurring: Vec<String>,
}

/// Reads the files of a data set. Tags in IOB1 are converted to IOB2.
///
/// # Errors
/// Missing or empty files, missing columns, sentences with another number of tags than words, or undeclared tags.
pub fn read(
    set: &DataSet,
    columns: &TaggedColumns,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Tagged, Diagnostic> {
    let mut read = |files: Vec<PathBuf>| -> Result<Vec<Sentence>, Diagnostic> {
        let mut all = Vec::new();
        for file in files {
            all.extend(read_file(&file, columns, set.options.skip_bad, sources, notes)?);
        }
        Ok(all)
    };
    let (train, dev) = (read(set.train(EXTENSIONS)?)?, read(set.dev(EXTENSIONS, |_| true)?)?);
    Ok(Tagged::new(train, dev, &columns.labels, notes))
}

impl Tagged {
    /// A data set of these sentences; collects the tags, in the order of `declared` if there are any.
    pub fn new(
        mut train: Vec<Sentence>,
        mut dev: Vec<Sentence>,
        declared: &[String],
        notes: &mut Vec<String>,
    ) -> Self {
        let begins = |s: &Sentence| tags::is_iob1(&s.tags);
        let all = || train.iter().chain(&dev);
        let is_iob = distinct(all())
            .iter()
            .chain(declared)
            .all(|tag| tags::Tag::parse(tag).is_some_and(|tag| "BIO".contains(tag.prefix)));
        let kinds_begin = declared.is_empty() || declared.iter().any(|tag| tag.starts_with('B'));
        if is_iob && kinds_begin && all().any(begins) {
            train.iter_mut().chain(&mut dev).for_each(|s| tags::iob2_of_iob1(&mut s.tags));
            notes.push("the tags are IOB1 (an entity begins with `I`) and are converted to IOB2".to_owned());
        }
        let known = match (declared.is_empty(), train.is_empty()) {
            (false, _) => declared.to_vec(),
            (true, false) => distinct(train.iter()),
            (true, true) => distinct(dev.iter()),
        };
        let occurring = distinct(train.iter().chain(&dev));
        Tagged { train, dev, labels: known, declared: !declared.is_empty(), occurring }
    }

    /// Truncates every split to its first sentences. The tags remain those of all data.
    pub fn truncate(&mut self, limit: usize) {
        self.train.truncate(limit);
        self.dev.truncate(limit);
    }
}

fn read_file(
    path: &Path,
    columns: &TaggedColumns,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Vec<Sentence>, Diagnostic> {
    let is_conll = path
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| conll::EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(e)));
    let sentences = match is_conll {
        true => of_conll(path, columns, sources)?,
        false => of_table(path, columns, skip_bad, sources, notes)?,
    };
    if !sentences.iter().any(|sentence| sentence.known_tags().next().is_some()) {
        let message = format!("`{}` holds no word with a tag", path.display());
        return Err(Diagnostic::unlocated(Code::DataEmpty, message)
            .help("is it the right file, and was it downloaded to its end?"));
    }
    Ok(sentences)
}

fn of_conll(
    path: &Path,
    columns: &TaggedColumns,
    sources: &mut Sources,
) -> Result<Vec<Sentence>, Diagnostic> {
    let mut list = Vec::new();
    for conll::Lines { line, words, mut tags } in conll::read(path, sources)? {
        if let Some(at) = tags.iter_mut().position(|tag| !is_declared(tag, &columns.labels)) {
            let text = format!("{} {}", words[at], tags[at]);
            let row = super::files::FileRow { path, line: line + at, text: &text };
            let message = format!("line {} of `{}` has the tag `{}`", line + at, path.display(), tags[at]);
            let error = row.error(Code::LabelUnknown, message, "this tag", sources);
            return Err(error.help(known_tags(&tags[at], &columns.labels)));
        }
        list.push(Sentence { words, tags });
    }
    Ok(list)
}

fn of_table(
    path: &Path,
    columns: &TaggedColumns,
    skip_bad: bool,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<Vec<Sentence>, Diagnostic> {
    let table = Table::read(path, sources)?;
    let names = [
        table.first_of(&[columns.tokens.as_str()], "words", sources)?,
        table.first_of(&[columns.tags.as_str()], "tags", sources)?,
    ];
    let (mut list, mut uneven, mut first) = (Vec::new(), Vec::new(), None);
    for row in table.rows(&names, sources)?.rows {
        let line = row.line;
        let mut cells = row.cells.into_iter();
        let (Some(Cell::List(words)), Some(Cell::List(mut tags))) = (cells.next(), cells.next()) else {
            let message = format!(
                "{} {line} of `{}` has no list of words and no list of tags",
                table.unit(),
                path.display()
            );
            return Err(table
                .error(Code::RowUnusable, message, line, "this row", sources)
                .help("as {\"tokens\": [\"In\", \"Paris\"], \"ner_tags\": [\"O\", \"B-LOC\"]}"));
        };
        if words.len() != tags.len() {
            first.get_or_insert((words.len(), tags.len()));
            uneven.push(line);
            continue;
        }
        if let Some(tag) =
            tags.iter_mut().position(|tag| !is_declared(tag, &columns.labels)).map(|i| &tags[i])
        {
            let message = format!("{} {line} of `{}` has the tag `{tag}`", table.unit(), path.display());
            let error = table.error(Code::LabelUnknown, message, line, "this row", sources);
            return Err(error.help(known_tags(tag, &columns.labels)));
        }
        if !words.is_empty() {
            list.push(Sentence { words, tags });
        }
    }
    let (words, tags) = first.unwrap_or_default();
    let what = format!("has {} and {}", counted(words, "word", "words"), counted(tags, "tag", "tags"));
    let bad = BadRows::new(&table, skip_bad);
    bad.unusable(&uneven, &what, "every word needs one tag", sources, notes)?;
    Ok(list)
}

/// Whether a tag is one of the declared ones, if any are. A class index is replaced by its name.
fn is_declared(tag: &mut String, declared: &[String]) -> bool {
    if declared.is_empty() || tag == IGNORED || declared.contains(tag) {
        return true;
    }
    let named = tag.parse::<usize>().ok().and_then(|number| declared.get(number));
    named.map(|name| tag.clone_from(name)).is_some()
}

fn known_tags(tag: &str, declared: &[String]) -> String {
    let near = nearest(tag, declared.iter().map(String::as_str));
    let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("{near}the tags are {}", declared.join(", "))
}

/// The distinct tags: whole numbers by value, others with `O` first and by type.
fn distinct<'a>(sentences: impl Iterator<Item = &'a Sentence>) -> Vec<String> {
    let found: BTreeSet<&str> = sentences.flat_map(Sentence::known_tags).map(String::as_str).collect();
    let mut list: Vec<String> = found.into_iter().map(str::to_owned).collect();
    match list.iter().all(|tag| tag.parse::<usize>().is_ok()) {
        true => list.sort_by_key(|tag| tag.parse::<usize>().unwrap_or(0)),
        false => tags::sort(&mut list),
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::splits::{Need, ReadOptions};
    use super::*;

    fn columns(labels: &[&str]) -> TaggedColumns {
        TaggedColumns {
            tokens: "tokens".into(),
            tags: "ner_tags".into(),
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
            max_length: 16,
            doc_stride: 4,
        }
    }

    fn read(
        file: &str,
        text: &str,
        labels: &[&str],
        skip_bad: bool,
    ) -> Result<(Tagged, Vec<String>), Diagnostic> {
        let (dir, mut notes) = (tempfile::tempdir().unwrap(), Vec::new());
        for split in ["train", "dev"] {
            std::fs::write(dir.path().join(format!("{split}.{file}")), text).unwrap();
        }
        let options = ReadOptions { skip_bad, ..ReadOptions::default() };
        let set = DataSet { options, ..DataSet::new(dir.path(), Need::Both) };
        super::read(&set, &columns(labels), &mut Sources::new(), &mut notes).map(|data| (data, notes))
    }

    const ROW: &str = "{\"tokens\": [\"In\", \"Paris\"], \"ner_tags\": [\"O\", \"B-LOC\"]}\n";

    #[test]
    fn conll_and_json_lines_give_the_same_sentences() {
        let (lines, _) = read("conll", "In IN O\nParis NNP B-LOC\n", &[], false).unwrap();
        let (rows, _) = read("jsonl", ROW, &[], false).unwrap();
        assert_eq!(lines.train, rows.train);
        assert_eq!(rows.labels, ["O", "B-LOC"]);
        let (declared, _) =
            read("jsonl", &ROW.replace("\"B-LOC\"", "1").replace("\"O\"", "0"), &["O", "B-LOC"], false)
                .unwrap();
        assert_eq!(declared.train, rows.train, "class indices have the declared names");
        let (ignored, _) = read("jsonl", &ROW.replace("\"O\"", "-100"), &[], false).unwrap();
        assert_eq!(ignored.labels, ["B-LOC"]);
    }

    #[test]
    fn iob1_is_converted_with_a_note() {
        let (data, notes) = read("txt", "EU I-ORG\nin O\nParis I-LOC\n", &[], false).unwrap();
        assert_eq!(data.train[0].tags, ["B-ORG", "O", "B-LOC"]);
        assert!(notes[0].contains("IOB2"), "{notes:?}");
    }

    #[test]
    fn uneven_lists_unknown_tags_and_files_without_tags_are_refused() {
        let uneven = format!("{ROW}{}", ROW.replace("\"O\", ", ""));
        let error = read("jsonl", &uneven, &[], false).unwrap_err();
        assert_eq!(error.code, Code::RowUnusable);
        assert!(error.message.contains("line 2") && error.message.contains("has 2 words and 1 tag"));
        let (data, notes) = read("jsonl", &uneven, &[], true).unwrap();
        assert!(data.train.len() == 1 && notes[0].contains("line 2"), "{notes:?}");
        for (file, text) in [("jsonl", ROW), ("conll", "In O\nParis B-LOC\n")] {
            let error = read(file, text, &["O", "B-LOX"], false).unwrap_err();
            assert_eq!(error.code, Code::LabelUnknown);
            assert!(error.help.unwrap().contains("did you mean `B-LOX`?"));
        }
        let flat = "{\"tokens\": \"In Paris\", \"ner_tags\": \"O B-LOC\"}\n";
        assert_eq!(read("jsonl", flat, &[], false).unwrap_err().code, Code::RowUnusable);
        let empty = "{\"tokens\": [], \"ner_tags\": []}\n";
        assert_eq!(read("jsonl", empty, &[], false).unwrap_err().code, Code::DataEmpty);
        assert_eq!(
            read("jsonl", "{\"words\": [], \"ner_tags\": []}\n", &[], false).unwrap_err().code,
            Code::ColumnMissing
        );
    }
}
