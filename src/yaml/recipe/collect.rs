//! Collects the modifiers of all groups and stages into one list.
//!
//! Two dialects: lists of tagged mappings under keys with `modifiers` in their name, with or without
//! stages (SparseML); and stages with groups that map types to fields (late SparseML and llm-compressor).
//! In both, times count from the beginning of the recipe, so the modifiers of all stages form one list.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::reader::{Entry, Node, Value};

use super::misplaced::{modifiers_outside_groups, stage_beside_group, stage_beside_stages};
use super::modifier::Modifier;
use super::registry;
use super::role::{Role, is_unread, key};
use super::variables::Variables;

/// The most modifiers of a recipe. Real ones have about a dozen, so this stops hostile input early.
const MAX_MODIFIERS: usize = 1000;

/// A whole recipe.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) modifiers: Vec<Modifier>,
    /// `__metadata__` of the recipe and of its stages.
    pub(crate) metadata: Vec<Entry>,
    /// The key of the first group.
    pub(crate) first: Span,
}

/// Collects all modifiers of the recipe `root`, whose file has the text `text`. `overrides` are values of
/// variables given by the caller.
///
/// Every entry is a group, a stage, metadata or a variable. Modifiers anywhere else are errors, because
/// SparseML and llm-compressor ignore them silently. `None` where no group was found.
pub(crate) fn collect(
    root: &Node,
    text: &str,
    overrides: &[(String, Rc<Node>)],
    findings: &mut Findings,
) -> Option<Collected> {
    let Value::Map(entries) = &root.value else {
        let message = format!("a recipe is a mapping; this is {}", root.described());
        let diagnostic = Diagnostic::error(Code::NoModifiers, message, first_place(root), "here");
        findings.push(
            diagnostic.help("as `modifiers:` with a list of `- !EpochRangeModifier` and others below it"),
        );
        return None;
    };
    root.mark.used();
    let mut variables = declared(entries, Variables::default());
    for (name, value) in overrides {
        let at = variables.place(name).unwrap_or(value.span);
        variables.declare(name, at, value.clone());
    }
    let variables = Rc::new(variables);
    let of_role = |role: Role| entries.iter().filter(move |e| Role::of(e) == role);
    let mut collector = Collector { modifiers: Vec::new(), metadata: Vec::new(), text, findings };
    collector.metadata.extend(of_role(Role::Metadata).cloned());
    variables.check(collector.findings);
    let nested: Vec<&Entry> = of_role(Role::Stages).flat_map(|e| e.value.entries()).collect();
    let stages: Vec<&Entry> = of_role(Role::Stage).collect();
    let mut first = of_role(Role::Group).next().map(|group| group.key.span);
    for group in of_role(Role::Group) {
        collector.group(group, &variables);
    }
    match (of_role(Role::Group).next(), of_role(Role::Stages).next()) {
        (Some(group), _) => {
            for stage in of_role(Role::Stages).chain(of_role(Role::Stage)) {
                collector.findings.push(stage_beside_group(text, stage, group, entries));
            }
        }
        (None, Some(all)) => {
            for stage in &stages {
                collector.findings.push(stage_beside_stages(stage, all));
            }
            all.value.mark.used();
            collector.stages(&nested, &variables, overrides, &mut first);
        }
        (None, None) => collector.stages(&stages, &variables, overrides, &mut first),
    }
    let misplaced: Vec<&Entry> = of_role(Role::Misplaced).filter(|e| is_unread(&e.value)).collect();
    let Some(first) = first else {
        match misplaced.as_slice() {
            [] => collector.findings.push(no_groups(root, entries)),
            some => collector.misplaced(some, Code::NoModifiers),
        }
        return None;
    };
    collector.misplaced(&misplaced, Code::MisplacedModifier);
    let Collector { modifiers, metadata, .. } = collector;
    if let Some(beyond) = modifiers.get(MAX_MODIFIERS) {
        findings.push(
            Diagnostic::error(
                Code::YamlTooMuch,
                format!("more than {MAX_MODIFIERS} modifiers"),
                beyond.at,
                "the first one beyond the limit",
            )
            .help("check that this is the right file"),
        );
        return None;
    }
    if modifiers.is_empty() && !findings.has_errors() {
        findings.push(
            Diagnostic::error(Code::NoModifiers, "this recipe has no modifiers", first, "an empty group")
                .help("list modifiers under it, as `- !EpochRangeModifier`"),
        );
    }
    Some(Collected { modifiers, metadata, first })
}

