//! Finds the files of a data set's splits: in a folder by the prefixes of their names, or given one by one.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};

/// A split of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// The training set.
    Train,
    /// The dev (validation) set.
    #[default]
    Dev,
    /// The test set.
    Test,
}

impl Split {
    /// The prefixes of its files' names: GLUE has `dev`, others `validation` or `valid`.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["train"],
            Split::Dev => &["dev", "valid"],
            Split::Test => &["test"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Dev => "dev",
            Split::Test => "test",
        }
    }
}

/// The splits that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The training and the dev set.
    Both,
    /// The dev set alone.
    Dev,
}

/// Options for reading data that are not in the recipe.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions<'a> {
    /// A file or folder with the dev set, instead of the folder of the training set.
    pub dev: Option<&'a Path>,
    /// The split for evaluation.
    pub split: Split,
    /// Whether unusable rows are left out and counted, instead of an error.
    pub skip_bad: bool,
}

/// The location of a data set.
#[derive(Clone, Copy, Debug)]
pub struct DataSet<'a> {
    /// A folder with files of every split, or a file: of the training set if that is needed, else of the dev set.
    pub path: &'a Path,
    /// The splits that are needed.
    pub need: Need,
    /// How the data is read.
    pub options: ReadOptions<'a>,
}

impl<'a> DataSet<'a> {
    /// A data set with default options.
    pub fn new(path: &'a Path, need: Need) -> Self {
        DataSet { path, need, options: ReadOptions::default() }
    }

    /// The files of the training set; none if it is not needed.
    ///
    /// # Errors
    /// See [`find`].
    pub fn train(&self, extensions: &[&str]) -> Result<Vec<PathBuf>, Diagnostic> {
        match self.need {
            Need::Dev => Ok(Vec::new()),
            Need::Both => find(self.path, Split::Train, extensions, |_| true),
        }
    }

