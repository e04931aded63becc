//! Parameters by pattern, in words that a person would use.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::language::{NoFiles, Options, compile};
use crate::params::selector::Matcher;
use crate::params::{Parameter, ParameterTable, Selector};
use crate::yaml::recipe::{Datum, Fields, quoted};

use super::context::Context;
use super::draft::Draft;

/// Chooses parameters of the model that a recipe is for.
#[derive(Debug)]
pub(super) struct Select<'a> {
    /// The model's parameters, all layers counted.
    table: Option<&'a ParameterTable>,
    /// The model's name, where nobody gave one.
    assumed: Option<&'a str>,
    /// The new number of each layer that stays.
    kept: Option<Vec<usize>>,
    /// The named sets of `std.bert`.
    named: Vec<(&'static str, Selector)>,
}

/// The sets of `std.bert` that an import may use, largest first.
const NAMED: [&str; 4] = ["encoder_linears", "attention_linears", "feed_forward_linears", "embeddings"];

/// No model needs more names to choose its parameters.
const MOST_PATTERNS: usize = 2000;

/// What a list of names and patterns selects.
pub(super) struct Selected {
    /// As a recipe writes it.
    pub(super) text: String,
    /// The names, where the model is known.
    pub(super) names: Vec<String>,
}

impl<'a> Select<'a> {
    /// `dropped` are the layers that the recipe drops.
    pub(super) fn new(context: &'a Context, dropped: Vec<usize>) -> Self {
        let table = context.table.as_ref();
        let kept = table
            .filter(|_| !dropped.is_empty())
            .map(|t| (0..t.layers()).filter(|l| !dropped.contains(l)).collect());
        let assumed = context.model_is_assumed.then_some(context.model.as_str());
        Select { table, assumed, kept, named: named_sets() }
    }

    /// The parameters of a field such as `params`. `None` where a diagnostic was made.
    pub(super) fn of(
        &self,
        field: &'static str,
        fields: &mut Fields,
        prunes: bool,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        let at = fields.value_place(field);
        let word = fields.value(field).and_then(|v| match v.datum() {
            Datum::Text(word) => Some(word.to_uppercase()),
            _ => None,
        });
        let listed = match word.as_deref() {
            Some("__ALL__" | "__ALL_PRUNABLE__") => vec![(word.unwrap_or_default(), at)],
            _ if fields.value(field).is_none() && fields.has(field) => Vec::new(),
            _ => fields.texts(field, findings)?,
        };
        self.of_list(&listed, at, fields, prunes, draft, findings)
    }

