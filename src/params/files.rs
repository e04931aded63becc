//! The weight files of a model folder: one file, or the shards that an index lists; safetensors before pickles.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};

/// The names of an unsharded weight file and of the index of a sharded one, in the order in which they are searched.
pub const NAMES: [[&str; 2]; 2] = [
    ["model.safetensors", "model.safetensors.index.json"],
    ["pytorch_model.bin", "pytorch_model.bin.index.json"],
];

/// The weight files of a folder, sorted by name.
///
/// # Errors
/// A folder without weights, or with an index that cannot be read or names a missing file.
pub fn weights(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    for [whole, index] in NAMES.map(|names| names.map(|name| folder.join(name))) {
        if whole.exists() {
            return Ok(vec![whole]);
        }
        if index.exists() {
            return shards(folder, &index);
        }
    }
    let whole = folder.join(NAMES[0][0]);
    Err(Diagnostic::unlocated(
        Code::ModelNotFound,
        format!("cannot open `{}`: there is no such file", whole.display()),
    )
    .help("a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt"))
}

/// Whether a folder holds a weight file or an index, complete or not.
pub fn are_there(folder: &Path) -> bool {
    // `exists` is false for a dangling symbolic link of a cache.
    NAMES.iter().flatten().any(|name| folder.join(name).exists())
}

/// The shards that an index lists in its `weight_map`.
fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let unreadable = |why: String| {
        Diagnostic::unlocated(Code::ModelNotReadable, format!("cannot read `{}`: {why}", index.display()))
            .help("download the file again, or compare it with the original")
    };
    let text = std::fs::read_to_string(index).map_err(|e| unreadable(e.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
    let map = value.get("weight_map").and_then(|m| m.as_object());
    let map = map.ok_or_else(|| unreadable("it has no `weight_map`".into()))?;
    let mut names: Vec<&str> = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
        names.push(name.ok_or_else(|| unreadable(format!("the file of `{tensor}` is no plain file name")))?);
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(unreadable("its `weight_map` is empty".into()));
    }
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        None => Ok(files),
        Some(lost) => Err(Diagnostic::unlocated(
            Code::ModelNotFound,
            format!("`{}` names `{}`, which is not there", index.display(), lost.display()),
        )
        .help("download the missing part of the model")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = NAMES[0][1];

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn message(files: &[(&str, &str)]) -> String {
        weights(folder(files).path()).unwrap_err().message
    }

    #[test]
    fn shards_are_found_through_the_index_and_each_is_read_once() {
        let index =
            r#"{"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}}"#;
        let dir = folder(&[(INDEX, index), ("m-1.safetensors", ""), ("m-2.safetensors", "")]);
        let names: Vec<String> = weights(dir.path())
            .unwrap()
            .iter()
            .map(|f| f.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["m-1.safetensors", "m-2.safetensors"]);
    }

    #[test]
    fn an_index_that_leads_nowhere_or_out_of_the_folder_is_refused() {
        assert!(message(&[(INDEX, r#"{"weight_map": {"a": "m-1.safetensors"}}"#)]).contains("not there"));
        assert!(message(&[(INDEX, r#"{"weight_map": {"a": "../m"}}"#)]).contains("no plain file name"));
        assert!(message(&[(INDEX, r#"{"weight_map": {}}"#)]).contains("empty"));
        assert!(message(&[(INDEX, "{")]).contains("cannot read"));
    }

    #[test]
    fn safetensors_come_before_pickles_and_pickles_before_nothing() {
        let found = |files: &[(&str, &str)]| {
            let files = weights(folder(files).path()).unwrap();
            files[0].file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(found(&[("pytorch_model.bin", ""), ("model.safetensors", "")]), "model.safetensors");
        assert_eq!(found(&[("pytorch_model.bin", "")]), "pytorch_model.bin");
        let index = r#"{"weight_map": {"a": "p-1.bin"}}"#;
        assert_eq!(found(&[(NAMES[1][1], index), ("p-1.bin", "")]), "p-1.bin");
        assert!(message(&[(NAMES[1][1], index)]).contains("not there"));
        assert!(message(&[]).contains("no such file"));
    }
}