    /// The files for evaluation whose names satisfy `chosen`.
    ///
    /// # Errors
    /// See [`find`]; also if the data set is a single file, of which the training set is read.
    pub fn dev(
        &self,
        extensions: &[&str],
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Vec<PathBuf>, Diagnostic> {
        let path = self.options.dev.unwrap_or(self.path);
        if self.need == Need::Both && self.options.dev.is_none() && path.is_file() {
            let beside = path.parent().and_then(|folder| candidates(folder, Split::Dev, extensions).ok());
            let help = match beside.as_deref() {
                Some([dev, ..]) => format!("name the file to evaluate on: `--dev {}`", dev.display()),
                _ => "name the file to evaluate on: `--dev FILE`".to_owned(),
            };
            let message = format!("`{}` is trained on, and there is nothing to evaluate on", path.display());
            return Err(Diagnostic::unlocated(Code::DataNotFound, message).help(help));
        }
        find(path, self.options.split, extensions, chosen).map_err(|error| match self.need {
            Need::Both => error,
            Need::Dev => self.other_split(error, extensions),
        })
    }

    /// Whether there are files for evaluation whose names satisfy `chosen`.
    pub fn holds(&self, extensions: &[&str], chosen: impl Fn(&str) -> bool) -> bool {
        let path = self.options.dev.unwrap_or(self.path);
        match path.is_file() {
            true => chosen(name_of(path)),
            false => candidates(path, self.options.split, extensions)
                .is_ok_and(|files| files.iter().any(|file| chosen(name_of(file)))),
        }
    }

    /// Adds help to an error about a missing split: another one that exists.
    fn other_split(&self, error: Diagnostic, extensions: &[&str]) -> Diagnostic {
        let there = |split: &Split| {
            *split != self.options.split
                && candidates(self.path, *split, extensions).is_ok_and(|f| !f.is_empty())
        };
        let other = [Split::Dev, Split::Test].into_iter().find(there);
        match other.filter(|_| error.code == Code::DataNotFound) {
            Some(split) => error.help(format!("evaluate on another split: `--split {}`", split.name())),
            None => error,
        }
    }
}

/// Finds the files of a split, sorted by name: `path` itself if it is a file, otherwise the files in the folder with a
/// prefix of the split. Several files must be numbered parts (shards) of one.
///
/// # Errors
/// A path that does not exist or cannot be read, no such file, a missing part, or several files that are not parts.
fn find(
    path: &Path,
    split: Split,
    extensions: &[&str],
    chosen: impl Fn(&str) -> bool,
) -> Result<Vec<PathBuf>, Diagnostic> {
    let shown = path.display();
    if path.is_file() {
        if !has_extension(path, extensions) {
            let message = format!("`{shown}` is of a kind that this data is not read from");
            return Err(Diagnostic::unlocated(Code::DataNotFound, message)
                .help(format!("give a file that ends in {}", list(extensions))));
        }
        return Ok(vec![path.to_owned()]);
    }
    let wanted: Vec<String> = split.prefixes().iter().map(|p| format!("{p}*")).collect();
    let wanted = format!("{} ({})", wanted.join(" or "), extensions.join(", "));
    let lacks = |what: String| {
        Diagnostic::unlocated(Code::DataNotFound, format!("`{shown}` {what}"))
            .help(format!("give a file, or a folder with files called {wanted}: `--data PATH`"))
    };
    if !path.is_dir() {
        return Err(lacks("does not exist, so there is no data".into()));
    }
    let mut files = candidates(path, split, extensions).map_err(|e| lacks(format!("cannot be read: {e}")))?;
    files.retain(|file| chosen(name_of(file)));
    if files.is_empty() {
        let error = lacks(format!("holds no {wanted}{}", contents(path)));
        return Err(match folder_below(path, split, extensions) {
            Some(folder) => {
                error.help(format!("its files are in a folder below: `--data {}`", folder.display()))
            }
            None => error,
        });
    }
    if let Some(part) = missing_part(&files) {
        let message = format!("`{shown}` lacks the part `{part}`");
        return Err(Diagnostic::unlocated(Code::DataNotFound, message)
            .help("download the missing part of the data set"));
    }
    if !are_parts(&files) {
        let names: Vec<String> = files.iter().map(|f| format!("`{}`", name_of(f))).collect();
        let flag = if split == Split::Train { "--data" } else { "--dev" };
        let flag = if split == Split::Test { "--data" } else { flag };
        let message =
            format!("several files of `{shown}` could be its {} split: {}", split.name(), names.join(", "));
        return Err(Diagnostic::unlocated(Code::SplitAmbiguous, message)
            .help(format!("name one, as `{flag} {}`, or move the others away", files[0].display())));
    }
    Ok(files)
}

/// The files of a folder with a prefix of a split, sorted by name.
fn candidates(folder: &Path, split: Split, extensions: &[&str]) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            split.prefixes().iter().any(|p| name_of(path).starts_with(p))
                && has_extension(path, extensions)
                && path.is_file()
        })
        .collect();
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| extensions.iter().any(|x| e.eq_ignore_ascii_case(x)))
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|n| n.to_str()).unwrap_or("")
}

/// `: it holds a.csv and b.csv`, for messages.
fn contents(folder: &Path) -> String {
    const SHOWN: usize = 5;
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
    let mut names: Vec<String> = entries.map(|path| name_of(&path).to_owned()).collect();
    names.sort();
    match names.len() {
        0 => ": it is empty".to_owned(),
        n if n > SHOWN => format!(": it holds {} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => format!(": it holds {}", names.join(", ")),
    }
}

/// A folder directly below that has files of the split.
fn folder_below(folder: &Path, split: Split, extensions: &[&str]) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path()));
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
        .into_iter()
        .find(|below| candidates(below, split, extensions).is_ok_and(|files| !files.is_empty()))
}

fn list(extensions: &[&str]) -> String {
    extensions.iter().map(|e| format!(".{e}")).collect::<Vec<_>>().join(", ")
}

/// Whether files are parts of one: names with the same extension that differ in their last number alone.
fn are_parts(files: &[PathBuf]) -> bool {
    let without_number = |path: &PathBuf| {
        let name = name_of(path);
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        // `-of-00002` is the number of parts.
        let stem = stem.rsplit_once("-of-").map_or(stem, |(front, _)| front);
        (stem.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), extension.to_owned())
    };
    let numbered = |path: &PathBuf| {
        let name = name_of(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        stem.ends_with(|c: char| c.is_ascii_digit())
    };
    let first = files.first().map(without_number);
    files.len() < 2 || files.iter().all(|f| numbered(f) && Some(without_number(f)) == first)
}