    /// The parameters of names and patterns that stand at `at`.
    pub(super) fn of_list(
        &self,
        listed: &[(String, Span)],
        at: Span,
        fields: &mut Fields,
        prunes: bool,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        if listed.is_empty() {
            findings.push(
                Diagnostic::warning(Code::OtherwiseInSparseml, "SparseML takes an empty list for all that can be pruned, embedding tables included", at, "selects nothing, one would think")
                    .help("name what is meant: `[\"__ALL_PRUNABLE__\"]`, or patterns such as `re:bert.encoder.*.dense.weight`"),
            );
        }
        if let Some((word, at)) = listed.iter().find(|(t, _)| t.to_uppercase() == "__ALL__") {
            if prunes {
                let message = format!("`{word}` is every parameter, biases and normalisations too");
                let error =
                    Diagnostic::error(Code::FieldRefused, message, *at, "only linear weights can be pruned")
                        .help("write `__ALL_PRUNABLE__`, or patterns that end in `.weight`")
                        .fix(*at, "__ALL_PRUNABLE__");
                fields.report(findings, error);
                return None;
            }
            return Some(Selected { text: "params(\"**\")".into(), names: self.names(|_| true) });
        }
        if let Some((_, at)) = listed
            .iter()
            .map(|(t, a)| (t, *a))
            .find(|(t, _)| t.to_uppercase() == "__ALL_PRUNABLE__")
            .or(listed.is_empty().then_some((&String::new(), at)))
        {
            return self.all_prunable(at, prunes, fields, draft, findings);
        }
        if let Some((_, beyond)) = listed.get(MOST_PATTERNS) {
            let message = format!("more than {MOST_PATTERNS} names and patterns");
            fields.refuse(
                findings,
                Code::YamlTooMuch,
                *beyond,
                message,
                "here it becomes too much".into(),
                "a few patterns select as much".into(),
            );
            return None;
        }
        let mut selectors = Vec::new();
        for (text, span) in listed {
            selectors.push(self.one(text, *span, prunes, fields, findings)?);
        }
        let matchers: Vec<Matcher> = selectors.iter().filter_map(|s| s.matcher().ok()).collect();
        let names = self.names(|name| matchers.iter().any(|m| m.matches(name)));
        if prunes && self.beyond_linear(listed, &matchers, fields, findings) {
            return None;
        }
        let text = match self.set(&names, draft) {
            Some(text) => text,
            // Numbers of layers in a pattern are those of the whole model.
            None if self.kept.is_some() && !names.is_empty() => self.describe(&names, draft),
            None if selectors.len() > 1 && self.holds_a_set(&names) => self.describe(&names, draft),
            None if selectors.len() == 1 => selectors[0].to_string(),
            None => Selector::Union(selectors).to_string(),
        };
        Some(Selected { text, names })
    }

    /// Refuses a pattern that also selects what cannot be pruned, and proposes one that does not.
    fn beyond_linear(
        &self,
        listed: &[(String, Span)],
        matchers: &[Matcher],
        fields: &mut Fields,
        findings: &mut Findings,
    ) -> bool {
        let Some(table) = self.table else { return false };
        for ((text, span), matcher) in listed.iter().zip(matchers) {
            let own = || table.iter().filter(|p| matcher.matches(&p.name));
            let Some(other) = own().find(|p| !p.is_prunable()) else { continue };
            let message = format!("`{text}` also selects `{}`, which is no linear weight", other.name);
            let error =
                Diagnostic::error(Code::NotPrunable, message, *span, "only linear weights can be pruned");
            let linear: Vec<&str> = own().filter(|p| p.is_prunable()).map(|p| p.name.as_str()).collect();
            let error = match exactly(&linear) {
                None => error.help("name linear weights, such as `re:bert.encoder.layer.*.dense.weight`"),
                Some(pattern) => error
                    .help(format!("write `{pattern}` for the {} linear weights among them", linear.len()))
                    .fix(*span, quoted(&pattern)),
            };
            fields.report(findings, error);
            return true;
        }
        false
    }

    /// Linear weights, and for SparseML embedding tables.
    fn all_prunable(
        &self,
        at: Span,
        prunes: bool,
        fields: &mut Fields,
        draft: &mut Draft,
        findings: &mut Findings,
    ) -> Option<Selected> {
        let Some(table) = self.table else {
            fields.refuse(
                findings,
                Code::FieldRefused,
                at,
                "which parameters these are depends on the model".into(),
                "the model is not known".into(),
                "give it with `--model DIR`".into(),
            );
            return None;
        };
        if prunes {
            findings.push(
                Diagnostic::warning(Code::OtherwiseInSparseml, "SparseML prunes embedding tables too with `__ALL_PRUNABLE__`", at, "only linear layers are pruned here")
                    .help("an embedding table is looked up, not multiplied: pruning it saves little and costs rare words"),
            );
        }
        let fits = |name: &str| {
            table
                .find(name)
                .is_some_and(|p| p.is_prunable() || (!prunes && is_embedding(&p.name, p.shape.len())))
        };
        let names = self.names(fits);
        Some(Selected { text: self.describe(&names, draft), names })
    }

