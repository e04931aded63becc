//! The page `docs/reference.md`: all words of the recipe language in tables.

use crate::language::vocab::choices::{DataSets, Models, Teachers};
use crate::language::vocab::parameter_types::PARAMETER_TYPES;
use crate::language::vocab::{Choice, KEYWORDS, SHAPES, Setting, Type, UNITS, VERBS, Verb};

use super::describe::{places, signature, special_lines};
use super::entries::{block_of, values_of};
use super::examples::{of_verb, sample};
use super::library::{self, Name};

/// Operators by increasing precedence, each with the grammar's rule.
const LEVELS: &[(&str, &str, &str)] = &[
    ("phrase", "`a b c`", "several values in a row: `8e-5 -> 0 linear`, `encoder_linears except x`"),
    ("ramp", "`a -> b`", "a ramp from one value to another"),
    ("range", "`a..b`", "a window or a range; the unit of `b` also applies to `a`"),
    (
        "sum",
        "`a + b`, `a - b`",
        "sum and difference of values with the same kind of unit: `2 epochs + 500 steps`",
    ),
    ("product", "`a * b`, `a / b`", "product and quotient; one of the two is a plain number"),
    ("unary", "`-a`", "negation"),
    ("primary", "`( )`", "grouping; literals, names, calls such as `obs(…)` and lists bind as tightly"),
];

/// The whole page.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Reference\n\n\
         With this page you can look up every word of the language. `obertc explain WORD` shows the same in a \
         terminal;\n[language.md](language.md) introduces the language by example, and [errors.md](errors.md) \
         lists the diagnostics.\n\n\
         <!-- Written from src/language/vocab by `INSTA_UPDATE=always cargo test`. -->\n\n\
         ## Verbs\n",
    );
    for verb in VERBS {
        out.push_str(&of_a_verb(verb));
    }
    out.push_str("\n## Values\n");
    for (title, choices) in named_values() {
        out.push_str(&format!("\n### {title}\n\n"));
        if choices == SHAPES {
            out.push_str(
                "Each shape gives the fraction of the way from the first to the last value, for the fraction `x` of \
                 the time, from 0 to 1.\n\n",
            );
        }
        out.push_str(&values(choices));
    }
    out.push_str("\n## Keywords\n\n| word | written | meaning |\n|---|---|---|\n");
    for word in KEYWORDS {
        out.push_str(&row(&[code(word.name), code(word.form), word.doc.into()]));
    }
    out.push_str(
        "\n## Types\n\nThe types that `param` may declare.\n\n| type | a value | meaning |\n|---|---|---|\n",
    );
    for (name, ty) in PARAMETER_TYPES {
        out.push_str(&row(&[code(name), code(&sample(*ty)), ty.described()]));
    }
    out.push_str("\n## Units\n\n| unit | counts |\n|---|---|\n");
    for (unit, doc) in UNITS {
        out.push_str(&row(&[code(unit), (*doc).into()]));
    }
    out.push_str("\n## Operators\n\nBy increasing precedence.\n\n");
    out.push_str("| written | meaning |\n|---|---|\n");
    for (_, written, meaning) in LEVELS {
        out.push_str(&row(&[(*written).into(), (*meaning).into()]));
    }
    out.push_str("\n## Standard library\n");
    for module in library::modules() {
        out.push_str(&format!("\n### `{}`\n", module.name));
        for name in &module.names {
            out.push_str(&library_name(name));
        }
    }
    out
}

/// The lists of choices, each once.
fn named_values() -> Vec<(&'static str, &'static [Choice])> {
    let of = |verb: &str, setting: &str| {
        let verb = VERBS.iter().find(|v| v.name == verb);
        let found = verb.and_then(|v| block_of(v).iter().find(|s| s.name == setting));
        found.map_or(&[][..], |s| values_of(s.ty))
    };
    let argument = |choices: &'static [Choice], choice: &str, argument: &str| {
        let found = choices.iter().find(|c| c.name == choice);
        let found = found.and_then(|c| c.arguments.iter().find(|a| a.name == argument));
        found.map_or(&[][..], |a| values_of(a.ty))
    };
    let schemes = of("quantize", "weights");
    vec![
        ("Criteria: `by` of `prune`", of("prune", "by")),
        ("Updates: `update` of `obs`", argument(of("prune", "by"), "obs", "update")),
        ("Patterns: `pattern` of `prune`", of("prune", "pattern")),
        ("Ranks: `rank` of `prune`", of("prune", "rank")),
        ("Shapes of a ramp", SHAPES),
        ("Schemes: `weights` and `activations` of `quantize`", schemes),
        ("Zeros: `zero` of a scheme", argument(schemes, "int8", "zero")),
        ("Scales: `per` of a scheme", argument(schemes, "int8", "per")),
        ("Data: `data` of a recipe", DataSets::CHOICES),
        ("Models: `model` of a recipe, besides a name or a folder in quotes", Models::CHOICES),
        ("Teachers: `from` of `distill`, besides a stage or a folder in quotes", Teachers::CHOICES),
        ("Hidden states: `hidden` of `distill`", of("distill", "hidden")),
        ("Final weights: `keep` of `evaluate`", of("evaluate", "keep")),
        ("Batches: `batches` of `train`", of("train", "batches")),
        ("Precisions: `precision` of `train` and of `obs`", of("train", "precision")),
        ("Losses: `loss` of `embeddings`", argument(DataSets::CHOICES, "embeddings", "loss")),
        ("Pooling: `pooling` of `embeddings`", argument(DataSets::CHOICES, "embeddings", "pooling")),
    ]
}

