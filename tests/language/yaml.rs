//! SparseML recipes in and out.

use std::path::{Path, PathBuf};

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Severity};
use obert::internals::language::{self, NoFiles, Override};
use obert::internals::params::builtin::{Head, bert, well_known};
use obert::internals::schedule::Schedule;
use obert::internals::schedule::ir::Stage;
use obert::internals::yaml::{Imported, Options, export, import};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The SparseML recipes of a folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            obert::internals::yaml::is_yaml(path) && path.file_name().is_some_and(|n| n != "README.md")
        })
        .collect();
    list.sort();
    assert!(!list.is_empty(), "{}", folder.display());
    list
}

fn tricky() -> Vec<PathBuf> {
    files_in(&root().join("tests/corpus/yaml/tricky"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// A file's first line may hold flags: `#: --set epochs=5`.
fn overrides(text: &str) -> Vec<Override> {
    let flags = text.lines().next().and_then(|l| l.strip_prefix("#: ")).unwrap_or("");
    let sets = flags.split("--set ").filter_map(|set| set.trim().split_once('='));
    sets.map(|(name, value)| Override { name: name.into(), value: value.into() }).collect()
}

fn imported(path: &Path) -> Imported {
    let text = std::fs::read_to_string(path).unwrap();
    let overrides = overrides(&text);
    import(
        path.file_name().unwrap().to_str().unwrap(),
        &text,
        Options { overrides: &overrides, ..Options::default() },
    )
}

fn shown(imported: &Imported) -> String {
    full::render_all(&imported.compilation.diagnostics, &imported.compilation.sources, false)
}

#[test]
fn every_tricky_file_comes_out_as_recorded() {
    for path in tricky() {
        let imported = imported(&path);
        let text = imported.text.clone().unwrap_or_else(|| "(no recipe)\n".to_owned());
        let outcome = format!("{text}\n{}", shown(&imported));
        insta::with_settings!({ omit_expression => true, snapshot_path => "snapshots/yaml", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(stem(&path), outcome);
        });
    }
}

/// An imported recipe compiles as a file of its own, and is in canonical form.
fn assert_sound(path: &Path, imported: &Imported) {
    let errors: Vec<_> = imported.compilation.diagnostics.iter().filter(|d| d.is_error()).collect();
    let Some(text) = &imported.text else {
        assert!(!errors.is_empty(), "{}: neither recipe nor error", path.display());
        for error in errors {
            let Some(place) = &error.primary else { panic!("{}: {error:?} has no place", path.display()) };
            let source = imported.compilation.sources.get(place.span.file);
            assert!(place.span.end as usize <= source.text.len(), "{}: {error:?}", path.display());
            assert!(error.help.is_some(), "{}: {error:?} has no help", path.display());
        }
        return;
    };
    let compiled = language::compile("imported.obert", text, &NoFiles, language::Options::default());
    let found = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    assert!(compiled.schedule.is_some(), "{}:\n{text}\n{found}", path.display());
    assert_eq!(compiled.schedule, imported.compilation.schedule, "{}", path.display());
    let mut sources = obert::internals::diag::Sources::new();
    let mut findings = obert::internals::diag::Findings::new();
    let file = sources.add("", text.clone());
    let parsed = obert::internals::language::syntax::parse_file(file, text, &mut findings);
    assert_eq!(language::format(text, &parsed), *text, "{} is not formatted", path.display());
}

/// Import, export, import: the same schedule.
fn assert_round_trip(path: &Path, imported: &Imported) -> bool {
    let Some(schedule) = &imported.compilation.schedule else { return false };
    let exported = match export(schedule, imported.compilation.parameters.as_ref()) {
        Ok(exported) => exported,
        Err(refused) => {
            assert!(refused.iter().all(|d| d.code == Code::NotExportable && d.help.is_some()), "{refused:?}");
            return false;
        }
    };
    let name = path.with_extension("yaml");
    let again = import(name.file_name().unwrap().to_str().unwrap(), &exported, Options::default());
    let found = shown(&again);
    let back =
        again.compilation.schedule.unwrap_or_else(|| panic!("{}:\n{exported}\n{found}", path.display()));
    assert_eq!(comparable(&back), comparable(schedule), "{}:\n{exported}\n{found}", path.display());
    true
}

/// What a schedule does, without its words.
fn comparable(schedule: &Schedule) -> Schedule {
    let mut plain = Schedule { doc: String::new(), parameters: Vec::new(), ..schedule.clone() };
    plain.stages.iter_mut().for_each(|s| s.doc = String::new());
    plain
}

#[test]
fn an_import_is_a_checked_recipe_or_a_located_error() {
    for path in tricky() {
        assert_sound(&path, &imported(&path));
    }
}

#[test]
fn import_after_export_is_the_same_schedule() {
    let count = tricky().iter().filter(|path| assert_round_trip(path, &imported(path))).count();
    assert!(count > 30, "only {count} files were exported");
}

#[test]
#[allow(clippy::print_stderr)]
fn a_corpus_of_others_imports_as_soundly() {
    let Some(folder) = std::env::var_os("OBERT_YAML_CORPUS") else { return };
    let (mut recipes, mut exported, mut all) = (0, 0, 0);
    for path in files_in(Path::new(&folder)) {
        let imported = imported(&path);
        assert_sound(&path, &imported);
        all += 1;
        recipes += usize::from(imported.text.is_some());
        exported += usize::from(assert_round_trip(&path, &imported));
    }
    eprintln!("{all} files: {recipes} recipes, {exported} exported and read again");
}

#[test]
fn every_code_about_sparseml_has_a_file() {
    let mut found: Vec<Code> =
        tricky().iter().flat_map(|path| imported(path).compilation.diagnostics).map(|d| d.code).collect();
    // This one is about recipes that are exported.
    found.push(Code::NotExportable);
    let codes = Code::ALL.iter().filter(|code| (800..900).contains(&code.number()));
    let missing: Vec<String> = codes.filter(|c| !found.contains(c)).map(ToString::to_string).collect();
    assert!(missing.is_empty(), "no file in tests/corpus/yaml/tricky gives {missing:?}");
}

#[test]
fn every_finding_points_into_the_yaml_and_says_what_to_do() {
    for path in tricky() {
        let imported = imported(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        for diagnostic in &imported.compilation.diagnostics {
            let place = diagnostic.primary.as_ref().unwrap_or_else(|| panic!("{name}: {diagnostic:?}"));
            let source = &imported.compilation.sources.get(place.span.file);
            assert!(
                source.name.ends_with(name) || source.name.starts_with("--set"),
                "{name}: {}",
                source.name
            );
            assert!(!source.text.contains("edition 2026"), "{name}: {diagnostic:?}");
            assert!(diagnostic.help.is_some(), "{name}: {diagnostic:?}");
            assert!(!diagnostic.message.ends_with('.'), "{}", diagnostic.message);
        }
    }
}

/// The recipes of the paper leave model, data, batch and names to the command line.
fn of_the_paper(stage: &Stage) -> Stage {
    let mut stage = Stage { name: String::new(), doc: String::new(), ..stage.clone() };
    stage.train.batch = 16;
    stage
}

#[test]
fn the_papers_yaml_gives_the_schedules_of_our_recipes() {
    for path in files_in(&root().join("tests/corpus/yaml/paper")) {
        let imported = imported(&path);
        assert_sound(&path, &imported);
        assert_round_trip(&path, &imported);
        let ours = root().join("stdlib_recipes/paper").join(format!("{}.obert", stem(&path)));
        let text = std::fs::read_to_string(&ours).unwrap();
        let ours =
            language::compile("ours.obert", &text, &NoFiles, language::Options::default()).schedule.unwrap();
        let theirs = imported.compilation.schedule.as_ref().unwrap();
        assert_eq!(theirs.data, ours.data, "{}", path.display());
        assert_eq!(theirs.stages.len(), ours.stages.len());
        for (a, b) in theirs.stages.iter().zip(&ours.stages) {
            assert_eq!(of_the_paper(a), of_the_paper(b), "{}", path.display());
        }
        let worst = imported.compilation.diagnostics.iter().map(|d| d.severity).min();
        let held = imported.compilation.diagnostics.iter().any(|d| d.code == Code::NothingToHold);
        assert!(held || worst == Some(Severity::Advice), "{}", shown(&imported));
    }
}

#[test]
fn one_recipe_of_the_paper_reads_as_recorded() {
    let path = root().join("tests/corpus/yaml/paper/30epochs_4block80_squad.yaml");
    insta::assert_snapshot!(imported(&path).text.unwrap());
}

#[test]
fn what_is_exported_reads_as_recorded() {
    let path = root().join("tests/corpus/yaml/paper/30epochs_4block80_squad.yaml");
    let schedule = imported(&path).compilation.schedule.unwrap();
    insta::assert_snapshot!(export(&schedule, None).unwrap());
}

#[test]
fn a_quantized_recipe_is_exported_for_the_newer_quantizer() {
    let path = root().join("tests/corpus/yaml/tricky/quantize_older_form.yaml");
    let compiled = imported(&path).compilation;
    insta::assert_snapshot!(export(&compiled.schedule.unwrap(), compiled.parameters.as_ref()).unwrap());
}

#[test]
fn what_sparseml_cannot_say_is_refused_in_one_list() {
    let text = r#"edition 2026
use std.bert.{encoder_linears, embeddings}
recipe r for 10 epochs {
  model: bert(layers: 2, hidden: 128, heads: 4)
  data: squad
  train { clip: 0.5 }
  lr {
    0..10% of run: 0 -> 8e-5 exponential
    10%..100% of run: 8e-5 -> 8e-6 polynomial(2)
    factor embeddings: 0.1
  }
  evaluate every 1 epoch
  prune encoder_linears except params("**.layer.0.**") over 2..10 epochs every 100 steps {
    by: obs(gradients: 512, block: 32, memory: 4 GiB)
    sparsity: 30% -> 80% cosine
    pattern: blocks(1, 8)
  }
  distill from self { hardness: 1.0 }
  expect { f1: 80.0 .. 100 }
}
"#;
    let text = text
        .replace("0 -> 8e-5 exponential", "1e-6 -> 8e-5 exponential")
        .replace("80% cosine", "80% polynomial(2)");
    let compiled = language::compile("r.obert", &text, &NoFiles, language::Options::default());
    let found = full::render_all(&compiled.diagnostics, &compiled.sources, false);
    let schedule = compiled.schedule.unwrap_or_else(|| panic!("{found}"));
    let refused = export(&schedule, None).unwrap_err();
    insta::assert_snapshot!(full::render_all(&refused, &compiled.sources, false));
}

#[test]
fn several_stages_are_refused() {
    let text = include_str!("../corpus/good/three_axes.obert");
    let schedule =
        language::compile("c.obert", text, &NoFiles, language::Options::default()).schedule.unwrap();
    let refused = export(&schedule, None).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].message.contains("2 stages: sparsify, quantize"), "{refused:?}");
}

/// What PyYAML makes of a text, tags read as plain mappings.
const PYYAML: &str = r#"
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def tagged(loader, suffix, node):
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
Loader.add_multi_constructor("!", tagged)
print(json.dumps(yaml.load(sys.stdin.read(), Loader)))
"#;

fn pyyaml(text: &str) -> Option<serde_json::Value> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let python = std::env::var_os("OBERT_PYTHON")?;
    let mut child = Command::new(python)
        .args(["-c", PYYAML])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "PyYAML refuses\n{text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The fields that SparseML wants as numbers, and what it gets.
fn assert_numbers(value: &serde_json::Value, path: &str) {
    const NUMBERS: [&str; 19] = [
        "start_epoch",
        "end_epoch",
        "update_frequency",
        "init_lr",
        "final_lr",
        "cycle_epochs",
        "init_sparsity",
        "final_sparsity",
        "damp",
        "num_grads",
        "fisher_block_size",
        "num_recomputations",
        "batch_size",
        "hardness",
        "temperature",
        "weight_decay",
        "lr_min",
        "num_bits",
        "num_calibration_steps",
    ];
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                assert!(!NUMBERS.contains(&key.as_str()) || value.is_number(), "{path}.{key} is {value}");
                assert!(key != "mask_type" || !value.is_number(), "{path}.{key} is {value}");
                assert_numbers(value, &format!("{path}.{key}"));
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| assert_numbers(v, path)),
        _ => {}
    }
}

