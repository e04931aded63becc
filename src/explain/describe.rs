//! Pages of entries, as text for a terminal.

use crate::diag::Code;
use crate::language::vocab::parameter_types::PARAMETER_TYPES;
use crate::language::vocab::{
    Body, Choice, MODIFIERS, Place, SHAPES, Setting, Type, UNITS, VERBS, Verb, verb,
};

use super::entries::{Kind, Role, block_of, keyword, values_of};
use super::examples::{of_verb, sample};
use super::library::{Module, Name};
use super::pages::page;
use super::text::Text;

/// Writes the page of a code: title, explanation, wrong and right example.
pub(crate) fn code(text: &mut Text, code: Code) {
    text.heading(&format!("{code}: {}", code.title()));
    let Some(page) = page(code) else {
        return text.prose("This code has no page.");
    };
    text.prose(page.why);
    if code.is_lint() {
        text.prose(&format!("`allow {code}` in the stage or the recipe silences it."));
    }
    text.heading("Wrong");
    text.code(page.wrong.code);
    text.heading("Right");
    text.code(page.right.code);
}

/// Writes a page that lists others.
pub(crate) fn list(text: &mut Text, name: &str) {
    let row = |name: String, doc: &str| (name, vec![doc.to_owned()]);
    match name {
        "verbs" => {
            text.heading("Verbs");
            text.rows(&VERBS.iter().map(|v| row(v.name.into(), v.doc)).collect::<Vec<_>>());
        }
        "shapes" => {
            text.heading("Shapes of a ramp");
            text.prose(
                "Each shape gives the fraction of the way from the first to the last value, for the fraction `x` \
                 of the time, from 0 to 1.",
            );
            text.rows(&SHAPES.iter().map(|s| row(signature(s), s.doc)).collect::<Vec<_>>());
        }
        "codes" => {
            text.heading("Codes");
            text.rows(&Code::ALL.iter().map(|c| row(c.to_string(), c.title())).collect::<Vec<_>>());
        }
        "types" => {
            text.heading("Types that `param` may declare");
            let rows = PARAMETER_TYPES.iter().map(|(name, ty)| row((*name).into(), &ty.described()));
            text.rows(&rows.collect::<Vec<_>>());
        }
        _ => {
            text.heading("Units");
            text.rows(&UNITS.iter().map(|(unit, doc)| row((*unit).into(), doc)).collect::<Vec<_>>());
        }
    }
}

/// Writes which setting another tool's word corresponds to.
pub(crate) fn formerly(text: &mut Text, word: &str, kind: &Kind) {
    if let Kind::Setting(setting, _) = kind {
        text.prose(&format!("What SparseML and others call `{word}` is `{}` here.", setting.name));
    }
}

/// Writes which verb replaces one of SparseML's modifiers.
pub(crate) fn modifier(text: &mut Text, word: &str, verb: &str) {
    text.prose(&format!("SparseML's `{word}` is `{verb}` here."));
}

