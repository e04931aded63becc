//! The weight files of a model folder: one safetensors file, or several that an index lists.

use std::path::{Path, PathBuf};

use crate::diag::{Code, Diagnostic};

/// The index of a model in several files.
const INDEX: &str = "model.safetensors.index.json";

/// The safetensors files of a folder, each once, in the order of their names.
///
/// # Errors
/// A folder without weights, with weights in another format only, or with an index that cannot be
/// read or names a file that is missing.
pub fn weights(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let (whole, index) = (folder.join("model.safetensors"), folder.join(INDEX));
    if whole.exists() {
        return Ok(vec![whole]);
    }
    if index.exists() {
        return shards(folder, &index);
    }
    if folder.join("pytorch_model.bin").exists() || folder.join("pytorch_model.bin.index.json").exists() {
        return Err(Diagnostic::unlocated(
            Code::ModelNotReadable,
            format!("`{}` holds its weights as pytorch_model.bin only", folder.display()),
        )
        .help(
            "a pickle can run code when it is opened; convert it once, where you trust it, with Python: \
             AutoModel.from_pretrained(DIR).save_pretrained(DIR), and the model's own class for its head",
        ));
    }
    Err(Diagnostic::unlocated(
        Code::ModelNotFound,
        format!("cannot open `{}`: there is no such file", whole.display()),
    )
    .help("a model folder holds config.json, model.safetensors and tokenizer.json or vocab.txt"))
}

/// Whether a folder holds weights in any form, be they whole or not.
pub fn are_there(folder: &Path) -> bool {
    let names = ["model.safetensors", INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json"];
    // A link of a cache that leads nowhere is no file.
    names.iter().any(|name| folder.join(name).exists())
}

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
    fn a_pickle_is_refused_with_the_way_out() {
        let error = weights(folder(&[("pytorch_model.bin", "x")]).path()).unwrap_err();
        assert!(error.message.contains("pytorch_model.bin only"));
        assert!(error.help.unwrap().contains("save_pretrained"));
    }
}
