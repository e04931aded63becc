//! Every recipe in the README and in docs/ is checked, every file they name exists.

use std::path::{Path, PathBuf};

use obert::diag::render::full;
use obert::diag::{Code, Severity};
use obert::language::{NoFiles, Options, compile};

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = vec![root.join("README.md")];
    list.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()));
    list.retain(|p| p.extension().is_some_and(|e| e == "md"));
    list.sort();
    list
}

/// The code blocks of a page: what stands behind the fence, and the code.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info.to_owned(), String::new())),
            (Some(_), Some(_)) => list.extend(open.take()),
            (None, Some((_, code))) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block never ends");
    list
}

/// Statements of a recipe, with a recipe around them.
fn wrapped(statements: &str) -> String {
    let lr = if statements.contains("lr {") { "" } else { "lr { 0..30 epochs: 5e-5 }\n" };
    format!(
        "edition 2026\nuse std.bert.{{encoder_linears}}\nrecipe r for 30 epochs {{\n\
         model: \"bert-base-uncased\"\ndata: squad\n{lr}{statements}\n}}\n"
    )
}

#[test]
fn every_recipe_in_the_documentation_checks() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (info, code) in blocks(&text) {
            let recipe = match info.as_str() {
                "obert" => code,
                "obert,in-recipe" => wrapped(&code),
                _ => continue,
            };
            let compiled = compile("block", &recipe, &NoFiles, Options::default());
            // A few statements out of a recipe need not use what stands around them, and may hold the
            // zeros of a model that has none.
            let beside = |code: Code| matches!(code, Code::UnusedName | Code::NothingToHold);
            let found: Vec<_> = compiled
                .diagnostics
                .into_iter()
                .filter(|d| !beside(d.code) && d.severity != Severity::Advice)
                .collect();
            let shown = full::render_all(&found, &compiled.sources, false);
            assert!(found.is_empty(), "{}:\n{recipe}\n{shown}", page.display());
            count += 1;
        }
    }
    assert!(count >= 6, "{count} recipes");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or("")) {
            if link.starts_with("http") || link.is_empty() {
                continue;
            }
            let target = page.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(target.exists(), "{} links to {link}", page.display());
        }
    }
}

#[test]
fn the_readmes_commands_are_those_of_ci() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let ci = std::fs::read_to_string(root.join(".ci/run")).unwrap();
    let commands: Vec<String> = blocks(&readme)
        .into_iter()
        .filter(|(info, _)| info == "sh")
        .map(|(_, code)| code.trim().to_owned())
        .collect();
    assert_eq!(commands, ["cargo run -- run stdlib_recipes/quickstart.obert", "cargo test"]);
    for command in commands {
        assert!(ci.contains(&command), ".ci/run does not run `{command}`");
    }
}
