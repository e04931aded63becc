//! Findings in every form, and the remedies that `check --fix` applies.

use std::path::Path;
use std::process::{Command, Stdio};

use obert::internals::diag::render::{concise, full, github, json, sarif};
use obert::internals::language::{NoFiles, Options, compile};
use proptest::prelude::*;

const MISTAKEN: &str = "recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linaer }
  prune params(\"bert.encoder.**.dense.weight\") over 0..2 epochs every 1 epoch {
    by: magnitude
    sparsity: 30% -> 80 cubic
    rnak: global
  }
}
";

const MENDED: &str = "edition 2026

recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linear }
  prune params(\"bert.encoder.**.dense.weight\") over 0..2 epochs every 1 epoch {
    by: magnitude
    sparsity: 30% -> 80% cubic
    rank: global
  }
}
";

fn obertc(folder: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses a flag ends before it reads.
    if let Err(error) = child.stdin.take().unwrap().write_all(input.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn three_mistakes_in_every_form() {
    let compiled = compile("recipes/squad, 80%.obert", MISTAKEN, &NoFiles, Options::default());
    let (list, sources) = (&compiled.diagnostics, &compiled.sources);
    insta::assert_snapshot!("findings_full", full::render_all(list, sources, false));
    insta::assert_snapshot!("findings_concise", concise::render_all(list, sources));
    insta::assert_snapshot!("findings_github", github::render_all(list, sources));
    insta::assert_snapshot!("findings_json", json::render_all(&[(list, sources)]));
    let log = sarif::render_all(&[(list, sources)]).replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!("findings_sarif", log);
}

#[test]
fn fix_mends_what_has_one_remedy_and_leaves_what_may_hide_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.obert"), MISTAKEN).unwrap();
    let (code, out, err) = obertc(folder.path(), &["check", "--fix", "r.obert"], "");
    assert_eq!((code, out.as_str(), err.as_str()), (0, "applied 4 fixes\nr.obert: fine (1 stage)\n", ""));
    assert_eq!(std::fs::read_to_string(folder.path().join("r.obert")).unwrap(), MENDED);

    let counted = MENDED.replace("weight\")", "weight\") expect 71");
    std::fs::write(folder.path().join("r.obert"), &counted).unwrap();
    let (code, _, err) = obertc(folder.path(), &["check", "--fix", "r.obert"], "");
    assert_eq!(code, 1, "{err}");
    assert_eq!(std::fs::read_to_string(folder.path().join("r.obert")).unwrap(), counted);
    let (code, _, err) = obertc(folder.path(), &["check", "--fix", "--unsafe-fixes", "r.obert"], "");
    assert_eq!(code, 0, "{err}");
    let text = std::fs::read_to_string(folder.path().join("r.obert")).unwrap();
    assert!(text.contains("expect 36"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the recipe");
}

#[test]
fn fix_says_the_words_of_sparseml_and_slips_of_other_languages_as_they_are_here() {
    let read = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/bad");
        std::fs::read_to_string(folder.join(name)).unwrap()
    };
    let check = |text: &str| {
        let compiled = compile("r.obert", text, &NoFiles, Options::default());
        (compiled.main, compiled.diagnostics)
    };
    let mend = |name: &str| obert::internals::diag::fix::fix_all(&read(name), false, check).0;
    let words = mend("OB0203_sparseml_words.obert");
    let said = "    by: obs(gradients: 1024, damp: 1e-7, block: 50, batch: 16)
    sparsity: 0.7 -> 0.9 cubic
    rank: global
    pattern: unstructured
";
    assert!(words.contains(said), "{words}");
    let slips = mend("OB0107_slips_of_other_languages.obert");
    assert!(slips.contains("lr { 0..30 epochs: 8e-5 -> 8e-6 linear }"), "{slips}");
    let below = mend("OB0107_block_below.obert");
    assert!(below.contains("recipe a for 2 epochs {\n"), "{below}");
    assert!(!check(&below).1.iter().any(obert::internals::diag::Diagnostic::is_error), "{below}");
}

#[test]
fn a_recipe_on_standard_input_is_checked_mended_and_planned() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, out, _) = obertc(folder, &["check", "-", "--format", "concise"], MISTAKEN);
    assert_eq!(code, 1);
    assert!(out.starts_with("<stdin>:4:31: error: "), "{out}");
    let (code, out, _) = obertc(folder, &["check", "-", "--fix"], MISTAKEN);
    assert_eq!((code, out.split("applied").next().unwrap()), (0, MENDED));
    let (code, out, _) = obertc(folder, &["plan", "-", "--no-chart"], MENDED);
    assert_eq!(code, 0);
    assert!(out.contains("dense.weight\") to 80%"), "{out}");
}

