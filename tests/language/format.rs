//! The formatter: it keeps what is said, every comment, and its own output.

use obert::internals::diag::{Findings, Sources};
use obert::internals::language::format;
use obert::internals::language::syntax::{Parsed, parse_file};
use proptest::prelude::*;

fn parsed(text: &str) -> Parsed {
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    let id = sources.add("test.obert", text);
    let parsed = parse_file(id, text, &mut findings);
    assert!(!findings.has_errors(), "{text}\n{:?}", findings.into_sorted());
    parsed
}

fn reads(text: &str) -> bool {
    let (mut sources, mut findings) = (Sources::new(), Findings::new());
    let id = sources.add("test.obert", text);
    parse_file(id, text, &mut findings);
    !findings.has_errors()
}

/// A tree without its places.
fn shape(parsed: &Parsed) -> String {
    let debug = format!("{:#?}", parsed.file);
    let places = regex::Regex::new(r"(?s)Span \{.*?\n\s*\}").unwrap();
    places.replace_all(&debug, "_").into_owned()
}

fn comments(parsed: &Parsed) -> Vec<&str> {
    parsed.comments.iter().map(|c| c.text.as_str()).collect()
}

/// The laws: formatting keeps the tree and the comments, and formatting again changes nothing.
fn holds(text: &str) -> String {
    let before = parsed(text);
    let once = format(text, &before);
    let after = parsed(&once);
    assert_eq!(shape(&after), shape(&before), "the tree of\n{text}\n-- became --\n{once}");
    assert_eq!(comments(&after), comments(&before), "the comments of\n{text}\n-- became --\n{once}");
    let twice = format(&once, &after);
    assert_eq!(twice, once, "formatting again changes\n{once}");
    once
}

#[test]
fn every_recipe_of_the_corpora_keeps_its_tree_and_its_comments() {
    for folder in ["tests/corpus/good", "tests/corpus/bad", "stdlib_recipes", "stdlib_recipes/std"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let (mut sources, mut findings) = (Sources::new(), Findings::new());
            let id = sources.add("x", text.clone());
            parse_file(id, &text, &mut findings);
            // What cannot be read cannot be formatted.
            if !findings.has_errors() {
                holds(&text);
            }
        }
    }
}

#[test]
fn paragraphs_comments_and_lists_come_out_as_recorded() {
    let text = "# top\r\n\r\n\r\n## Doc\r\nedition    2026   # the year\r\nuse  std.bert.{ encoder_linears ,attention_linears }\r\n\
let both=[encoder_linears,   # first\n   params(\"a.b\")     except   params(\"c\")\n   # last\n ]\n\
recipe   x    for 30  epochs{  # start\n  # before model\n  model:\"m\",  data:squad( max_length:256 ,\n     # inner\n     doc_stride : 64)   # after data\n\n\n\n  batch :16\n\
  lr {  0..2 epochs:8e-5->8e-6 linear ,2..30 epochs  : (8e-5)*2  -> 8e-6 linear repeating 4 epochs }\n  branch b from start {   }\n\
  hold   encoder_linears   # masks\n  # end\n}\n# tail";
    insta::assert_snapshot!(holds(text));
}

#[test]
fn what_we_ship_is_formatted() {
    for path in super::recipes::shipped_recipes() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(format(&text, &parsed(&text)), text, "{}", path.display());
    }
}

/// Text of a value.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("16".to_owned()),
        Just("8e-5".to_owned()),
        Just("90 %".to_owned()),
        Just("0.25  epochs".to_owned()),
        Just("500 steps".to_owned()),
        Just("2 GiB".to_owned()),
        Just("\"a # b\"".to_owned()),
        Just("re\"a\\.b\"".to_owned()),
        Just("std.bert".to_owned()),
        Just("linear".to_owned()),
        Just("-3".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} .. {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}->{b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} +{b})*2")),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(" ,"))),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|v| format!("[ # why\n{}\n# last\n]", v.join(" , # c\n"))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|v| {
                let arguments: Vec<String> =
                    v.iter().enumerate().map(|(i, v)| format!("a{i} : {v}")).collect();
                format!("obs({})", arguments.join(","))
            }),
            inner.prop_map(|a| format!("({a})")),
        ]
        // Only simple operands may stand beside `..` and in arithmetic.
        .prop_filter("readable", |text| {
            let id = Sources::new().add("x", "");
            obert::internals::language::syntax::parse_phrase(id, text, &mut Findings::new()).is_some()
        })
    })
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n"),
        Just("\n\n"),
        Just("   \n"),
        Just(" # a comment\n"),
        Just("\n## doc\n"),
        Just("\n\n\n# x\n\n")
    ]
    .prop_map(str::to_owned)
}

fn statement() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        value().prop_map(|v| format!("name :{v}")),
        (value(), value()).prop_map(|(a, b)| format!("hold {a}  over {b}")),
        (value(), value())
            .prop_map(|(a, b)| format!("sparsity: {a} {b}"))
            // `1..2 -3..4` would be arithmetic with a range in it.
            .prop_filter("readable", |line| reads(&format!("recipe r {{\n{line}\n}}"))),
    ];
    line.prop_recursive(2, 12, 4, |inner| {
        (prop::collection::vec((inner, gap()), 0..4), gap(), any::<bool>()).prop_map(
            |(members, first, short)| {
                if short {
                    let plain: Vec<&str> = members.iter().map(|(m, _)| m.as_str()).collect();
                    return format!("lr {{ {} }}", plain.join(", "));
                }
                let body: String = members.iter().map(|(m, gap)| format!("{m}{gap}")).collect();
                format!("stage a for 3 epochs {{{first}{body}}}")
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_tree_and_comments_and_is_idempotent(
        statements in prop::collection::vec((statement(), gap()), 0..6),
        head in gap(),
    ) {
        let text: String = statements.iter().map(|(s, gap)| format!("{s}{gap}")).collect();
        let text = format!("{head}recipe r {{\n{text}}}{head}");
        holds(&text);
    }
}