    /// The model as messages name it.
    pub(super) fn model(&self) -> String {
        match self.assumed {
            Some(name) => format!("`{name}`, which is assumed,"),
            None => "the model".to_owned(),
        }
    }

    /// What to do about a name that the model does not have: give the right model if this one is assumed,
    /// unless a name of it is meant.
    pub(super) fn missing(&self, written: &str, otherwise: String) -> String {
        const GIVE: &str = "give the model that the recipe is for with `--model NAME`";
        let start = |name: &str| name.split(['.', '\\']).next().map(str::to_owned);
        let own = self.table.into_iter().flat_map(|t| t.iter()).any(|p| start(&p.name) == start(written));
        match self.assumed {
            Some(_) if own => format!("{otherwise}; or {GIVE}"),
            Some(_) => GIVE.to_owned(),
            None => otherwise,
        }
    }

    /// One name or pattern. It must match something, and should match no more than it seems to.
    fn one(
        &self,
        text: &str,
        span: Span,
        prunes: bool,
        fields: &mut Fields,
        findings: &mut Findings,
    ) -> Option<Selector> {
        let Some(pattern) = text.strip_prefix("re:") else {
            if let Some(table) = self.table.filter(|t| t.find(text).is_none()) {
                let looks = text.contains(['*', '\\', '|', '(', '[']);
                let fits = |p: &&Parameter| !prunes || p.is_prunable();
                let near = nearest(text, table.iter().filter(fits).map(|p| p.name.as_str()));
                let as_pattern = Selector::Regex(format!("{text}.*")).select(table).unwrap_or_default();
                let (help, meant) = match near {
                    _ if looks && !as_pattern.is_empty() => {
                        (format!("it looks like a pattern: write `re:{text}`"), Some(format!("re:{text}")))
                    }
                    Some(near) => (format!("did you mean `{near}`?"), Some(near.to_owned())),
                    None => ("write the whole name, or a pattern that begins with `re:`".to_owned(), None),
                };
                let message = format!("{} has no parameter `{text}`", self.model());
                let help = self.missing(text, help);
                let proposed = meant.filter(|meant| help.contains(&format!("`{meant}`")));
                let error =
                    Diagnostic::error(Code::MatchesNothing, message, span, "matches nothing").help(help);
                fields.report(
                    findings,
                    match proposed {
                        Some(meant) => error.fix(span, quoted(&meant)),
                        None => error,
                    },
                );
                return None;
            }
            return Some(Selector::Glob(text.to_owned()));
        };
        let pattern = pattern.strip_suffix('$').unwrap_or(pattern).replace('"', "\\x22");
        let exact = Selector::Regex(pattern.clone());
        let open = Selector::Regex(format!("{pattern}.*"));
        if let Err(error) = exact.matcher() {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            let help = if text.contains("(?") {
                "obert's expressions take linear time and have no look-around: name what is wanted instead"
            } else {
                "close every bracket, and write `\\.` for a dot"
            };
            fields.refuse(
                findings,
                Code::BadPattern,
                span,
                "this regular expression cannot be read".into(),
                why,
                help.into(),
            );
            return None;
        }
        let Some(table) = self.table else { return Some(if text.ends_with('$') { exact } else { open }) };
        let selected = |s: &Selector| s.select(table).unwrap_or_default();
        // Up to the end of a name, or of a module's.
        let whole = Selector::Regex(format!(r"(?:{pattern})(?:\..*)?"));
        let (meant, taken) = (selected(&whole), selected(&open));
        let ends = selected(&exact);
        let closed = text.ends_with('$');
        if taken.is_empty() || closed && ends.is_empty() {
            fields.refuse(
                findings,
                Code::MatchesNothing,
                span,
                format!("`{text}` matches none of the {} parameters of {}", table.len(), self.model())
                    .trim_end_matches(',')
                    .to_owned(),
                "matches nothing".into(),
                self.missing(&pattern, nearest_name(&pattern, table)),
            );
            return None;
        }
        if closed || ends == taken {
            return Some(as_glob(&pattern).unwrap_or(exact));
        }
        if let Some(more) = taken.iter().find(|i| !meant.contains(i)).filter(|_| !meant.is_empty()) {
            findings.push(
                Diagnostic::warning(
                    Code::BeyondTheName,
                    format!("this pattern also selects `{}`", table.get(*more).name),
                    span,
                    format!("{} parameters, {} of them end where it ends", taken.len(), meant.len()),
                )
                .help("SparseML anchors a pattern at its start only; end it in `$` if that is not meant"),
            );
        }
        Some(open)
    }