#[test]
fn pyyaml_reads_the_right_types_from_what_is_exported() {
    for path in [tricky(), files_in(&root().join("tests/corpus/yaml/paper"))].concat() {
        let compiled = imported(&path).compilation;
        let Some(schedule) = &compiled.schedule else { continue };
        let Ok(exported) = export(schedule, compiled.parameters.as_ref()) else { continue };
        let Some(read) = pyyaml(&exported) else { return };
        assert_numbers(&read, &stem(&path));
        let group = &read["training_modifiers"];
        assert!(group.as_array().is_some_and(|g| !g.is_empty()), "{exported}");
    }
}

#[test]
fn serde_yaml_reads_the_same_groups_as_our_reader() {
    for path in files_in(&root().join("tests/corpus/yaml/paper")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let groups = value.as_mapping().unwrap().iter().filter_map(|(_, v)| v.as_sequence()).map(Vec::len);
        let tags = text.matches("- !").count();
        assert_eq!(groups.sum::<usize>(), tags, "{}", path.display());
    }
}

#[test]
fn large_and_hostile_files_end_in_time() {
    let begin = std::time::Instant::now();
    let modifier = "  - !EpochRangeModifier\n    start_epoch: 0\n    end_epoch: 3\n";
    let large = format!("modifiers:\n{}", modifier.repeat(10 << 20 >> 6));
    let texts = [
        large,
        "x: [".repeat(200_000),
        format!("a: \"{}", "x".repeat(10 << 20)),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        format!(
            "modifiers:\n  - !EpochRangeModifier\n    start_epoch: eval({})\n    end_epoch: 3\n",
            "(".repeat(100_000)
        ),
        "&a ".repeat(1000),
        "\u{0}\u{1}\u{fffd}".to_owned(),
        "{".repeat(100_000),
        "!a ".repeat(10_000),
        "modifiers: &a [*a]".to_owned(),
    ];
    for text in &texts {
        for name in ["hostile.yaml", "hostile.md"] {
            let imported = import(name, text, Options::default());
            for diagnostic in imported.compilation.diagnostics.iter().filter(|d| d.is_error()) {
                assert!(diagnostic.primary.is_some(), "{diagnostic:?}");
            }
        }
    }
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_to_a_recipe_makes_the_importer_panic(at in 0usize..2000, cut in 0usize..40, put in "[-:!&*\\[\\]{}#'\"|>%@`, \\n\\ta-z0-9.]{0,6}") {
        let text = include_str!("../corpus/yaml/tricky/comments_everywhere.yaml");
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        let changed = format!("{}{put}{}", &text[..start], &text[end..]);
        let imported = import("changed.yaml", &changed, Options::default());
        let errors = imported.compilation.diagnostics.iter().any(|d| d.is_error());
        proptest::prop_assert!(errors || imported.text.is_some());
    }
}