/// The first byte of a node, which may span many lines.
fn first_place(node: &Node) -> Span {
    Span { end: node.span.end.min(node.span.start.saturating_add(1)), ..node.span }
}

/// Declares the entries that are variables, and those that may be because they are misplaced.
fn declared(entries: &[Entry], mut own: Variables) -> Variables {
    for entry in entries.iter().filter(|e| matches!(Role::of(e), Role::Variable | Role::Misplaced)) {
        own.declare(key(entry), entry.key.span, entry.value.clone());
    }
    // SparseML's own recipes name the version of their format, which no modifier reads.
    if let Some(version) = entries.iter().find(|e| key(e) == "version") {
        version.value.used();
    }
    own
}

/// Reports a file in which no entry is a group, a stage or a misplaced modifier.
fn no_groups(root: &Node, entries: &[Entry]) -> Diagnostic {
    Diagnostic::error(
        Code::NoModifiers,
        "this file has no modifiers",
        entries.first().map_or(first_place(root), |e| e.key.span),
        "no key with `modifiers` in its name",
    )
    .help("list them under `modifiers:`, as `- !EpochRangeModifier`")
}

/// The lists that are filled while the groups are read.
struct Collector<'a> {
    modifiers: Vec<Modifier>,
    metadata: Vec<Entry>,
    text: &'a str,
    findings: &'a mut Findings,
}

