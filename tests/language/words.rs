//! What people read uses the field's words: docs, help texts and comments of `src` are searched for private words
//! where PyTorch, Hugging Face and the paper have one.

use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::docs::pages;
use crate::module_graph::sources;
use crate::recipes::{recipes_in, shipped_recipes};

/// A private word as a regular expression, the field's word for it, and a sentence that is refused.
struct Word {
    pattern: &'static str,
    instead: &'static str,
    refused: &'static str,
}

const fn word(pattern: &'static str, instead: &'static str, refused: &'static str) -> Word {
    Word { pattern, instead, refused }
}

/// The refused words. Each is a certain fault: a word with another, good meaning is not listed, or only with its
/// neighbours.
const WORDS: &[Word] = &[
    // Pruning.
    word(r"\bsurgeons?\b", "OBS, the OBS pruner", "the surgeon's settings"),
    word(r"(?i)\b(un)?cur(e|es|ed|ing)\b", "recompute in float64", "blocks are cured"),
    word(
        r"(?i)\bwhat (goes|stays|went|stayed)\b",
        "pruned weights, remaining weights",
        "what goes from each",
    ),
    word(
        r"(?i)\bweights? (that|which) (go|goes|stays?)\b",
        "pruned weights, remaining weights",
        "weights that stay",
    ),
    word(r"(?i)\bprun(e|es|ed|ing)( [\w%]+){0,3} at once\b", "one-shot pruning", "pruned to 80% at once"),
    word(
        r"(?i)\blengths? of the (update|compensation)\b",
        "step size of the update",
        "the length of the update",
    ),
    word(r"(?i)\b(makes?|made|making) up for\b", "compensate for", "the rest makes up for them"),
    word(r"(?i)\btroubles?\b", "ill-conditioned, error", "blocks in trouble"),
    word(r"(?i)\bknown by its\b", "QR factor, Cholesky factor", "a block known by its square root"),
    // Quantization.
    word(r"(?i)\b(in|of|to|so) few(er)? bits\b", "quantized to 4 bits", "weights in few bits"),
    word(r"(?i)\bmodels? (of|as) bytes\b", "INT8 model", "a model of bytes"),
    word(
        r"(?i)\bround(s|ed|ing)? (models?|weights?|layers?|tensors?|activations?|schemes?)\b",
        "quantize, fake quantization",
        "a rounded model",
    ),
    word(
        r"(?i)\b(models?|weights?|layers?|tensors?|activations?|matrices|tables?)( that)?( (is|are|was|were|be|been|(can|may|must) be|cannot be))? rounded\b",
        "quantized",
        "weights that are rounded",
    ),
    word(r"(?i)\brounded (to (few|4|8|four|eight)|in|without)\b", "quantized", "rounded to eight bits"),
    word(
        r"(?i)\bas if nothing (had )?happened\b",
        "straight-through estimator",
        "gradients pass as if nothing happened",
    ),
    // Training and evaluation.
    word(
        r"(?i)\bguess(es|ed|ing)? (hidden|masked)\b",
        "predict masked tokens",
        "a model guesses masked words",
    ),
    word(r"(?i)\bhidden tokens?\b", "masked tokens", "the hidden tokens"),
    word(r"(?i)\bsoften(s|ed|ing)?\b", "label smoothing", "softened labels"),
    word(r"(?i)\bheld[- ]out\b", "dev set, validation set", "held-out questions"),
    word(
        r"(?i)\bmeasur(e|es|ed|ing) (best|models?|(a|the) model)\b",
        "evaluate",
        "the weights that measured best",
    ),
    word(r"(?i)\bmeasured on\b", "evaluated on", "measured on the dev set"),
    word(r"(?i)\bbest measurements?\b", "best evaluation, best checkpoint", "keeps the best measurement"),
    word(r"(?i)\bfigures\b", "metrics, results, numbers", "the figures of a model"),
    word(r"(?i)\bfrom what it was\b", "self-distillation", "it learns from what it was"),
    word(r"(?i)\bits inside\b", "hidden states", "what a teacher shows of its inside"),
    word(r"(?i)\bpictures?\b", "chart", "draws a picture"),
    word(r"(?i)\brivals?\b", "baseline", "the rival's time"),
    // Plain English.
    word(r"(?i)\bbeforehand\b", "before", "checked beforehand"),
    word(r"(?i)\banew\b", "again", "written anew"),
    word(r"(?i)\blikewise\b", "also, the same", "the sums, likewise"),
    word(r"(?i)\bwhoever\b", "the caller, a program that", "whoever calls it"),
    word(r"(?i)\b(no|some)body\b", "no one, a user", "nobody reads it"),
    word(r"(?i)\b(hears?|heard)\b", "receive", "an observer hears events"),
    word(r"(?i)\bthe house\b", "crate, export", "what leaves the house"),
    word(
        r"(?i)\bstands? (in|at|behind|beside|between|under|there|here)\b",
        "is, is written",
        "it stands in a stage",
    ),
    word(r"(?i)\bgo(es|ing)? on (with|from|as|behind|where)\b", "continue", "the run goes on from there"),
    word(r"(?i)\bin a circle\b", "in a cycle", "files use each other in a circle"),
    word(r"(?i)\bmakes? no sense\b", "say what is wrong", "a scale that makes no sense"),
    word(r"(?i)\bpruning instants?\b", "pruning event", "between pruning instants"),
    word(r"(?i)\bwithout a word\b", "silently", "it fails without a word"),
];

