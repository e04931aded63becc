//! The page `docs/errors.md`: every code with its explanation and examples.

use crate::diag::Code;

use super::pages::{Example, page};

/// Titles of the codes' hundreds.
const BLOCKS: &[(u16, &str)] = &[
    (0, "Recipe files"),
    (1, "Syntax"),
    (2, "Names"),
    (3, "Types and units"),
    (4, "Time"),
    (5, "Selectors"),
    (6, "Methods"),
    (7, "Advice and warnings"),
    (8, "SparseML recipes"),
    (9, "Models, data and runs"),
];

/// The whole page.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Errors\n\n\
         With this page you can look up a diagnostic by its code, which never changes its meaning: its cause, an \
         example,\nand what to write instead. `obertc explain OB0402` shows the same in a terminal.\n\n\
         Examples without a `recipe` are statements of a recipe of 30 epochs for `bert-base-uncased`.\n\n\
         <!-- Written from src/explain/pages by `INSTA_UPDATE=always cargo test`. -->\n",
    );
    for (block, title) in BLOCKS {
        let codes: Vec<Code> = Code::ALL.iter().copied().filter(|c| c.number() / 100 == *block).collect();
        if codes.is_empty() {
            continue;
        }
        out.push_str(&format!("\n## {title}\n"));
        for code in codes {
            out.push_str(&section(code));
        }
    }
    out
}

fn section(code: Code) -> String {
    let mut out = format!("\n### {code}: {}\n", code.title());
    let Some(page) = page(code) else { return out };
    out.push_str(&format!("\n{}\n", page.why));
    if code.is_lint() {
        out.push_str(&format!("\n`allow {code}` in the stage or the recipe silences it.\n"));
    }
    // Codes about YAML are tested by its corpus, and those of runs are found by the engine.
    let tested = page.wrong.kind.starts_with("obert") && code.number() < 800;
    let wrong = if tested { format!("{},error={code}", page.wrong.kind) } else { page.wrong.kind.to_owned() };
    out.push_str(&format!("\nWrong:\n\n{}", fenced(&wrong, page.wrong)));
    out.push_str(&format!("\nRight:\n\n{}", fenced(page.right.kind, page.right)));
    out
}

fn fenced(kind: &str, example: Example) -> String {
    format!("```{kind}\n{}\n```\n", example.code)
}