/// The name of the first missing part, where names are as `train-00000-of-00002.parquet`.
fn missing_part(files: &[PathBuf]) -> Option<String> {
    let names: Vec<&str> = files.iter().map(|f| name_of(f)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &[&str] = &["tsv", "csv", "parquet"];

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        dir
    }

    fn split(dir: &Path, split: Split) -> Result<Vec<String>, Diagnostic> {
        let files = find(dir, split, TABLES, |_| true)?;
        Ok(files.iter().map(|f| name_of(f).to_owned()).collect())
    }

    #[test]
    fn a_missing_part_is_named() {
        let dir = folder(&["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"]);
        let error = split(dir.path(), Split::Train).unwrap_err();
        assert!(error.message.contains("lacks the part `train-00001-of-00003.parquet`"), "{}", error.message);
        std::fs::write(dir.path().join("train-00001-of-00003.parquet"), "x").unwrap();
        let names = split(dir.path(), Split::Train).unwrap();
        assert!(names.is_sorted() && names.len() == 3);
    }

    #[test]
    fn files_are_found_by_how_their_names_begin_and_end() {
        let dir = folder(&["dev.md", "test.TSV", "validation.csv", "train_1.csv", "train_2.csv"]);
        assert_eq!(split(dir.path(), Split::Dev).unwrap(), ["validation.csv"]);
        assert_eq!(split(dir.path(), Split::Test).unwrap(), ["test.TSV"]);
        assert_eq!(split(dir.path(), Split::Train).unwrap(), ["train_1.csv", "train_2.csv"], "parts of one");
        let chosen = find(dir.path(), Split::Train, TABLES, |name| name.contains('2')).unwrap();
        assert_eq!(chosen.len(), 1);
    }

    #[test]
    fn files_that_are_no_parts_of_one_are_not_put_together() {
        for names in [
            ["dev.csv", "validation.csv"],
            ["dev.csv", "dev.tsv"],
            ["dev.csv", "dev_old.csv"],
            ["dev-v1.1.csv", "dev-v2.0.csv"],
            ["dev.csv", "dev2.csv"],
        ] {
            let dir = folder(&names);
            let error = split(dir.path(), Split::Dev).unwrap_err();
            assert_eq!(error.code, Code::SplitAmbiguous, "{names:?}");
            assert!(names.iter().all(|n| error.message.contains(n)), "{}", error.message);
        }
    }

    #[test]
    fn what_is_missing_is_said_with_what_there_is() {
        let dir = folder(&["test.tsv", "notes.md"]);
        let error = split(dir.path(), Split::Train).unwrap_err();
        assert_eq!(error.code, Code::DataNotFound);
        assert!(
            error.message.contains("train*") && error.message.contains("notes.md, test.tsv"),
            "{error:?}"
        );
        let error = DataSet::new(dir.path(), Need::Dev).dev(TABLES, |_| true).unwrap_err();
        assert_eq!(error.help.unwrap(), "evaluate on another split: `--split test`");
        let outer = folder(&["data/train.csv"]);
        let error = split(outer.path(), Split::Train).unwrap_err();
        assert!(error.help.unwrap().contains(&format!("--data {}", outer.path().join("data").display())));
        assert!(split(Path::new("no/where"), Split::Dev).unwrap_err().message.contains("does not exist"));
    }

    #[test]
    fn one_file_is_evaluated_or_trained_on_beside_another() {
        let dir = folder(&["a.csv", "b.csv", "a.xlsx", "dev.csv"]);
        let at = |name: &str| dir.path().join(name);
        let (a, b) = (at("a.csv"), at("b.csv"));
        let files = |set: DataSet| (set.train(TABLES).unwrap(), set.dev(TABLES, |_| true).unwrap());
        assert_eq!(files(DataSet::new(&a, Need::Dev)), (vec![], vec![a.clone()]));
        let beside = ReadOptions { dev: Some(&b), ..ReadOptions::default() };
        let both = DataSet { options: beside, ..DataSet::new(&a, Need::Both) };
        assert_eq!(files(both), (vec![a.clone()], vec![b.clone()]));
        let error = DataSet::new(&a, Need::Both).dev(TABLES, |_| true).unwrap_err();
        assert!(error.help.unwrap().contains(&format!("--dev {}", at("dev.csv").display())));
        let error = DataSet::new(&at("a.xlsx"), Need::Dev).dev(TABLES, |_| true).unwrap_err();
        assert!(error.help.unwrap().contains(".tsv, .csv, .parquet"));
    }
}
