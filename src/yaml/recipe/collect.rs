//! Groups and stages to one list of modifiers.
//!
//! Three dialects: lists of tagged mappings under keys with `modifiers` in their name, perhaps in
//! stages (SparseML); stages of groups that map types to fields (late SparseML and llm-compressor).
//! In all of them times count from the beginning of the recipe, so stages are one list.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::reader::{Entry, Node, Value};

use super::registry;
use super::variables::Variables;

/// A recipe has a dozen modifiers; far more are an attack or an accident.
const MOST_MODIFIERS: usize = 1000;

/// A modifier and its fields.
#[derive(Clone, Debug)]
pub(crate) struct Modifier {
    pub(crate) name: String,
    /// Where the name is written.
    pub(crate) at: Span,
    pub(crate) fields: Vec<Entry>,
    /// Whether it is `Type: {…}` in a group, and not a tag.
    pub(crate) untagged: bool,
    pub(crate) variables: Rc<Variables>,
}

/// A whole recipe.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) modifiers: Vec<Modifier>,
    /// Entries that are not modifiers: `version`, `__metadata__`, variables.
    pub(crate) metadata: Option<Entry>,
    /// Where the first group stands.
    pub(crate) first: Span,
}

/// Finds all modifiers. `overrides` replace variables.
pub(crate) fn collect(
    root: &Node,
    overrides: &[(String, Rc<Node>)],
    findings: &mut Findings,
) -> Option<Collected> {
    let Value::Map(entries) = &root.value else {
        findings.push(
            Diagnostic::error(
                Code::NoModifiers,
                format!("a recipe is a mapping; this is {}", root.described()),
                first_place(root),
                "here",
            )
            .help("as `modifiers:` with a list of `- !EpochRangeModifier` and others below it"),
        );
        return None;
    };
    let mut variables = declared(entries, Variables::default());
    for (name, value) in overrides {
        let at = variables.place(name).unwrap_or(value.span);
        variables.declare(name, at, value.clone());
    }
    let variables = Rc::new(variables);
    let mut collector = Collector { modifiers: Vec::new(), findings };
    let (groups, rest): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|e| is_group_key(key(e)));
    let stages: Vec<&Entry> = rest
        .iter()
        .copied()
        .filter(|e| e.value.entries().iter().any(|inner| is_group_key(key(inner))))
        .collect();
    variables.check(collector.findings);
    let mut first = None;
    if let Some(group) = groups.first() {
        for stage in stages {
            collector.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    format!("the stage `{}` stands beside a group", key(stage)),
                    stage.key.span,
                    "SparseML ignores the whole stage",
                )
                .and_at(group.key.span, "because of this group")
                .help("put the group into a stage too, or the stage's groups beside it"),
            );
        }
        first = Some(group.key.span);
        for group in &groups {
            collector.group(group, &variables);
        }
    } else {
        let nested =
            rest.iter().find(|e| key(e) == "stages").map(|e| e.value.entries().iter().collect::<Vec<_>>());
        let stages = nested.unwrap_or(stages);
        if let [first, second, ..] = stages.as_slice() {
            collector.findings.push(
                Diagnostic::advice(
                    Code::OtherwiseInSparseml,
                    format!("{} stages share one time axis, as in SparseML", stages.len()),
                    second.key.span,
                    "its epochs count from the beginning of the recipe",
                )
                .and_at(first.key.span, "the first stage")
                .help("they become one recipe; in the language, each stage could have its own axis and name"),
            );
        }
        for stage in stages {
            let mut own = declared(stage.value.entries(), Variables::within(&variables));
            for (name, value) in overrides {
                if let Some(at) = own.place(name) {
                    own.declare(name, at, value.clone());
                }
            }
            let own = Rc::new(own);
            own.check(collector.findings);
            for group in stage.value.entries().iter().filter(|e| is_group_key(key(e))) {
                first.get_or_insert(group.key.span);
                collector.group(group, &own);
            }
        }
    }
    let modifiers = collector.modifiers;
    let Some(first) = first else {
        findings.push(no_groups(root, entries));
        return None;
    };
    if let Some(beyond) = modifiers.get(MOST_MODIFIERS) {
        findings.push(
            Diagnostic::error(
                Code::YamlTooMuch,
                format!("more than {MOST_MODIFIERS} modifiers"),
                beyond.at,
                "here it becomes too much",
            )
            .help("is it the right file?"),
        );
        return None;
    }
    let metadata = entries.iter().find(|e| key(e) == "__metadata__").cloned();
    if modifiers.is_empty() && !findings.has_errors() {
        findings.push(
            Diagnostic::error(Code::NoModifiers, "this recipe is empty", first, "a group without modifiers")
                .help("list modifiers under it, as `- !EpochRangeModifier`"),
        );
    }
    Some(Collected { modifiers, metadata, first })
}

fn key(entry: &Entry) -> &str {
    entry.key.text().unwrap_or("")
}

fn is_group_key(key: &str) -> bool {
    key.contains("modifiers")
}

/// A place on one line for a node that may go over many.
fn first_place(node: &Node) -> Span {
    Span { end: node.span.end.min(node.span.start.saturating_add(1)), ..node.span }
}

