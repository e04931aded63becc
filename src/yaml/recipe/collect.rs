//! Groups and stages to one list of modifiers.
//!
//! Three dialects: lists of tagged mappings under keys with `modifiers` in their name, perhaps in
//! stages (SparseML); stages of groups that map types to fields (late SparseML and llm-compressor).
//! In all of them times count from the beginning of the recipe, so stages are one list.

use std::rc::Rc;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::reader::{Entry, Handling, Node, Value};

use super::block;
use super::registry::{self, group_of};
use super::variables::Variables;

/// A recipe has a dozen modifiers; far more are an attack or an accident.
const MOST_MODIFIERS: usize = 1000;

/// A modifier and its fields.
#[derive(Clone, Debug)]
pub(crate) struct Modifier {
    pub(crate) name: String,
    /// Where the name is written.
    pub(crate) at: Span,
    /// The name and all fields.
    pub(crate) whole: Span,
    pub(crate) fields: Vec<Entry>,
    /// How a field is added before the first one; `None` if that is not simple.
    insertion: Option<Insertion>,
    /// Whether it is `Type: {…}` in a group, and not a tag.
    pub(crate) untagged: bool,
    pub(crate) variables: Rc<Variables>,
}

/// How the fields of a modifier are written.
#[derive(Clone, Copy, Debug)]
enum Insertion {
    /// One on a line, so far in.
    Lines(usize),
    /// In braces.
    Braces,
}

impl Modifier {
    /// Adds a replacement that gives the modifier one more field, such as `start: 0`.
    pub(crate) fn adds(&self, diagnostic: Diagnostic, field: &str) -> Diagnostic {
        let (Some(how), Some(first)) = (self.insertion, self.fields.first()) else { return diagnostic };
        let at = Span { end: first.key.span.start, ..first.key.span };
        match how {
            Insertion::Lines(indent) => diagnostic.fix(at, format!("{field}\n{}", " ".repeat(indent))),
            Insertion::Braces => diagnostic.fix(at, format!("{field}, ")),
        }
    }
}

/// A whole recipe.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) modifiers: Vec<Modifier>,
    /// `__metadata__` of the recipe and of its stages.
    pub(crate) metadata: Vec<Entry>,
    /// Where the first group stands.
    pub(crate) first: Span,
}

/// What an entry of a recipe or of a stage is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// `pruning_modifiers: …`
    Group,
    /// A mapping with groups.
    Stage,
    /// `stages:`, a mapping of stages.
    Stages,
    Metadata,
    /// Modifiers where SparseML reads none.
    Misplaced,
    Variable,
}

impl Role {
    fn of(entry: &Entry) -> Self {
        let groups = |node: &Node| node.entries().iter().any(|inner| is_group_key(key(inner)));
        match key(entry) {
            "__metadata__" => Role::Metadata,
            name if is_group_key(name) => Role::Group,
            "stages" if matches!(entry.value.value, Value::Map(_)) => Role::Stages,
            _ if groups(&entry.value) => Role::Stage,
            name if is_modifier_name(name) || holds_modifiers(&entry.value) => Role::Misplaced,
            _ => Role::Variable,
        }
    }
}

