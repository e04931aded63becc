//! The module graph has no cycles: imports between the files of `src` are read from their text, through groups,
//! written-out paths and re-exports.

use std::collections::BTreeSet;
use std::path::Path;

use super::module_graph::{code, sources};

/// One path per name that a use tree brings in: `a::{b, c::d}` gives `a::b` and `a::c::d`.
pub fn expand_use_tree(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or("");
        return vec![path.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect()];
    };
    let prefix = expand_use_tree(tree[..open].trim_end_matches(':')).remove(0);
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (i, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty()).flat_map(expand_use_tree);
    parts
        .map(|rest| prefix.iter().cloned().chain(rest.into_iter().filter(|s| s != "self")).collect())
        .collect()
}

/// A file as a module, with its imports and re-exports.
struct Source {
    file: String,
    /// Its path of modules from the crate: `engine::best`.
    module: Vec<String>,
    imports: Vec<Vec<String>>,
    reexports: Vec<Vec<String>>,
}

impl Source {
    fn new(path: &Path, text: &str) -> Self {
        let file = path.to_string_lossy().replace('\\', "/");
        let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
            module.pop();
        }
        let code = code(text);
        let (mut imports, mut reexports, mut rest) = (Vec::new(), Vec::new(), String::new());
        let mut statements = code.as_str();
        while let Some(at) = statements.find("use ") {
            let (before, after) = statements.split_at(at);
            let line = before.rsplit('\n').next().unwrap_or("").trim();
            let is_statement =
                line.is_empty() || line == "pub" || line.starts_with("pub(") && line.ends_with(')');
            let end = after.find(';').unwrap_or(after.len());
            // Recipes in strings have lines that begin with the same word.
            let is_path = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_:{},*".contains(c);
            if !is_statement || !after[4..end].chars().all(is_path) {
                rest.push_str(before);
                rest.push_str("use ");
                statements = &after[4..];
                continue;
            }
            rest.push_str(before);
            let list = if line.is_empty() { &mut imports } else { &mut reexports };
            list.extend(expand_use_tree(&after[4..end]));
            statements = &after[end..];
        }
        rest.push_str(statements);
        // Paths that are written out where they are used.
        for root in ["crate::", "super::"] {
            for (at, _) in rest.match_indices(root) {
                let is_whole = !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                let path = rest[at..].split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next();
                if is_whole {
                    imports.extend(path.map(|p| expand_use_tree(p).remove(0)));
                }
            }
        }
        let mut source = Source { file, module, imports, reexports };
        let module = source.module.clone();
        for path in source.imports.iter_mut().chain(&mut source.reexports) {
            *path = from_crate(path, &module);
        }
        source
    }
}

/// A path as it would be written from the root of the crate.
fn from_crate(path: &[String], module: &[String]) -> Vec<String> {
    let mut base = module.to_vec();
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = others;
    }
    base.extend(rest.iter().cloned());
    base
}

/// The file in which the last name of a path is defined, through re-exports.
fn defining_file(path: &[String], sources: &[Source], depth: usize) -> Option<usize> {
    let length = (0..=path.len())
        .rev()
        .find(|n| sources.iter().any(|s| s.module == path[..*n] && s.file != "main.rs"))?;
    let index = sources.iter().position(|s| s.module == path[..length] && s.file != "main.rs")?;
    let Some(name) = path.get(length).filter(|_| depth < 8) else { return Some(index) };
    let reexport = sources[index].reexports.iter().find(|r| r.last() == Some(name) && **r != *path);
    match reexport {
        Some(real) => defining_file(real, sources, depth + 1),
        None => Some(index),
    }
}

/// The cycles of a graph: sets of nodes that reach each other.
fn cycles(edges: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let reachable: Vec<BTreeSet<usize>> = (0..edges.len())
        .map(|start| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(node) = open.pop() {
                open.extend(edges[node].iter().filter(|next| seen.insert(**next)));
            }
            seen
        })
        .collect();
    let mut found: Vec<BTreeSet<usize>> = Vec::new();
    for node in 0..edges.len() {
        let cycle: BTreeSet<usize> =
            reachable[node].iter().copied().filter(|other| reachable[*other].contains(&node)).collect();
        if cycle.len() > 1 && !found.contains(&cycle) {
            found.push(cycle);
        }
    }
    found
}

fn cycles_between_files(sources: &[Source]) -> Vec<Vec<&str>> {
    let mut edges = vec![BTreeSet::new(); sources.len()];
    for (index, source) in sources.iter().enumerate() {
        let used = source.imports.iter().filter_map(|path| defining_file(path, sources, 0));
        edges[index] = used.filter(|other| *other != index).collect();
    }
    cycles(&edges).iter().map(|c| c.iter().map(|i| sources[*i].file.as_str()).collect()).collect()
}

#[test]
fn imports_between_files_have_no_cycle() {
    let sources: Vec<Source> = sources().iter().map(|(path, text)| Source::new(path, text)).collect();
    let cycles = cycles_between_files(&sources);
    assert!(cycles.is_empty(), "files that import each other: {cycles:#?}");
}

#[test]
fn a_cycle_is_found_through_groups_written_out_paths_and_re_exports() {
    let file = |path: &str, text: &str| Source::new(Path::new(path), text);
    let cycles = |second: &str| {
        let sources = [
            file("part/mod.rs", "mod a;\nmod b;\npub use b::{Other, Thing};\n"),
            file("part/a.rs", "use std::fmt;\nuse super::{Other, Thing as Renamed};\npub struct Own;\n"),
            file("part/b.rs", second),
            file("part/c.rs", "use crate::part::a::Own;\n"),
        ];
        cycles_between_files(&sources).iter().map(|c| c.join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(cycles("pub struct Thing;\n"), [""; 0]);
    assert_eq!(cycles("use super::a::Own;\n"), ["part/a.rs part/b.rs"]);
    assert_eq!(cycles("fn f() -> crate::part::a::Own { f() }\n"), ["part/a.rs part/b.rs"]);
    assert_eq!(cycles("use crate::{part::{c::{self, Way}}};\n"), ["part/a.rs part/b.rs part/c.rs"]);
    assert_eq!(
        cycles("// use super::a::Own;\n#[cfg(test)]\nmod tests {\n    use super::super::a::Own;\n}\n"),
        [""; 0]
    );
}