#[test]
fn a_model_at_hand_decides_what_patterns_select() {
    let shape = well_known("bert-tiny").unwrap();
    let parameters = Some(bert(&shape, Head::QuestionAnswering));
    let path = root().join("tests/corpus/yaml/tricky/layers_dropped.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let imported = import("small.yaml", &text, Options { parameters, ..Options::default() });
    assert!(shown(&imported).contains("matches none"), "{}", shown(&imported));
}

/// What the page of a code calls wrong, or right, with what stands behind its fence.
fn example(page: &str, title: &str) -> (String, String) {
    let section = page.split(&format!("## {title}\n\n```")).nth(1).unwrap();
    let (kind, rest) = section.split_once('\n').unwrap();
    (kind.to_owned(), rest.split("\n```").next().unwrap().to_owned())
}

/// The codes that an example gives; `None` for commands, which are shown and not run.
fn codes_of(kind: &str, code: &str) -> Option<Vec<(Code, bool)>> {
    let diagnostics = match kind {
        "yaml" => import("page.yaml", code, Options::default()).compilation.diagnostics,
        "markdown" => import("page.md", code, Options::default()).compilation.diagnostics,
        "obert" => {
            let compiled = language::compile("page", code, &NoFiles, language::Options::default());
            export(&compiled.schedule.unwrap(), compiled.parameters.as_ref()).err().unwrap_or_default()
        }
        _ => return None,
    };
    Some(diagnostics.iter().map(|d| (d.code, d.is_error())).collect())
}

#[test]
fn the_pages_of_sparsemls_codes_show_what_they_say() {
    for code in Code::ALL.iter().filter(|code| (800..900).contains(&code.number())) {
        let path = root().join(format!("src/explain/pages/{code}.md"));
        let page = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{code}: {e}"));
        let (kind, wrong) = example(&page, "Wrong");
        if let Some(found) = codes_of(&kind, &wrong) {
            assert!(found.iter().any(|(c, _)| c == code), "{code} calls this wrong: {found:?}\n{wrong}");
        }
        let (kind, right) = example(&page, "Right");
        if let Some(found) = codes_of(&kind, &right) {
            let again =
                found.iter().any(|(c, error)| *error || (c == code && *code != Code::OtherwiseInSparseml));
            assert!(!again, "{code} calls this right: {found:?}\n{right}");
        }
    }
}
