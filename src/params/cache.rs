//! Models by name in the Hugging Face cache: folders `models--ORG--NAME` with one snapshot for each revision. Nothing
//! here uses the network.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};

/// Old names without an organization, and the organizations to which the hub has moved them.
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

/// The name that a model has on the hub if it is no folder or file here.
///
/// # Errors
/// A path that does not exist.
pub fn hub_name(name: &Path) -> Result<&str, Diagnostic> {
    // `models/typo` where `models` is a folder is a mistyped path, not a model's name.
    let mistyped = name.parent().is_some_and(|parent| !parent.as_os_str().is_empty() && parent.is_dir());
    name.to_str().filter(|name| !mistyped && is_hub_name(name)).ok_or_else(|| {
        let message = format!("the model `{}` does not exist", name.display());
        Diagnostic::unlocated(Code::ModelNotFound, message)
            .help("give a Hugging Face folder, or a model's name on the hub")
    })
}

/// Whether a text is a valid model name of the hub: `name` or `organization/name`.
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

/// The folder of cached models: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. `None` without a
/// home directory.
pub fn root() -> Option<PathBuf> {
    let named = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(folder_variable);
    named.or_else(|| Some(home()?.join("hub")))
}

/// The folder of Hugging Face programs, which holds the cache and the token: `$HF_HOME`, else
/// `~/.cache/huggingface`.
pub fn home() -> Option<PathBuf> {
    let cache = || match folder_variable("XDG_CACHE_HOME") {
        Some(cache) => Some(cache),
        None => Some(std::env::home_dir()?.join(".cache")),
    };
    folder_variable("HF_HOME").or_else(|| Some(cache()?.join("huggingface")))
}

/// The folder that an environment variable names, with `~`, `$NAME` and `${NAME}` expanded as
/// `huggingface_hub` does (`os.path.expanduser`, then `os.path.expandvars`).
pub fn folder_variable(name: &str) -> Option<PathBuf> {
    Some(expand(&variable(name)?, std::env::home_dir().as_deref(), |name| std::env::var(name).ok()))
}

/// Expands a leading `~` and variables; an unset variable stays as it is written.
fn expand(path: &str, home: Option<&Path>, value: impl Fn(&str) -> Option<String>) -> PathBuf {
    let mut out = String::new();
    let mut rest = match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            out.push_str(&home.to_string_lossy());
            rest
        }
        _ => path,
    };
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let inner = &from[1..];
        let braced = inner.strip_prefix('{').and_then(|inner| Some((&inner[..inner.find('}')?], 3)));
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, around) = braced.unwrap_or((&inner[..end], 1));
        let length = name.len() + around;
        match value(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&from[..length]),
        }
        rest = &from[length..];
    }
    out.push_str(rest);
    PathBuf::from(out)
}

/// Whether the environment forbids the network: `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`.
pub fn is_offline() -> bool {
    let truth = |value: String| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on");
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().filter_map(variable).any(truth)
}

/// The value of an environment variable, unless it is blank.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The snapshot of a cached model at `refs/main`, the revision that was downloaded last as `main`. A cache that was copied
/// or downloaded by commit has no `refs/main`; then its newest snapshot.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(&root()?, name)
}

/// [`find`] in a given cache.
pub fn find_in(root: &Path, name: &str) -> Option<PathBuf> {
    if !is_hub_name(name) {
        return None;
    }
    repositories(root, name).find_map(|repository| at_main(&repository).or_else(|| newest(&repository)))
}

/// The snapshot of a cached model at `refs/main`, and no other one.
pub fn find_main(root: &Path, name: &str) -> Option<PathBuf> {
    if !is_hub_name(name) {
        return None;
    }
    repositories(root, name).find_map(|repository| at_main(&repository))
}

/// The folders of a model in the cache, by its name and by the name to which it has moved.
fn repositories(root: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let moved = MOVED.iter().filter(|(old, _)| *old == name).map(|(old, home)| format!("{home}/{old}"));
    let names: Vec<String> = std::iter::once(name.to_owned()).chain(moved).collect();
    let root = root.to_owned();
    names.into_iter().map(move |name| root.join(format!("models--{}", name.replace('/', "--"))))
}

/// The snapshot at `refs/main`.
fn at_main(repository: &Path) -> Option<PathBuf> {
    let commit = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    let commit = commit.trim();
    let plain = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
    let snapshot = repository.join("snapshots").join(commit);
    (plain && snapshot.join("config.json").exists()).then_some(snapshot)
}

/// The snapshot that was modified last, if `refs/main` is missing.
fn newest(repository: &Path) -> Option<PathBuf> {
    if repository.join("refs/main").exists() {
        return None;
    }
    let snapshots = std::fs::read_dir(repository.join("snapshots")).ok()?;
    let whole =
        snapshots.flatten().map(|entry| entry.path()).filter(|path| path.join("config.json").exists());
    whole.max_by_key(|path| (path.metadata().and_then(|m| m.modified()).ok(), path.clone()))
}

/// The folder for a model's name without the network: the folder of that path, or a cached one.
pub fn local(name: &Path) -> Option<PathBuf> {
    if name.is_dir() {
        return Some(name.to_owned());
    }
    find(name.to_str()?)
}

/// The first file that a model folder lacks to be run; a dangling symbolic link counts as missing.
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
    fn a_cache_without_a_ref_gives_its_newest_revision() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = cached(dir.path(), "models--org--copied", "abc123");
        let repository = dir.path().join("models--org--copied");
        std::fs::remove_dir_all(repository.join("refs")).unwrap();
        std::fs::create_dir_all(repository.join("snapshots/zzz")).unwrap();
        assert_eq!(find_in(dir.path(), "org/copied"), Some(snapshot.clone()), "`zzz` holds no config.json");
        let newer = repository.join("snapshots/0newer");
        std::fs::create_dir_all(&newer).unwrap();
        std::fs::write(newer.join("config.json"), "{}").unwrap();
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        std::fs::File::open(&snapshot).unwrap().set_modified(old).unwrap();
        assert_eq!(find_in(dir.path(), "org/copied"), Some(newer));
        assert_eq!(find_main(dir.path(), "org/copied"), None);
    }

    #[test]
    fn folders_of_the_environment_are_expanded_as_other_programs_do() {
        let value = |name: &str| (name == "DATA").then(|| "/data".to_owned());
        let expanded = |path: &str| expand(path, Some(Path::new("/home/me")), value);
        for (path, expected) in [
            ("~/x", "/home/me/x"),
            ("~", "/home/me"),
            ("~other/x", "~other/x"),
            ("a~/x", "a~/x"),
            ("$DATA/hf", "/data/hf"),
            ("${DATA}hf", "/datahf"),
            ("$NONE/hf/${NONE}", "$NONE/hf/${NONE}"),
            ("a$", "a$"),
            ("${DATA", "${DATA"),
        ] {
            assert_eq!(expanded(path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn a_revision_that_is_no_name_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        cached(dir.path(), "models--org--evil", "../../../etc");
        assert_eq!(find_in(dir.path(), "org/evil"), None);
        assert_eq!(find_in(dir.path(), "../evil"), None);
    }

    #[test]
    fn names_of_the_hub_are_distinguished_from_paths() {
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