fn of_a_verb(verb: &Verb) -> String {
    let mut out = format!("\n### `{}`\n\n{} {}\n\n", verb.name, verb.doc, places(verb));
    out.push_str(&format!("```text\n{}\n```\n", verb.form));
    let mut behind: Vec<(String, Setting)> = Vec::new();
    behind.extend(verb.operand.map(|o| (o.name.to_uppercase(), o)));
    behind.extend(verb.clauses.iter().map(|c| (c.name.to_owned(), *c)));
    if !behind.is_empty() {
        out.push_str("\n| after the verb | type | default | meaning |\n|---|---|---|---|\n");
        for (name, setting) in &behind {
            out.push_str(&setting_row(name, setting));
        }
    }
    let lines = special_lines(verb);
    if !block_of(verb).is_empty() || !lines.is_empty() {
        out.push_str("\n| in its block | type | default | meaning |\n|---|---|---|---|\n");
        for setting in block_of(verb) {
            out.push_str(&setting_row(setting.name, setting));
        }
        for (form, doc) in lines {
            out.push_str(&row(&[code(&form), String::new(), String::new(), doc]));
        }
    }
    if let Some(example) = of_verb(verb.name) {
        out.push_str(&format!("\n```{}\n{}\n```\n", example.kind, example.code));
    }
    out
}

fn values(choices: &[Choice]) -> String {
    let mut out = String::from("| value | meaning |\n|---|---|\n");
    for choice in choices {
        out.push_str(&row(&[code(&signature(choice)), choice.doc.into()]));
    }
    let mut seen: Vec<&[Setting]> = Vec::new();
    for choice in choices.iter().filter(|c| !c.arguments.is_empty()) {
        if seen.contains(&choice.arguments) {
            continue;
        }
        seen.push(choice.arguments);
        let same: Vec<String> =
            choices.iter().filter(|c| c.arguments == choice.arguments).map(|c| code(c.name)).collect();
        out.push_str(&format!("\n| argument of {} | type | default | meaning |\n", same.join(", ")));
        out.push_str("|---|---|---|---|\n");
        for argument in choice.arguments {
            out.push_str(&setting_row(argument.name, argument));
        }
    }
    out
}

fn setting_row(name: &str, setting: &Setting) -> String {
    let default = match setting.default {
        Some(default) => code(default),
        None if setting.required => "required".to_owned(),
        None => "none".to_owned(),
    };
    let mut meaning = setting.doc.to_owned();
    if !setting.formerly.is_empty() {
        let names: Vec<String> = setting.formerly.iter().map(|n| code(n)).collect();
        meaning.push_str(&format!(" In other tools: {}.", names.join(", ")));
    }
    row(&[code(name), short(setting.ty), default, meaning])
}

/// Describes a type; of choices, only their names.
fn short(ty: Type) -> String {
    match ty {
        Type::Choice(choices) => choices.iter().map(|c| code(c.name)).collect::<Vec<_>>().join(", "),
        other => other.described(),
    }
}

fn library_name(name: &Name) -> String {
    let mut out =
        format!("\n#### `{}`\n\n{}\n\n```text\n{}\n```\n", name.name, unwrapped(&name.doc), name.written);
    let parameters = name.parameters.as_deref().unwrap_or_default();
    if !parameters.is_empty() {
        out.push_str("\n| parameter | type | default | meaning |\n|---|---|---|---|\n");
        for p in parameters {
            let default = p.default.as_deref().map_or("required".to_owned(), code);
            out.push_str(&row(&[code(&p.name), code(&p.ty), default, unwrapped(&p.doc)]));
        }
    }
    out
}

fn unwrapped(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::LEVELS;

    #[test]
    fn the_levels_of_operators_are_the_grammars() {
        let grammar = include_str!("../../grammar/obert.pest");
        let rule = |name: &str| {
            grammar
                .lines()
                .find_map(|line| {
                    let (defined, body) = line.split_once('=')?;
                    (defined.trim() == name).then(|| body.to_owned())
                })
                .unwrap_or_else(|| panic!("no rule `{name}`"))
        };
        for pair in LEVELS.windows(2) {
            assert!(rule(pair[0].0).contains(pair[1].0), "`{}` is not made of `{}`", pair[0].0, pair[1].0);
        }
    }
}
