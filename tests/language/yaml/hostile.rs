//! Files that are large, or made to break a reader.

use obert::internals::yaml::{Options, import};

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
        let text = include_str!("../../corpus/yaml/tricky/comments_everywhere.yaml");
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        let changed = format!("{}{put}{}", &text[..start], &text[end..]);
        let imported = import("changed.yaml", &changed, Options::default());
        let errors = imported.compilation.diagnostics.iter().any(|d| d.is_error());
        proptest::prop_assert!(errors || imported.text.is_some());
    }
}
