//! Every recipe in the README and in docs/ is checked, every link leads to a file and a heading, the book lists
//! every page, and generated pages are up to date.

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

/// A page without its blocks of code.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchors of a page's headings, as mdBook and GitHub make them: lower case, letters, digits, `-` and `_`
/// only, `-` for spaces, and a number after the second of equal ones.
fn anchors(text: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for line in without_code(text).lines() {
        let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) else { continue };
        let anchor: String = heading
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
            .map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
            .collect();
        let earlier = list.iter().filter(|a| **a == anchor).count();
        list.push(if earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
    }
    list
}

#[test]
fn anchors_are_those_of_mdbook() {
    let text = "# Run `eval`\n```sh\n# a comment\n```\n## OB0402: a window\n## Sizes\n## Sizes\n";
    assert_eq!(anchors(text), ["run-eval", "ob0402-a-window", "sizes", "sizes-1"]);
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = pages();
    list.extend(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name)));
    let (mut files, mut headings) = (0, 0);
    for page in list {
        let text = std::fs::read_to_string(&page).unwrap();
        let in_book = page.parent().unwrap().ends_with("docs");
        for link in links(&without_code(&text)) {
            let place = format!("{} links to {link}", page.display());
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(!in_book || !file.starts_with(".."), "{place}, which is not in the book");
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{place}");
            files += 1;
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(there.iter().any(|a| a == anchor), "{place}; its headings: {there:?}");
                headings += 1;
            }
        }
    }
    assert!(files >= 100 && headings >= 2, "{files} links, {headings} with a heading");
}

#[test]
fn the_book_lists_every_page_once_and_a_page_begins_with_what_the_reader_can_do() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<PathBuf> = links(&summary).into_iter().map(|link| docs.join(link)).collect();
    listed.sort();
    let mut there = pages();
    there.retain(|page| page.starts_with(&docs) && !page.ends_with("SUMMARY.md"));
    assert_eq!(listed, there);
    for page in there.iter().filter(|page| !page.ends_with("index.md")) {
        let text = std::fs::read_to_string(page).unwrap();
        let (title, rest) = text.split_once("\n\n").unwrap();
        let first = rest.split("\n\n").next().unwrap();
        assert!(title.starts_with("# "), "{}: {title}", page.display());
        let begins = ["With this page you can ", "After this tour you can ", "In this tutorial you "];
        assert!(begins.iter().any(|b| first.starts_with(b)), "{} begins with: {first}", page.display());
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

#[test]
fn every_workflow_is_valid_yaml_with_jobs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Result<serde_yaml::Value, _> = serde_yaml::from_str(&text);
        let workflow = read.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(workflow["jobs"].as_mapping().is_some_and(|jobs| !jobs.is_empty()), "{}", path.display());
    }
}

#[test]
fn the_bindings_have_the_version_of_the_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for package in ["bindings/python", "bindings/c"] {
        let manifest = std::fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        let version = format!("\nversion = \"{}\"\n", env!("CARGO_PKG_VERSION"));
        assert!(manifest.contains(&version), "{package} has another version");
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
    let advice = "write it again: INSTA_UPDATE=always cargo test --no-default-features";
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