    /// The names of the model's parameters that fit, in order.
    pub(super) fn names(&self, fits: impl Fn(&str) -> bool) -> Vec<String> {
        self.table.into_iter().flat_map(|t| t.iter()).map(|p| p.name.clone()).filter(|n| fits(n)).collect()
    }

    /// Whether the model has a module of this name; `true` where it is not known.
    pub(super) fn has_module(&self, name: &str) -> bool {
        let within = |p: &str| p.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.table.is_none_or(|t| t.iter().any(|p| within(&p.name)))
    }

    /// The module that is nearest to a name, as a help.
    pub(super) fn nearest_module(&self, written: &str) -> String {
        let names = self.names(|_| true);
        let modules = names.iter().flat_map(|n| n.match_indices('.').map(|(at, _)| &n[..at]));
        match nearest(written, modules) {
            Some(near) => format!("the nearest module is `{near}`"),
            None => "name a module such as `bert.encoder`, or a class such as `Linear`".to_owned(),
        }
    }

    /// The model's parameters.
    pub(super) fn table(&self) -> Option<&ParameterTable> {
        self.table
    }

    /// Names of a set that these parameters are exactly.
    fn set(&self, names: &[String], draft: &mut Draft) -> Option<String> {
        if names.is_empty() {
            return None;
        }
        let (set, _) = self.named.iter().find(|(_, s)| self.members(s) == names)?;
        draft.uses.insert(set);
        Some((*set).to_owned())
    }

    /// Whether all of a named set is among these.
    fn holds_a_set(&self, names: &[String]) -> bool {
        let members = |s: &Selector| self.members(s);
        self.named
            .iter()
            .map(|(_, s)| members(s))
            .any(|m| !m.is_empty() && m.iter().all(|n| names.contains(n)))
    }

    fn members(&self, selector: &Selector) -> Vec<String> {
        selector.matcher().map_or(Vec::new(), |m| self.names(|n| m.matches(n)))
    }

    /// These parameters in as few words as a person would need.
    pub(super) fn describe(&self, names: &[String], draft: &mut Draft) -> String {
        let mut left: Vec<String> = names.to_vec();
        let mut parts = Vec::new();
        for (set, selector) in &self.named {
            let members = self.members(selector);
            if !members.is_empty() && members.iter().all(|m| left.contains(m)) {
                left.retain(|n| !members.contains(n));
                draft.uses.insert(set);
                parts.push((*set).to_owned());
            }
        }
        let globs = self.globs(&left);
        if !globs.is_empty() {
            let quoted: Vec<String> = globs.iter().map(|g| format!("\"{g}\"")).collect();
            parts.push(format!("params({})", quoted.join(", ")));
        }
        if parts.len() == 1 { parts.remove(0) } else { format!("[{}]", parts.join(", ")) }
    }

