//! The pages behind codes: what they call wrong is found, what they call right is not.

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Diagnostic, Findings, Sources};
use obert::internals::explain::view::items;
use obert::internals::explain::{explain, page, topics};
use obert::internals::language::syntax::parse_file;
use obert::internals::language::{NoFiles, Options, compile, format};

use crate::docs::recipe;

/// What the checker finds in an example; `None` for commands, which are shown and not run.
fn found(kind: &str, code: &str) -> Option<(Vec<Diagnostic>, String)> {
    let recipe = recipe(kind, code)?;
    let compiled = compile("example", &recipe, &NoFiles, Options::default());
    let shown = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    Some((compiled.diagnostics, format!("{recipe}\n{shown}")))
}

fn canonical(code: &str) -> String {
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    let file = sources.add("example", code);
    format(code, &parse_file(file, code, &mut findings)).trim_end().to_owned()
}

/// Whether only a command, a file or a running engine provokes this code.
fn beyond_recipes(code: Code) -> bool {
    let flags_and_files = [Code::UseCycle, Code::UnknownParameter, Code::SetTwice];
    !(100..800).contains(&code.number()) || flags_and_files.contains(&code)
}

#[test]
fn every_wrong_example_gives_its_code_and_no_right_one_an_error() {
    let mut compiled = 0;
    let mut mistakes = Vec::new();
    for code in Code::ALL {
        let page = page(*code).unwrap_or_else(|| panic!("{code} has no page"));
        let wrong = found(page.wrong.kind, page.wrong.code);
        match wrong {
            Some((wrong, _)) if wrong.iter().any(|d| d.code == *code) => compiled += 1,
            _ if beyond_recipes(*code) => {}
            Some((_, shown)) => mistakes.push(format!("no {code} in\n{shown}")),
            None => mistakes.push(format!("{code} can be shown by a recipe")),
        }
        let Some((right, shown)) = found(page.right.kind, page.right.code) else { continue };
        if right.iter().any(|d| d.code == *code || d.is_error()) {
            mistakes.push(format!("{code} calls this right:\n{shown}"));
        }
        if page.right.kind == "obert" && canonical(page.right.code) != page.right.code {
            mistakes.push(format!("{code} is not in canonical form:\n{}", page.right.code));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(compiled >= 80, "{compiled} examples");
}

/// The exit code and the complaints of a command, if it checks a recipe that we ship.
fn checked(example: &str) -> Option<(Option<i32>, String)> {
    let arguments = example.strip_prefix("$ obertc ").filter(|a| a.starts_with("check stdlib_recipes/"))?;
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments.split(' '))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    Some((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn commands_on_recipes_that_we_ship_do_what_their_pages_say() {
    let mut run = Vec::new();
    for code in Code::ALL {
        let page = page(*code).unwrap();
        let Some((status, complaint)) = checked(page.wrong.code) else { continue };
        assert!(status == Some(1) && complaint.starts_with(&code.to_string()), "{code}: {complaint}");
        let (status, complaint) = checked(page.right.code).unwrap();
        assert_eq!(status, Some(0), "{code}: {complaint}");
        run.push(code.to_string());
    }
    assert_eq!(run, ["OB0001", "OB0213", "OB0226", "OB0922"]);
}

#[test]
fn pages_read_as_recorded() {
    for word in [
        "OB0402",
        "OB0701",
        "OB0913",
        "prune",
        "prune.pattern",
        "damp",
        "batch",
        "num_grads",
        "OBSPruningModifier",
        "gradual",
        "codes",
    ] {
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/explain", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(word.replace('.', "_"), explain(word, false).unwrap());
        });
    }
}

#[test]
fn every_choice_lists_its_arguments_and_every_setting_its_default_as_they_are_declared() {
    let items = items();
    let mut arguments = 0;
    for item in &items {
        let word = item.path.join(".");
        let text = explain(&word, false).unwrap_or_else(|_| panic!("{word}"));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&text).contains(&words(&item.doc)), "{word}: {text}");
        if let Some(default) = item.default {
            assert!(text.contains(&format!("`{default}`")), "{word}: {text}");
        }
        if item.kind == "argument" {
            let owner = explain(&item.path[..item.path.len() - 1].join("."), false).unwrap();
            assert!(words(&owner).contains(&words(&item.doc)), "{owner}");
            arguments += 1;
        }
    }
    assert!(arguments > 40, "{arguments}");
    let damp = items.iter().find(|i| i.path == ["prune", "by", "obs", "damp"]).unwrap();
    assert_eq!((damp.kind, damp.default, damp.required), ("argument", Some("1e-7"), false));
    assert_eq!(damp.aliases, ["dampening", "dampening_frac"]);
    let json = serde_json::to_value(damp).unwrap();
    assert_eq!(json["value"], "a dampening such as `1e-7` or `1e-7 or raise`");
}

