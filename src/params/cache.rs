//! Models by name in the cache that all Hugging Face programs share: `models--ORG--NAME`, with a
//! folder for each revision. Nothing here touches the network.

use std::path::{Path, PathBuf};

/// Names without an organisation, and where the hub keeps them today.
const MOVED: &[(&str, &str)] = &[
    ("bert-base-uncased", "google-bert"),
    ("bert-base-cased", "google-bert"),
    ("bert-large-uncased", "google-bert"),
    ("bert-large-cased", "google-bert"),
    ("roberta-base", "FacebookAI"),
    ("roberta-large", "FacebookAI"),
    ("distilroberta-base", "distilbert"),
    ("distilbert-base-uncased", "distilbert"),
    ("distilbert-base-cased", "distilbert"),
];

/// Whether a text may be a model's name on the hub: `name` or `organisation/name`.
pub fn is_hub_name(name: &str) -> bool {
    let sound = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.', '-'])
            && !part.contains("..")
    };
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() <= 2 && parts.iter().all(|part| sound(part))
}

/// The folder of all cached models: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
/// `None` without a home.
pub fn root() -> Option<PathBuf> {
    let named = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(variable);
    named.map(PathBuf::from).or_else(|| Some(home()?.join("hub")))
}

/// The folder of the cache, the token and whatever else Hugging Face programs keep.
pub fn home() -> Option<PathBuf> {
    let cache = || match variable("XDG_CACHE_HOME") {
        Some(cache) => Some(PathBuf::from(cache)),
        None => Some(std::env::home_dir()?.join(".cache")),
    };
    variable("HF_HOME").map(PathBuf::from).or_else(|| Some(cache()?.join("huggingface")))
}

/// Whether the environment forbids the network: `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`.
pub fn is_offline() -> bool {
    let truth = |value: String| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on");
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().filter_map(variable).any(truth)
}

/// A variable that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The folder of a cached model, at the revision that `main` was when it was fetched.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(&root()?, name)
}

/// The same in a given cache.
pub fn find_in(root: &Path, name: &str) -> Option<PathBuf> {
    if !is_hub_name(name) {
        return None;
    }
    let moved = MOVED.iter().filter(|(old, _)| *old == name).map(|(old, home)| format!("{home}/{old}"));
    std::iter::once(name.to_owned()).chain(moved).find_map(|name| {
        let repository = root.join(format!("models--{}", name.replace('/', "--")));
        let commit = std::fs::read_to_string(repository.join("refs/main")).ok()?;
        let commit = commit.trim();
        let plain = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
        let snapshot = repository.join("snapshots").join(commit);
        (plain && snapshot.join("config.json").exists()).then_some(snapshot)
    })
}

/// The folder that a model's name means without the network: itself, or a cached one.
pub fn local(name: &Path) -> Option<PathBuf> {
    if name.is_dir() {
        return Some(name.to_owned());
    }
    find(name.to_str()?)
}

/// Which file a model's folder lacks to be run; a link that leads nowhere is no file.
pub fn lacks(folder: &Path) -> Option<&'static str> {
    let has = |name: &str| folder.join(name).exists();
    let tokenizer = has("tokenizer.json") || has("vocab.txt") || (has("vocab.json") && has("merges.txt"));
    if !has("config.json") {
        Some("config.json")
    } else if super::files::weights(folder).is_err() {
        Some("model.safetensors")
    } else if !tokenizer {
        Some("tokenizer.json")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(root: &Path, folder: &str, commit: &str) -> PathBuf {
        let repository = root.join(folder);
        let snapshot = repository.join("snapshots/abc123");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::write(repository.join("refs/main"), commit).unwrap();
        std::fs::write(snapshot.join("config.json"), "{}").unwrap();
        snapshot
    }

    #[test]
    fn a_model_is_found_under_its_name_and_under_the_one_it_has_today() {
        let dir = tempfile::tempdir().unwrap();
        let own = cached(dir.path(), "models--org--tiny.v2", "abc123\n");
        assert_eq!(find_in(dir.path(), "org/tiny.v2"), Some(own));
        assert_eq!(find_in(dir.path(), "org/other"), None);
        let moved = cached(dir.path(), "models--google-bert--bert-base-cased", "abc123");
        assert_eq!(find_in(dir.path(), "bert-base-cased"), Some(moved));
    }

    #[test]
    fn a_revision_that_is_no_name_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        cached(dir.path(), "models--org--evil", "../../../etc");
        assert_eq!(find_in(dir.path(), "org/evil"), None);
        assert_eq!(find_in(dir.path(), "../evil"), None);
    }

    #[test]
    fn names_of_the_hub_are_told_from_paths() {
        for name in ["bert-base-uncased", "google-bert/bert-base-uncased", "a/b_c.d"] {
            assert!(is_hub_name(name), "{name}");
        }
        for path in ["", "./model", "../model", "/model", "a/b/c", "model/", "a b", "a/../b", "C:\\m"] {
            assert!(!is_hub_name(path), "{path}");
        }
    }

    #[test]
    fn what_a_folder_lacks_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), "x").unwrap();
        assert_eq!(lacks(dir.path()), Some("config.json"));
        write("config.json");
        assert_eq!(lacks(dir.path()), Some("model.safetensors"));
        write("model.safetensors");
        assert_eq!(lacks(dir.path()), Some("tokenizer.json"));
        write("vocab.txt");
        assert_eq!(lacks(dir.path()), None);
    }
}
