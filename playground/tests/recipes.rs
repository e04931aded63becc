//! The functions of the page, on this machine instead of in a browser.

use obert_playground::{check, explain, format, import_yaml, plan};

const RECIPE: &str = include_str!("../../tests/corpus/good/squad90.obert");

#[test]
fn a_misspelt_setting_has_its_place_in_utf_16_and_a_fix_that_mends_it() {
    // 𝄞 is two code units in UTF-16 and four bytes in UTF-8.
    let text = format!("# 𝄞 é\n{}", RECIPE.replace("sparsity:", "spars:"));
    let found = check(&text).findings;
    let finding = found.iter().find(|f| f.code == "OB0203").expect("a misspelt setting");
    let place = finding.place.as_ref().expect("a place");
    let units: Vec<u16> = text.encode_utf16().collect();
    assert_eq!(String::from_utf16(&units[place.from..place.to]).unwrap(), "spars");
    let fix = finding.fix.as_ref().expect("a fix");
    let mut mended = units[..fix.from].to_vec();
    mended.extend(fix.insert.encode_utf16());
    mended.extend(&units[fix.to..]);
    let mended = String::from_utf16(&mended).unwrap();
    assert!(mended.contains("\n    sparsity: 70%"), "{mended}");
    assert!(check(&mended).findings.iter().all(|f| f.severity != "error"));
}

#[test]
fn a_byte_order_mark_counts_as_a_code_unit() {
    let found = check("\u{feff}edition 2026\nrecipe a b {}\n").findings;
    let error = found.iter().find(|f| f.severity == "error").expect("an error");
    let without = check("edition 2026\nrecipe a b {}\n").findings;
    let same = without.iter().find(|f| f.code == error.code).expect("the same error");
    assert_eq!(error.place.as_ref().unwrap().from, same.place.as_ref().unwrap().from + 1);
}

#[test]
fn a_plan_has_tables_events_and_a_chart_and_a_wrong_recipe_has_none() {
    assert!(check(RECIPE).has_plan);
    let planned = plan(RECIPE, Some(5533)).expect("a plan");
    assert!(planned.svg.starts_with("<svg") && planned.svg.contains("obert-plan"));
    assert!(planned.table.contains("90"), "{}", planned.table);
    assert_eq!(planned.json["steps_per_epoch"], 5533);
    assert!(plan("edition 2026\nrecipe a {\n", None).is_none());
}

#[test]
fn a_file_cannot_be_used_and_definitions_are_checked_alone() {
    let found = check("edition 2026\nuse \"parts.obert\"\nrecipe a for 1 epochs {}\n").findings;
    assert!(found.iter().any(|f| f.message.contains("parts.obert")), "{found:?}");
    let parts = "edition 2026\nlet heads = params(\"qa_outputs.*\")\n";
    let checked = check(parts);
    assert!(checked.findings.is_empty() && !checked.has_plan, "{:?}", checked.findings);
}

#[test]
fn formatting_keeps_comments_and_refuses_syntax_errors() {
    let formatted = format("edition   2026\n# kept\nlet a=1\n");
    assert_eq!(formatted.text.as_deref(), Some("edition 2026\n# kept\nlet a = 1\n"));
    let refused = format("edition 2026\nlet = 3\n");
    assert!(refused.text.is_none() && refused.findings[0].code == "OB0107");
}

#[test]
fn a_sparseml_recipe_becomes_a_recipe_that_checks() {
    let yaml = include_str!("../../tests/corpus/yaml/paper/30epochs_unstructured90_squad.yaml");
    let imported = import_yaml(yaml);
    let text = imported.text.expect("no error");
    assert!(text.contains("prune") && check(&text).has_plan, "{text}");
    let wrong = import_yaml("pruning_modifiers:\n  - !OBSPruningModifier\n    final_sparsity: many\n");
    assert!(wrong.text.is_none() && wrong.findings.iter().any(|f| f.place.is_some()), "{:?}", wrong.findings);
}

#[test]
fn codes_and_words_are_explained() {
    assert!(explain("OB0203").expect("a page").contains("OB0203"));
    assert!(explain("damp").is_some() && explain("no such word").is_none());
}