#[test]
fn every_topic_that_is_listed_can_be_explained() {
    for (group, words) in topics() {
        for word in words {
            let text = explain(&word, false).unwrap_or_else(|_| panic!("{group}: {word}"));
            assert!(text.lines().count() >= 3, "{text}");
            assert!(text.lines().all(|l| l == l.trim_end()), "{text}");
        }
    }
}

#[test]
fn every_word_of_the_reference_and_of_the_field_is_explained() {
    let reference = obert::internals::explain::reference::markdown();
    let word = |cell: &str| {
        let text = cell.trim().strip_prefix('`')?.split('`').next()?;
        let word = text.split(['(', ' ']).next()?.trim_end_matches(':');
        let is_word =
            word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.');
        (is_word && !word.contains("..") && word.starts_with(|c: char| c.is_ascii_lowercase()))
            .then(|| word.to_owned())
    };
    let rows = reference.lines().filter_map(|l| word(l.strip_prefix("| ")?));
    let headings = reference.lines().filter_map(|l| word(l.trim_start_matches('#')));
    // One-letter words are operands of operators.
    let words: Vec<String> = rows.chain(headings).filter(|w| w.len() > 1).collect();
    assert!(words.len() > 150, "{}", words.len());
    for word in &words {
        explain(word, false).unwrap_or_else(|_| panic!("{word}"));
    }
    let field = "warmup, weight decay, weight_decay, LoRA, temperature, PTQ, QAT, epoch, step, hidden states, \
                 gradient accumulation, STE, straight-through estimator, Fisher, damping, dampening, observer, \
                 zero point, scale, calibration, sparsity, pruning, mask, magnitude pruning, movement, OBS, \
                 structured pruning, 2:4, N:M sparsity, block sparsity, distillation, teacher, student, alpha, \
                 label smoothing, dropout, AdamW, optimizer, scheduler, learning rate, gradient clipping, \
                 batch size, fine-tuning, layer dropping, quantization, INT8, bits, mixed precision, fp16, \
                 bfloat16, checkpoint, early stopping, perplexity, F1, one-shot, self-distillation, \
                 per-channel, ONNX, seed, max_length, sequence length, SST-2, Hessian, saliency";
    for word in field.split(", ") {
        let text = explain(word, false).unwrap_or_else(|_| panic!("{word}"));
        assert!(text.lines().count() >= 3, "{text}");
    }
}

#[test]
fn what_a_concept_writes_and_refers_to_can_be_read_and_explained() {
    let mut compiled = 0;
    for name in topics().into_iter().find(|(group, _)| *group == "Words of the field").unwrap().1 {
        let text = explain(&name, false).unwrap();
        let see = text.lines().filter(|l| l.contains("`obertc explain ")).collect::<Vec<_>>().join(" ");
        for word in see.split("`obertc explain ").skip(1).filter_map(|w| w.split('`').next()) {
            explain(word, false).unwrap_or_else(|_| panic!("{name} refers to {word}"));
        }
        let code: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("    ")).collect();
        let code = code.join("\n");
        let first = code.split([' ', ':', '\n']).next().unwrap_or("");
        // Settings alone are a part of something.
        let verbs = ["lr", "train", "prune", "hold", "freeze", "quantize", "distill", "evaluate", "keep"];
        if !verbs.contains(&first) {
            continue;
        }
        let (found, shown) = found("obert,in-recipe", &code).unwrap();
        assert!(!found.iter().any(Diagnostic::is_error), "{name}:\n{shown}");
        compiled += 1;
    }
    assert!(compiled > 15, "{compiled}");
}

#[test]
fn what_is_unknown_is_answered_with_what_is_near() {
    let near = |word: &str| explain(word, false).unwrap_err().nearest;
    assert_eq!(near("prun").as_deref(), Some("prune"));
    assert_eq!(near("prune.spars").as_deref(), Some("prune.sparsity"));
    assert_eq!(near("std.bert.encoder_linear").as_deref(), Some("std.bert.encoder_linears"));
    assert_eq!(near("OB0499").as_deref(), Some("OB0409"));
    assert_eq!(near("zzzzzzzz"), None);
    for word in ["", ".", "..", "prune.", "ö.ö", "OB", "std."] {
        explain(word, false).unwrap_err();
    }
}