#[test]
fn a_folder_is_checked_whole_and_parts_for_others_are_fine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, out, err) = obertc(root, &["check", "stdlib_recipes/paper/compound"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with(" recipes: fine\n"), "{out}");
    let (code, out, _) = obertc(root, &["check", "stdlib_recipes/std/bert.obert"], "");
    assert_eq!(code, 0);
    assert!(out.starts_with("stdlib_recipes/std/bert.obert: fine ("), "{out}");
    assert!(out.ends_with(" sets of parameters)\n"), "{out}");
    let (code, out, err) = obertc(root, &["check", "stdlib_recipes/std"], "");
    assert_eq!((code, err.as_str(), out.as_str()), (0, "", "12 recipes: fine\n"));
    let (code, out, _) = obertc(root, &["check", "tests/corpus/bad", "--format", "concise"], "");
    assert_eq!(code, 1);
    assert!(out.lines().count() > 90, "{}", out.lines().count());
    let (code, _, err) = obertc(root, &["check", "src"], "");
    assert_eq!(code, 1);
    assert!(err.contains("the folder `src` holds no .obert file"), "{err}");
}

#[test]
fn the_parts_of_a_file_without_a_recipe_are_checked_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let text = "edition 2026\n\n## A set.\nlet heads = [params(\"**.head.weight\"), strays]\n
template tune {
  param peak: rate = 90%
  param share: ratio
  lr { 0..100% of run: peak -> 0 linear }
  prune heads { by: magnitude, spars: share }
}
template short for 2 epochs {
  lr { 0..3 epochs: 5e-5 }
}
";
    std::fs::write(folder.path().join("parts.obert"), text).unwrap();
    let (code, out, _) = obertc(folder.path(), &["check", "parts.obert", "--format", "concise"], "");
    let places: Vec<&str> = out.lines().map(|l| l.split(": ").next().unwrap()).collect();
    assert_eq!(code, 1);
    assert_eq!(
        places,
        ["parts.obert:4:40", "parts.obert:7:22", "parts.obert:10:32", "parts.obert:13:8"],
        "{out}"
    );
}

#[test]
fn check_says_less_or_more_where_it_is_asked_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fine = obertc(root, &["check", "--quiet", "stdlib_recipes/quickstart.obert"], "");
    assert_eq!(fine, (0, String::new(), String::new()));
    let (code, out, err) = obertc(root, &["check", "-q", "-"], MISTAKEN);
    assert!(code == 1 && out.is_empty() && err.starts_with("OB0") && !err.contains("explain"), "{err}");
    let (code, _, err) = obertc(root, &["check", "-v", "-"], MISTAKEN);
    let why = obert::internals::explain::page(obert::internals::diag::Code::UnknownShape).unwrap().why;
    assert!(code == 1 && err.contains(why), "{err}");
    assert_eq!(obertc(root, &["check", "-q", "-v", "-"], MISTAKEN).0, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn mending_ends_and_mending_again_changes_nothing(cut in 0usize..MISTAKEN.len(), insert in "[ -~\n]{0,6}") {
        let mut text = MISTAKEN.to_owned();
        text.insert_str(cut, &insert);
        let check = |text: &str| {
            let compiled = compile("r.obert", text, &NoFiles, Options::default());
            (compiled.main, compiled.diagnostics)
        };
        let (mended, _) = obert::internals::diag::fix::fix_all(&text, false, check);
        // Mending again finds nothing more to do.
        prop_assert_eq!(obert::internals::diag::fix::fix_all(&mended, false, check), (mended.clone(), 0));
    }
}