    /// Globs over names, their layers joined.
    fn globs(&self, names: &[String]) -> Vec<String> {
        let count = self.table.map_or(0, ParameterTable::layers);
        let layers = self.kept.clone().unwrap_or_else(|| (0..count).collect());
        let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let mut globs = Vec::new();
        for name in names {
            let Some((before, layer, after)) = split_layer(name) else {
                globs.push(name.clone());
                continue;
            };
            if let Some(place) = layers.iter().position(|l| *l == layer) {
                groups.entry((before.to_owned(), after.to_owned())).or_default().push(place);
            }
        }
        for ((before, after), places) in groups {
            let layer = match places.as_slice() {
                all if all.len() == layers.len() => "*".to_owned(),
                [one] => one.to_string(),
                some => format!("{{{}}}", some.iter().map(usize::to_string).collect::<Vec<_>>().join(",")),
            };
            globs.push(format!("{before}{layer}{after}"));
        }
        globs
    }
}

/// Whether a parameter is an embedding table.
pub(super) fn is_embedding(name: &str, dimensions: usize) -> bool {
    dimensions == 2 && name.contains("embeddings") && name.ends_with(".weight")
}

fn nearest_name(pattern: &str, table: &ParameterTable) -> String {
    let plain = pattern.replace("\\.", ".").replace(".*", ".");
    match nearest(&plain, table.iter().map(|p| p.name.as_str())) {
        Some(near) => format!("the nearest name is `{near}`"),
        None => match table.iter().find(|p| p.is_prunable()) {
            Some(first) => format!("the model's names are like `{}`", first.name),
            None => "list the names with `obertc params --model DIR '**'`".to_owned(),
        },
    }
}

/// A regular expression with escaped dots as the glob that selects the same; `None` if none does.
fn as_glob(pattern: &str) -> Option<Selector> {
    let mut glob = String::new();
    let mut depth = 0;
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let tokens = [("[^.]*", "*"), (".*", "**"), ("[^.]", "?"), ("(?:", "{"), (")", "}")];
        if let Some((regex, text)) = tokens.iter().find(|(regex, _)| rest.starts_with(regex)) {
            depth += i32::from(*text == "{") - i32::from(*text == "}");
            glob.push_str(text);
            rest = &rest[regex.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = rest.chars().next().filter(|c| matches!(c, '.' | '-' | '_'))?;
                rest = &rest[1..];
                glob.push(escaped);
            }
            '|' if depth > 0 => glob.push(','),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') => glob.push(c),
            _ => return None,
        }
    }
    (depth == 0).then_some(Selector::Glob(glob))
}

/// A pattern of SparseML's for these names and no others, the layers of one kind joined.
fn exactly(names: &[&str]) -> Option<String> {
    let mut kinds: Vec<String> = Vec::new();
    for name in names {
        let kind = match split_layer(name) {
            Some((before, _, after)) => format!("{before}[0-9]+{after}"),
            None => (*name).to_owned(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.as_slice() {
        [] => None,
        [one] => Some(format!("re:{one}$")),
        several => Some(format!("re:(?:{})$", several.join("|"))),
    }
}

/// Splits a name around the number of its layer.
fn split_layer(name: &str) -> Option<(&str, usize, &str)> {
    let at = name.find(".layer.")? + ".layer.".len();
    let digits = name[at..].find('.')?;
    Some((&name[..at], name[at..at + digits].parse().ok()?, &name[at + digits..]))
}

/// The sets of the standard library, as it defines them.
fn named_sets() -> Vec<(&'static str, Selector)> {
    let recipe = format!(
        "edition 2026\nuse std.bert.{{{}}}\nrecipe sets for 1 epoch {{\nmodel: \"none\"\ndata: squad\nlr {{ 0..1 epochs: 1e-5 }}\n{}}}\n",
        NAMED.join(", "),
        NAMED.map(|n| format!("hold {n}\n")).concat(),
    );
    let compiled = compile("sets", &recipe, &NoFiles, Options::default());
    let holds = compiled.schedule.into_iter().flat_map(|s| s.stages).flat_map(|s| s.hold);
    let named: Vec<_> = NAMED.into_iter().zip(holds.map(|h| h.targets.selector)).collect();
    debug_assert_eq!(named.len(), NAMED.len(), "the standard library lacks one of {NAMED:?}");
    named
}