/// Finds all modifiers. `overrides` replace variables; `text` is the file's.
///
/// Every entry is a group, a stage, metadata or a variable; modifiers anywhere else are reported, because
/// SparseML and llm-compressor pass over them without a word.
pub(crate) fn collect(
    root: &Node,
    text: &str,
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
                collector.stage_beside(stage, group, entries);
            }
        }
        (None, Some(all)) => {
            for stage in &stages {
                collector.findings.push(
                    Diagnostic::error(
                        Code::MisplacedModifier,
                        format!("the stage `{}` stands beside `stages`", key(stage)),
                        stage.key.span,
                        "SparseML reads the stages below `stages` alone",
                    )
                    .and_at(all.key.span, "because of this")
                    .help(format!("move `{}` below `stages`", key(stage))),
                );
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

/// Whether a key is the type of a modifier, known or not.
fn is_modifier_name(key: &str) -> bool {
    registry::find(key).is_some() || key.len() > "Modifier".len() && key.ends_with("Modifier")
}

/// Whether there are modifiers anywhere in a node: tagged items, or keys that are their types.
fn holds_modifiers(node: &Node) -> bool {
    let tagged = node.tag.as_ref().is_some_and(|t| is_modifier_name(t.name.rsplit('.').next().unwrap_or("")));
    tagged
        || match &node.value {
            Value::Scalar { .. } => false,
            Value::List(items) => items.iter().any(|item| holds_modifiers(item)),
            Value::Map(entries) => {
                entries.iter().any(|e| is_modifier_name(key(e)) || holds_modifiers(&e.value))
            }
        }
}

/// Whether nothing in a node was read, such as through an alias.
fn is_unread(node: &Node) -> bool {
    node.mark.get() == Handling::Unread
        && match &node.value {
            Value::Scalar { .. } => true,
            Value::List(items) => items.iter().all(|item| is_unread(item)),
            Value::Map(entries) => entries.iter().all(|e| is_unread(&e.value)),
        }
}

/// A place on one line for a node that may go over many.
fn first_place(node: &Node) -> Span {
    Span { end: node.span.end.min(node.span.start.saturating_add(1)), ..node.span }
}

/// Declares what is neither group nor stage.
fn declared(entries: &[Entry], mut own: Variables) -> Variables {
    for entry in entries.iter().filter(|e| matches!(Role::of(e), Role::Variable | Role::Misplaced)) {
        own.declare(key(entry), entry.key.span, entry.value.clone());
    }
    // SparseML's own recipes say which version of the format they are in.
    if let Some(version) = entries.iter().find(|e| key(e) == "version") {
        version.value.used();
    }
    own
}

fn no_groups(root: &Node, entries: &[Entry]) -> Diagnostic {
    Diagnostic::error(
        Code::NoModifiers,
        "this file holds no modifiers",
        entries.first().map_or(first_place(root), |e| e.key.span),
        "no key with `modifiers` in its name",
    )
    .help("list them under `modifiers:`, as `- !EpochRangeModifier`")
}

struct Collector<'a> {
    modifiers: Vec<Modifier>,
    metadata: Vec<Entry>,
    text: &'a str,
    findings: &'a mut Findings,
}

impl Collector<'_> {
    /// Reads stages, which are one list: in all dialects their times count from the recipe's beginning.
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
                .help("they become one recipe; in the language, each stage could have its own axis and name"),
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

    /// A stage where groups stand: SparseML reads the groups alone.
    fn stage_beside(&mut self, stage: &Entry, group: &Entry, entries: &[Entry]) {
        let inner = stage.value.entries();
        let taken = |e: &Entry| entries.iter().any(|other| key(other) == key(e));
        let moves = inner.iter().all(|e| Role::of(e) == Role::Group && !taken(e));
        let names: Vec<String> = inner.iter().map(|e| format!("`{}`", key(e))).collect();
        let help = if moves {
            format!("let {} stand beside `{}`, without `{}`", names.join(" and "), key(group), key(stage))
        } else {
            format!("put `{}` into a stage too", key(group))
        };
        let mut diagnostic = Diagnostic::error(
            Code::MisplacedModifier,
            format!("the stage `{}` stands beside a group", key(stage)),
            stage.key.span,
            "SparseML ignores the whole stage",
        )
        .and_at(group.key.span, "because of this group")
        .help(help);
        let whole = stage.key.span.to(stage.value.place);
        if let Some(moved) = moves.then(|| block::moved_out(self.text, whole, stage.value.span)).flatten() {
            diagnostic = diagnostic.fix(whole, moved);
        }
        self.findings.push(diagnostic);
    }

    /// Modifiers that are in no group, or in one whose name SparseML does not look for.
    fn misplaced(&mut self, all: &[&Entry], code: Code) {
        for entry in all {
            let at = entry.key.span;
            let modifiers: Vec<&Entry> =
                entry.value.entries().iter().filter(|e| is_modifier_name(key(e))).collect();
            let listed = matches!(&entry.value.value, Value::List(_));
            let diagnostic = if listed || entry.value.tag.is_some() && !is_modifier_name(key(entry)) {
                let name = format!("{}_modifiers", key(entry));
                Diagnostic::error(
                    code,
                    format!("`{}` lists modifiers, but SparseML does not look there", key(entry)),
                    at,
                    "`modifiers` must be in its name",
                )
                .help(format!("did you mean `{name}`?"))
                .fix(at, name)
            } else {
                let (whole, first) = match modifiers.first() {
                    _ if is_modifier_name(key(entry)) => (at.to(entry.value.place), key(entry)),
                    Some(first) => (entry.value.span, key(first)),
                    None => (at, key(entry)),
                };
                let group = group_of(first);
                let alone = match modifiers.len() {
                    0 => all.len() == 1,
                    some => some == entry.value.entries().len() && !is_modifier_name(key(entry)),
                };
                let diagnostic = Diagnostic::error(
                    code,
                    format!("`{}` is in no group of modifiers", first),
                    if is_modifier_name(key(entry)) {
                        at
                    } else {
                        modifiers.first().map_or(at, |m| m.key.span)
                    },
                    "SparseML passes over it without a word",
                )
                .help(format!("write `{group}:` above it, and what belongs to it further in"));
                match alone.then(|| block::wrapped(self.text, whole, group)).flatten() {
                    Some(wrapped) => diagnostic.fix(whole, wrapped),
                    None => diagnostic,
                }
            };
            self.findings.push(diagnostic);
        }
    }

    fn group(&mut self, group: &Entry, variables: &Rc<Variables>) {
        group.value.mark.used();
        if let Some(tag) = group.value.tag.as_ref().filter(|t| !t.name.starts_with("!!")) {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedModifier,
                    format!("the group `{}` is a modifier itself", key(group)),
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
                    format!("`{}` is a single value and no list of modifiers", key(group)),
                    group.key.span,
                    "lists nothing",
                )
                .help("give a variable a name without `modifiers`"),
            ),
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
            let error = Diagnostic::error(
                Code::MisplacedModifier,
                "a modifier needs a tag",
                at,
                "no `!` before this",
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
        item.mark.used();
        self.push(name, tag.span, tag.span.to(item.place), item.entries().to_vec(), false, variables);
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
        entry.value.mark.used();
        let whole = entry.key.span.to(entry.value.place);
        let fields = entry.value.entries().to_vec();
        self.push(key(entry).to_owned(), entry.key.span, whole, fields, true, variables);
    }

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
        let insertion = fields.first().and_then(|first| {
            let before = self.text.get(whole.start as usize..first.key.span.start as usize)?;
            match block::indent_of(self.text, first.key.span) {
                Some(indent) => Some(Insertion::Lines(indent)),
                None => before.trim_end().ends_with('{').then_some(Insertion::Braces),
            }
        });
        let variables = variables.clone();
        self.modifiers.push(Modifier { name, at, whole, fields, insertion, untagged, variables });
    }
}