/// Writes the `obertc explain` page of a word of the recipe language: a verb, setting, value, ramp shape, type,
/// keyword or unit.
pub(crate) fn entry(text: &mut Text, kind: &Kind, paths: &[Vec<&'static str>]) {
    match kind {
        Kind::Verb(name) => {
            if let Some(verb) = verb(name) {
                of_a_verb(text, verb);
            }
        }
        Kind::Setting(setting, role) => of_a_setting(text, setting, *role, paths),
        Kind::Value(choice) => {
            let of: Vec<String> = paths.iter().map(|p| p[..p.len() - 1].join(".")).collect();
            of_a_value(text, choice, &format!("A value of {}.", listed(&of)));
        }
        Kind::Shape(choice) => of_a_value(text, choice, "A shape of a ramp, as in `70% -> 90% cubic`."),
        Kind::Type(name, ty) => {
            text.heading(&format!("{name} (type)"));
            text.prose(&format!("A `param` of this type is {}.", ty.described()));
            text.code(&format!("param example: {name} = {}", sample(*ty)));
        }
        Kind::Keyword(name) => {
            if let Some(word) = keyword(name) {
                text.heading(name);
                text.prose(word.doc);
                text.code(word.form);
            }
        }
        Kind::Unit(name, doc) => {
            text.heading(&format!("{name} (unit)"));
            text.prose(&format!("Counts {doc}."));
        }
    }
}

/// SparseML's modifiers that this verb replaces.
pub(crate) fn elsewhere(verb: &str) -> impl Iterator<Item = &'static str> + '_ {
    MODIFIERS.iter().filter(move |(_, ours)| *ours == verb).map(|(theirs, _)| *theirs)
}

fn of_a_verb(text: &mut Text, verb: &Verb) {
    text.heading(verb.name);
    text.prose(verb.doc);
    text.code(verb.form);
    text.prose(&places(verb));
    let mut behind: Vec<Setting> = verb.operand.into_iter().collect();
    behind.extend(verb.clauses);
    if !behind.is_empty() {
        text.heading("After the verb");
        let name = |i: usize, s: &Setting| {
            if i == 0 && verb.operand.is_some() { capitals(s) } else { s.name.into() }
        };
        let rows = behind.iter().enumerate().map(|(i, s)| (name(i, s), about(s)));
        text.rows(&rows.collect::<Vec<_>>());
    }
    let lines = special_lines(verb);
    if !block_of(verb).is_empty() || !lines.is_empty() {
        text.heading("In its block");
        let mut rows: Vec<_> = block_of(verb).iter().map(|s| (s.name.to_owned(), about(s))).collect();
        rows.extend(lines.into_iter().map(|(form, doc)| (form, vec![doc])));
        text.rows(&rows);
    }
    if let Some(example) = of_verb(verb.name) {
        text.heading("Example");
        text.code(example.code);
    }
    let theirs: Vec<String> = elsewhere(verb.name).map(|name| format!("`{name}Modifier`")).collect();
    if !theirs.is_empty() {
        text.heading("Elsewhere");
        text.prose(&format!("In SparseML {}.", theirs.join(", ")));
    }
}

fn of_a_setting(text: &mut Text, setting: &Setting, role: Role, paths: &[Vec<&'static str>]) {
    let mut unique: Vec<&str> = paths.iter().map(|p| p[p.len() - 2]).collect();
    unique.dedup();
    text.heading(&match unique.as_slice() {
        [one] => format!("{one}.{}", setting.name),
        _ => format!("{} of {}", setting.name, unique.join(", ")),
    });
    text.prose(setting.doc);
    let value = setting.default.map_or_else(|| sample(setting.ty), str::to_owned);
    let owner = unique[0];
    text.code(&match role {
        Role::Clause => format!("{owner} … {} {value}", setting.name),
        Role::Setting => format!("{owner} … {{ {}: {value} }}", setting.name),
        Role::Argument => format!("{owner}({}: {value})", setting.name),
    });
    let stands = match role {
        Role::Clause => format!("after {}", listed(&unique)),
        Role::Setting => format!("in the block of {}", listed(&unique)),
        Role::Argument => {
            let mut of: Vec<String> = paths.iter().map(|p| p[..p.len() - 2].join(".")).collect();
            of.dedup();
            match of.as_slice() {
                [none] if none.is_empty() => format!("in the parentheses of {}", listed(&unique)),
                _ => format!("in the parentheses of {}, a value of {}", listed(&unique), listed(&of)),
            }
        }
    };
    let default = match setting.default {
        Some(default) => format!("`{default}`"),
        None if setting.required => "none; it must be given".to_owned(),
        None => "none; it may be left out".to_owned(),
    };
    let mut rows = vec![
        ("Place".to_owned(), vec![stands]),
        ("Type".to_owned(), vec![setting.ty.described()]),
        ("Default".to_owned(), vec![default]),
    ];
    if !setting.formerly.is_empty() {
        rows.push(("Elsewhere".to_owned(), vec![format!("called {}", listed(setting.formerly))]));
    }
    text.rows(&rows);
    let values = values_of(setting.ty);
    if !values.is_empty() {
        text.heading(if matches!(setting.ty, Type::Sparsity | Type::Rates) { "Shapes" } else { "Values" });
        text.rows(&values.iter().map(|c| (signature(c), vec![c.doc.to_owned()])).collect::<Vec<_>>());
    }
}

fn of_a_value(text: &mut Text, choice: &Choice, of: &str) {
    text.heading(&signature(choice));
    text.prose(choice.doc);
    text.prose(of);
    if !choice.arguments.is_empty() {
        text.heading("Arguments");
        let rows = choice.arguments.iter().map(|s| (s.name.to_owned(), about(s)));
        text.rows(&rows.collect::<Vec<_>>());
    }
}

/// Writes the page of a name of the standard library.
pub(crate) fn library_name(text: &mut Text, module: &str, name: &Name) {
    text.heading(&format!("{module}.{}", name.name));
    text.prose(&name.doc);
    text.code(&name.written);
    let parameters = name.parameters.as_deref().unwrap_or_default();
    if !parameters.is_empty() {
        text.heading("Parameters");
        let rows = parameters.iter().map(|p| {
            let default = p.default.as_ref().map_or(String::new(), |d| format!("; `{d}` if left out"));
            (p.name.clone(), vec![p.doc.clone(), format!("{}{default}", p.ty)])
        });
        text.rows(&rows.collect::<Vec<_>>());
    }
    text.code(&format!("use {module}.{{{}}}", name.name));
}

/// Writes the page of a module of the standard library.
pub(crate) fn library_module(text: &mut Text, module: &Module) {
    text.heading(module.name);
    let rows = module.names.iter().map(|n| (n.name.clone(), vec![n.doc.clone()]));
    text.rows(&rows.collect::<Vec<_>>());
}

/// `blocks(outputs, inputs)`
pub(crate) fn signature(choice: &Choice) -> String {
    if choice.arguments.is_empty() {
        return choice.name.to_owned();
    }
    let names: Vec<&str> = choice.arguments.iter().map(|a| a.name).collect();
    format!("{}({})", choice.name, names.join(", "))
}

/// The lines of a verb's block that are not settings.
pub(crate) fn special_lines(verb: &Verb) -> Vec<(String, String)> {
    let line = |form: &str, doc: &str| (form.to_owned(), doc.to_owned());
    match verb.body {
        Body::PruneSettings(_) => {
            vec![line("target PARAMS: 80%", "Another final sparsity for some of the parameters.")]
        }
        Body::LrPieces => vec![
            line(
                "0..2 epochs: 8e-5 -> 0",
                "The learning rate over a window; `explain shapes` lists the shapes.",
            ),
            line("factor PARAMS: 10", "A factor on the learning rate of some parameters."),
        ],
        Body::Metrics => {
            vec![line("METRIC: 85.0 .. 100", "The range of a metric: `f1` or `em` for `squad`.")]
        }
        Body::None | Body::Settings(_) | Body::Statements(_) => Vec::new(),
    }
}

/// Describes where a verb is allowed, in a sentence.
pub(crate) fn places(verb: &Verb) -> String {
    let places: Vec<&str> = verb
        .places
        .iter()
        .map(|place| match place {
            Place::File => "at the top of a file",
            Place::Recipe => "at the top of a recipe",
            Place::Stage if verb.places.contains(&Place::Recipe) => "in each stage, branch and template",
            Place::Stage => "in each stage, branch and template, or in a recipe without stages",
        })
        .collect();
    // A file holds one recipe; the resolver says so itself.
    let many = verb.repeats && verb.name != "recipe";
    let times = if many { "any number of times" } else { "once" };
    format!("Allowed {times} {}.", places.join(", and "))
}

/// The documentation of a setting, then its type and default.
fn about(setting: &Setting) -> Vec<String> {
    vec![setting.doc.to_owned(), format!("{}; {}", setting.ty.described(), default(setting))]
}

/// Describes the default of a setting.
fn default(setting: &Setting) -> String {
    match setting.default {
        Some(default) => format!("`{default}` if left out"),
        None if setting.required => "required".to_owned(),
        None => "may be left out".to_owned(),
    }
}

fn capitals(setting: &Setting) -> String {
    setting.name.to_uppercase()
}

/// Lists at most four names: `a`, `b` and `c`.
fn listed(names: &[impl std::fmt::Display]) -> String {
    let quoted: Vec<String> = names.iter().take(4).map(|n| format!("`{n}`")).collect();
    match (quoted.as_slice(), names.len() - quoted.len()) {
        ([one], _) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (some, more) => format!("{} and {more} more", some.join(", ")),
    }
}
