//! Every recipe in the README and in docs/ is checked, every file they name exists, and what is
//! written from tables is up to date.

use std::path::{Path, PathBuf};

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Diagnostic, Severity};
use obert::internals::language::{NoFiles, Options, compile};

pub fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = vec![root.join("README.md")];
    list.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()));
    list.retain(|p| p.extension().is_some_and(|e| e == "md"));
    list.sort();
    list
}

/// The code blocks of a page: what stands behind the fence, and the code.
pub fn blocks(text: &str) -> Vec<(String, String)> {
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

/// The recipe of a block, if it is one. `in-recipe` marks statements without a recipe around them.
pub fn recipe(info: &str, code: &str) -> Option<String> {
    let mut words = info.split(',');
    (words.next() == Some("obert"))
        .then(|| if words.any(|w| w == "in-recipe") { wrapped(code) } else { code.to_owned() })
}

/// What a block finds besides advice, and all of it as a user sees it. A few statements out of a
/// recipe need not use what stands around them, and may hold the zeros of a model that has none.
fn findings(recipe: &str) -> (Vec<Diagnostic>, String) {
    let compiled = compile("block", recipe, &NoFiles, Options::default());
    let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    (compiled.diagnostics, shown)
}

#[test]
fn every_recipe_in_the_documentation_checks_and_every_wrong_one_gives_its_codes() {
    let (mut right, mut wrong) = (0, 0);
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (info, code) in blocks(&text) {
            let Some(recipe) = recipe(&info, &code) else { continue };
            let (found, shown) = findings(&recipe);
            let expected: Vec<&str> = info.split(',').filter_map(|w| w.strip_prefix("error=")).collect();
            for name in &expected {
                let given = found.iter().any(|d| d.code.to_string() == *name);
                assert!(given, "{}: no {name} in\n{recipe}\n{shown}", page.display());
            }
            if expected.is_empty() {
                let beside = |code: Code| matches!(code, Code::UnusedName | Code::NothingToHold);
                let fine = found.iter().all(|d| beside(d.code) || d.severity == Severity::Advice);
                assert!(fine, "{}:\n{recipe}\n{shown}", page.display());
                right += 1;
            } else {
                wrong += 1;
            }
        }
    }
    assert!(right >= 90 && wrong >= 70, "{right} right and {wrong} wrong recipes");
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

/// Compares a page with what the tables say; `INSTA_UPDATE=always` writes it.
fn up_to_date(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let mut written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != expected && std::env::var_os("INSTA_UPDATE").is_some_and(|v| v == "always") {
        std::fs::write(&path, expected).unwrap();
        written = expected.to_owned();
    }
    let advice = "write it anew: INSTA_UPDATE=always cargo test --no-default-features";
    assert!(written == expected, "docs/{page} does not say what the tables say; {advice}");
}

#[test]
fn the_list_of_errors_is_up_to_date() {
    up_to_date("errors.md", &obert::internals::explain::errors::markdown());
}

#[test]
fn the_reference_is_up_to_date() {
    up_to_date("reference.md", &obert::internals::explain::reference::markdown());
}
