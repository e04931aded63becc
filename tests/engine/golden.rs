//! Where golden files are: the folder named by `OBERT_GOLDEN`, or `tests/golden`.

use std::path::PathBuf;

/// The cases of a subject, sorted by name.
///
/// # Panics
/// If there is none: a test over no case proves nothing.
pub fn cases(subject: &str) -> Vec<(String, serde_json::Value)> {
    let root = std::env::var_os("OBERT_GOLDEN").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let folder = root.join(subject);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut list: Vec<(String, serde_json::Value)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    list.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!list.is_empty(), "no case in {}", folder.display());
    list
}
