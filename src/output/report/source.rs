//! Ids on the Hugging Face Hub of a run's base model and data set.

use std::path::{Component, Path};

use super::record::Record;
use crate::schedule::ir::Model;

/// The id on the hub of the model that the run began with: the value of `--model`, or else the model that the recipe
/// names. `None` for a local folder that is not in the hub's cache.
pub fn base_model(record: &Record) -> Option<String> {
    let named = match &record.schedule.as_ref()?.model {
        Model::Named(name) => Some(name.as_str()),
        Model::NewBert(_) => None,
    };
    let source = flag(record, "--model").or(named)?;
    cached(source, "models").or_else(|| is_id(source).then(|| source.to_owned()))
}

/// The id on the hub of the data set, which is read from its cache with `--data`. `None` for any other folder: its
/// format does not say what data it holds.
pub fn dataset(record: &Record) -> Option<String> {
    cached(flag(record, "--data")?, "datasets")
}

/// The value of a flag in the run's command.
fn flag<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    let words = &record.environment.as_ref()?.command;
    let joined = |word: &'a String| word.strip_prefix(name)?.strip_prefix('=');
    let apart = |at: usize| words.get(at + 1).map(String::as_str);
    words.iter().find_map(joined).or_else(|| apart(words.iter().position(|word| word == name)?))
}

/// `owner/name` of a path within the hub's cache: `…/models--owner--name/snapshots/…`.
fn cached(path: &str, kind: &str) -> Option<String> {
    let id = |part: Component| {
        let id = part.as_os_str().to_str()?.strip_prefix(kind)?.strip_prefix("--")?.replacen("--", "/", 1);
        is_repository(&id).then_some(id)
    };
    let within = |path: &Path| path.components().find_map(id);
    within(Path::new(path)).or_else(|| within(&std::fs::canonicalize(path).ok()?))
}

/// Whether a name is one on the hub, and not a folder of this machine.
fn is_id(name: &str) -> bool {
    is_repository(name) && !Path::new(name).exists()
}

/// `name` or `owner/name`, by the hub's rules.
fn is_repository(name: &str) -> bool {
    let part = |p: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !p.is_empty()
            && p.len() <= 96
            && p.chars().all(inner)
            && !p.contains("..")
            && !p.contains("--")
            && !p.starts_with(['-', '.'])
            && !p.ends_with(['-', '.'])
    };
    name.split('/').count() <= 2 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runlog::Environment;

    fn run(arguments: &[&str]) -> Record {
        let command = ["obertc", "run", "a.obert"].iter().chain(arguments).map(|w| (*w).to_owned()).collect();
        Record { environment: Some(Environment { command, ..Default::default() }), ..Default::default() }
    }

    #[test]
    fn data_from_the_cache_of_the_hub_has_an_id_and_a_folder_has_none() {
        let cache = "/home/x/.cache/huggingface/hub/datasets--rajpurkar--squad/snapshots/7b6d2/plain_text";
        assert_eq!(dataset(&run(&["--data", cache])).as_deref(), Some("rajpurkar/squad"));
        assert_eq!(dataset(&run(&[&format!("--data={cache}")])).as_deref(), Some("rajpurkar/squad"));
        assert_eq!(dataset(&run(&["--data", "data/squad"])), None);
        assert_eq!(dataset(&run(&[])), None);
    }

    #[test]
    fn ids_follow_the_rules_of_the_hub() {
        for name in ["roberta-base", "google-bert/bert-base-uncased", "a/b.c_d"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["", "../models/mine", "/models/mine", "a/b/c", "-a", "a.", "a--b", "a b", "a/"] {
            assert!(!is_repository(name), "{name}");
        }
    }
}