/// Declares what is neither group nor stage.
fn declared(entries: &[Entry], mut own: Variables) -> Variables {
    for entry in entries.iter().filter(|e| !is_group_key(key(e))) {
        // A stage is no variable.
        let stage = entry.value.entries().iter().any(|inner| is_group_key(key(inner)));
        if !stage && key(entry) != "__metadata__" {
            own.declare(key(entry), entry.key.span, entry.value.clone());
        }
    }
    own
}

fn no_groups(root: &Node, entries: &[Entry]) -> Diagnostic {
    let tagged =
        |node: &Node| matches!(&node.value, Value::List(items) if items.iter().any(|i| i.tag.is_some()));
    match entries.iter().find(|e| tagged(&e.value)) {
        Some(group) => Diagnostic::error(
            Code::NoModifiers,
            format!("`{}` lists modifiers, but SparseML does not look there", key(group)),
            group.key.span,
            "`modifiers` must be in its name",
        )
        .help(format!("did you mean `{}_modifiers`?", key(group)))
        .fix(group.key.span, format!("{}_modifiers", key(group))),
        None => Diagnostic::error(
            Code::NoModifiers,
            "this file holds no modifiers",
            entries.first().map_or(first_place(root), |e| e.key.span),
            "no key with `modifiers` in its name",
        )
        .help("list them under `modifiers:`, as `- !EpochRangeModifier`"),
    }
}

struct Collector<'a> {
    modifiers: Vec<Modifier>,
    findings: &'a mut Findings,
}

impl Collector<'_> {
    fn group(&mut self, group: &Entry, variables: &Rc<Variables>) {
        match &group.value.value {
            Value::List(items) => {
                for item in items {
                    self.tagged(item, variables);
                }
                if items.is_empty() {
                    self.empty(group);
                }
            }
            Value::Map(entries) => {
                let mut untagged = Variables::within(variables);
                untagged.embedded = true;
                let untagged = Rc::new(untagged);
                for entry in entries {
                    self.typed(entry, &untagged);
                }
            }
            Value::Scalar { .. } => self.empty(group),
        }
    }

    fn empty(&mut self, group: &Entry) {
        self.findings.push(
            Diagnostic::warning(
                Code::NoModifiers,
                format!("the group `{}` is empty", key(group)),
                group.key.span,
                "lists nothing",
            )
            .help("remove it, or list modifiers under it"),
        );
    }

    /// An item of a list: `!Name` and its fields.
    fn tagged(&mut self, item: &Rc<Node>, variables: &Rc<Variables>) {
        let Some(tag) = &item.tag else {
            let named = item.entries().first().map(|e| (key(e).to_owned(), e.key.span));
            let (help, at) = match named {
                Some((name, at)) if registry::find(&name).is_some() => {
                    (format!("write `!{name}`, with the fields below it"), at)
                }
                _ => (
                    "write `!EpochRangeModifier` or another name, with the fields below it".to_owned(),
                    first_place(item),
                ),
            };
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    "a modifier needs a tag",
                    at,
                    "no `!` before this",
                )
                .help(help),
            );
            return;
        };
        let mut name = tag.name.rsplit('.').next().unwrap_or("").to_owned();
        if let Some(bare) = name.strip_suffix(':') {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    format!("a colon stands behind the tag `!{bare}`"),
                    tag.span,
                    "the colon becomes part of the name",
                )
                .help("remove the colon")
                .fix(tag.span, format!("!{bare}")),
            );
            return;
        }
        if !matches!(item.value, Value::Map(_)) && !item.is_null() {
            self.findings.push(
                Diagnostic::error(
                    Code::FieldType,
                    format!("`{name}` needs fields; this is {}", item.described()),
                    tag.span,
                    "of this modifier",
                )
                .help("write its fields below it, as `start_epoch: 0`"),
            );
            return;
        }
        if !tag.name.starts_with("!!") && tag.name.contains('.') && !tag.name.starts_with("pytorch.") {
            name = tag.name.clone();
        }
        self.push(name, tag.span, item.entries().to_vec(), false, variables);
    }

    /// An entry of a group that maps types to fields.
    fn typed(&mut self, entry: &Entry, variables: &Rc<Variables>) {
        if !matches!(entry.value.value, Value::Map(_)) && !entry.value.is_null() {
            self.findings.push(
                Diagnostic::error(
                    Code::FieldType,
                    format!("`{}` needs fields; this is {}", key(entry), entry.value.described()),
                    entry.key.span,
                    "of this modifier",
                )
                .help("write its fields below it, as `start: 0`"),
            );
            return;
        }
        self.push(key(entry).to_owned(), entry.key.span, entry.value.entries().to_vec(), true, variables);
    }

    fn push(
        &mut self,
        name: String,
        at: Span,
        fields: Vec<Entry>,
        untagged: bool,
        variables: &Rc<Variables>,
    ) {
        if registry::find(&name).is_none() {
            let near = nearest(&name, registry::MODIFIERS.iter().map(|m| m.name));
            let help = near.map_or("SparseML has no modifier of this name".to_owned(), |n| {
                format!("did you mean `{n}`?")
            });
            let mut diagnostic =
                Diagnostic::error(Code::UnknownModifier, format!("unknown modifier `{name}`"), at, "unknown")
                    .help(help);
            if let Some(near) = near {
                diagnostic = diagnostic.fix(at, format!("{}{near}", if untagged { "" } else { "!" }));
            }
            self.findings.push(diagnostic);
            return;
        }
        self.modifiers.push(Modifier { name, at, fields, untagged, variables: variables.clone() });
    }
}