/// Text in which a word of the list has its good meaning.
const ALLOWED: &[&str] = &[
    // Rounding of a number, not of a model.
    r"(?i)rounded (in|to) (the same|one|a fixed) ",
    r"(?i)what (goes|went) wrong",
    r"(?i)stands? in for",
];

/// Prose without code: fenced blocks are dropped, and code in a line becomes a placeholder.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().map(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fenced || fence { "" } else { line }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Regex::new("`[^`]*`").unwrap().replace_all(&text, "`…`").into_owned()
}

/// Every refused word of a text, with its line and the word to use.
fn faults(place: &str, text: &str) -> Vec<String> {
    // A sentence may break anywhere.
    let flat = text.replace('\n', " ");
    let allowed: Vec<Regex> = ALLOWED.iter().map(|a| Regex::new(a).unwrap()).collect();
    let mut list = Vec::new();
    for word in WORDS {
        for found in Regex::new(word.pattern).unwrap().find_iter(&flat) {
            if allowed.iter().any(|a| a.find_iter(&flat).any(|a| a.range().contains(&found.start()))) {
                continue;
            }
            let line = text[..found.start()].matches('\n').count() + 1;
            list.push(format!("{place}:{line}: `{}`: write {}", found.as_str(), word.instead));
        }
    }
    list
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "words of our own where the field has one:\n{}", faults.join("\n"));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_refused_word_is_found_and_code_is_not_searched() {
    for word in WORDS {
        let found = faults("here", &format!("First line.\n{}", word.refused));
        assert!(
            found.iter().any(|f| f.starts_with("here:2: ") && f.ends_with(word.instead)),
            "{}",
            word.refused
        );
    }
    assert_eq!(faults("here", &prose("`surgeon` and\n```\nanew\n```\nthe Optimal BERT Surgeon")), [""; 0]);
}

#[test]
fn the_docs_and_the_pages_of_codes_use_the_fields_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = pages();
    list.extend(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name)));
    list.extend(std::fs::read_dir(root.join("src/explain/pages")).unwrap().map(|e| e.unwrap().path()));
    list.sort();
    assert!(list.len() > 150, "{} pages", list.len());
    let found: Vec<String> = list
        .iter()
        .flat_map(|page| faults(&page.strip_prefix(root).unwrap().to_string_lossy(), &prose(&read(page))))
        .collect();
    none(&found);
}

/// The help of `obertc` and of every command.
fn helps() -> Vec<(String, String)> {
    let help = |command: Option<&str>| {
        let output = Command::new(env!("CARGO_BIN_EXE_obertc")).args(command).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let overview = help(None);
    let commands = overview.split("Commands:\n").nth(1).unwrap().lines();
    let commands: Vec<String> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect();
    assert!(commands.len() > 7, "{commands:?}");
    let mut list: Vec<_> =
        commands.into_iter().map(|c| (format!("obertc {c} --help"), help(Some(&c)))).collect();
    list.push(("obertc --help".to_owned(), overview));
    list
}

#[test]
fn the_help_of_every_command_uses_the_fields_words() {
    none(&helps().iter().flat_map(|(command, text)| faults(command, text)).collect::<Vec<_>>());
}

/// The text of a file's comments, which begin with `sign`, on their lines; code between them is left out.
fn comments(text: &str, sign: &str) -> String {
    let lines = text.lines().map(|line| {
        let comment = line.trim_start().strip_prefix(sign).unwrap_or("");
        comment.trim_start_matches(['/', '!', '#'])
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_comments_of_recipes_use_the_fields_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = [shipped_recipes(), recipes_in(&["stdlib_recipes/std", "stdlib_recipes/starters"])].concat();
    let found: Vec<String> = list
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
            faults(&name, &prose(&comments(&read(path), "#")))
        })
        .collect();
    none(&found);
}

#[test]
fn the_comments_of_src_use_the_fields_words() {
    let found: Vec<String> = sources()
        .into_iter()
        .flat_map(|(path, text)| faults(&path.to_string_lossy(), &prose(&comments(&text, "//"))))
        .collect();
    none(&found);
}