impl Collector<'_> {
    /// Collects the modifiers of stages into the one list, since their times count from the recipe's start in
    /// all dialects. `first` receives the key of the first group.
    fn stages(
        &mut self,
        stages: &[&Entry],
        variables: &Rc<Variables>,
        overrides: &[(String, Rc<Node>)],
        first: &mut Option<Span>,
    ) {
        if let [first, second, ..] = stages {
            self.findings.push(
                Diagnostic::advice(
                    Code::OtherwiseInSparseml,
                    format!("{} stages share one time axis, as in SparseML", stages.len()),
                    second.key.span,
                    "its epochs count from the beginning of the recipe",
                )
                .and_at(first.key.span, "the first stage")
                .help(
                    "they become one stage; an `.obert` recipe can have several, each with its own time axis",
                ),
            );
        }
        for stage in stages {
            stage.value.mark.used();
            let entries = stage.value.entries();
            let mut own = declared(entries, Variables::within(variables));
            for (name, value) in overrides {
                if let Some(at) = own.place(name) {
                    own.declare(name, at, value.clone());
                }
            }
            let own = Rc::new(own);
            own.check(self.findings);
            self.metadata.extend(entries.iter().filter(|e| Role::of(e) == Role::Metadata).cloned());
            for group in entries.iter().filter(|e| Role::of(e) == Role::Group) {
                first.get_or_insert(group.key.span);
                self.group(group, &own);
            }
            let inner = |e: &&Entry| matches!(Role::of(e), Role::Stage | Role::Stages | Role::Misplaced);
            let misplaced: Vec<&Entry> =
                entries.iter().filter(inner).filter(|e| is_unread(&e.value)).collect();
            self.misplaced(&misplaced, Code::MisplacedModifier);
        }
    }

    /// Reports modifiers outside a group.
    fn misplaced(&mut self, entries: &[&Entry], code: Code) {
        for entry in entries {
            self.findings.push(modifiers_outside_groups(self.text, entry, entries.len() == 1, code));
        }
    }

    /// Collects the modifiers of one group: a list of tagged items, or a mapping from types to fields.
    fn group(&mut self, group: &Entry, variables: &Rc<Variables>) {
        group.value.mark.used();
        if let Some(tag) = group.value.tag.as_ref().filter(|t| !t.name.starts_with("!!")) {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    format!("the group `{}` has the tag of a modifier", key(group)),
                    tag.span,
                    "a group lists modifiers",
                )
                .help(format!("write it as an item of a list: `- !{}`", tag.name)),
            );
            return;
        }
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
            Value::Scalar { .. } if group.value.is_null() => self.empty(group),
            Value::Scalar { .. } => self.findings.push(
                Diagnostic::warning(
                    Code::NoModifiers,
                    format!("`{}` is a single value, not a list of modifiers", key(group)),
                    group.key.span,
                    "no modifiers",
                )
                .help("give a variable a name without `modifiers`"),
            ),
        }
    }

    /// Reports a group without modifiers.
    fn empty(&mut self, group: &Entry) {
        let message = format!("the group `{}` is empty", key(group));
        let diagnostic = Diagnostic::warning(Code::NoModifiers, message, group.key.span, "no modifiers");
        self.findings.push(diagnostic.help("remove it, or list modifiers under it"));
    }

    /// Collects an item of a list: `!Name` and its fields.
    fn tagged(&mut self, item: &Rc<Node>, variables: &Rc<Variables>) {
        let Some(tag) = &item.tag else {
            let named = item.entries().first().map(|e| (key(e).to_owned(), e.key.span));
            let (help, at) = match named {
                Some((name, at)) if registry::find(&name).is_some() => {
                    (format!("write `!{name}`, with its fields below"), at)
                }
                _ => (
                    "write `!EpochRangeModifier` or another name, with its fields below".to_owned(),
                    first_place(item),
                ),
            };
            let error = Diagnostic::error(
                Code::MisplacedModifier,
                "a modifier needs a tag",
                at,
                "`!` is missing before this",
            )
            .help(help);
            let colon = self.text.get(at.range().end..).is_some_and(|rest| rest.starts_with(":\n"));
            let name = self.text.get(at.range()).filter(|name| colon && registry::find(name).is_some());
            let error = match name {
                Some(name) if item.entries().len() == 1 => {
                    error.fix(Span { end: at.end + 1, ..at }, format!("!{name}"))
                }
                _ => error,
            };
            self.findings.push(error);
            return;
        };
        let mut name = tag.name.rsplit('.').next().unwrap_or("").to_owned();
        if let Some(bare) = name.strip_suffix(':') {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    format!("there is a colon after the tag `!{bare}`"),
                    tag.span,
                    "YAML makes the colon part of the name",
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
                    "its value is not a mapping",
                )
                .help("write its fields below it, as `start_epoch: 0`"),
            );
            return;
        }
        if !tag.name.starts_with("!!") && tag.name.contains('.') && !tag.name.starts_with("pytorch.") {
            name = tag.name.clone();
        }
        item.mark.used();
        self.push(name, tag.span, tag.span.to(item.place), item.entries().to_vec(), false, variables);
    }

    /// Collects an entry of a group that maps types to fields.
    fn typed(&mut self, entry: &Entry, variables: &Rc<Variables>) {
        if !matches!(entry.value.value, Value::Map(_)) && !entry.value.is_null() {
            self.findings.push(
                Diagnostic::error(
                    Code::FieldType,
                    format!("`{}` needs fields; this is {}", key(entry), entry.value.described()),
                    entry.key.span,
                    "its value is not a mapping",
                )
                .help("write its fields below it, as `start: 0`"),
            );
            return;
        }
        entry.value.mark.used();
        let whole = entry.key.span.to(entry.value.place);
        let fields = entry.value.entries().to_vec();
        self.push(key(entry).to_owned(), entry.key.span, whole, fields, true, variables);
    }

    /// Adds a modifier, or reports that its name is unknown.
    fn push(
        &mut self,
        name: String,
        at: Span,
        whole: Span,
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
        let variables = variables.clone();
        self.modifiers.push(Modifier::new(self.text, (name, at), whole, fields, untagged, variables));
    }
}
