//! The size of the library's public surface, counted from `src/lib.rs`.

use std::path::Path;

use super::import_cycles::expand_use_tree;
use super::module_graph::{code, sources};

/// The paths that `lib.rs` exports, and the items of its public modules that are files. `internals` is hidden from the
/// documentation and promises nothing.
fn public_items() -> Vec<String> {
    let text = |file: &str| {
        let (_, text) = sources().into_iter().find(|(path, _)| path == Path::new(file)).unwrap();
        code(&text)
    };
    let lib = text("lib.rs");
    let exports = lib.split("pub use ").skip(1);
    let exports = exports.flat_map(|rest| expand_use_tree(rest.split(';').next().unwrap()));
    let mut items: Vec<String> = exports.map(|path| path.join("::")).collect();
    let modules = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules.filter(|module| *module != "internals") {
        let file = text(&format!("{module}.rs"));
        let kinds = ["struct", "enum", "trait", "fn", "type", "const"];
        let names = file.lines().filter_map(|line| line.strip_prefix("pub ")?.split_once(' '));
        let names = names.filter(|(kind, _)| kinds.contains(kind));
        items.extend(names.map(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            format!("{module}::{}", &rest[..end])
        }));
    }
    items.sort();
    items.dedup();
    items
}

#[test]
fn contributing_says_how_many_items_the_library_exports() {
    let items = public_items();
    let names: Vec<&str> = items.iter().map(|item| item.rsplit("::").next().unwrap()).collect();
    for expected in ["run", "RunConfig", "Observer", "Diagnostic", "Predictor", "Task", "Pruned"] {
        assert!(names.contains(&expected), "{expected} in {items:?}");
    }
    assert!(items.len() < 150, "the library is to stay small: {items:?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let said = format!("{} public items", items.len());
    assert!(page.contains(&said), "write `{said}` into CONTRIBUTING.md; they are {items:?}");
}
