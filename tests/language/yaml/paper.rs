//! The recipes of the paper.

use obert::internals::diag::{Code, Severity};
use obert::internals::language::{self, NoFiles};
use obert::internals::schedule::ir::Stage;

use super::{assert_round_trip, assert_sound, files_in, imported, root, shown, stem};

/// The recipes of the paper leave model, data, batch, weight decay and names to the command line.
fn of_the_paper(stage: &Stage) -> Stage {
    let mut stage = Stage { name: String::new(), doc: String::new(), ..stage.clone() };
    stage.train.batch = 16;
    stage.train.weight_decay = 0.0;
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
    insta::with_settings!({ snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!(imported(&path).text.unwrap());
    });
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
