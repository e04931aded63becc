//! Evaluates `eval(…)` over the variables of a recipe.

use std::collections::HashMap;
use std::rc::Rc;

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::yaml::reader::{Node, Value};

use super::datum::{self, Datum, Located, Number};
use super::expression::{self, FUNCTIONS};

/// The variables of the recipe or of a stage; those of a stage hide those of the recipe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    nodes: HashMap<String, (Span, Rc<Node>)>,
    /// The variables of the recipe, for a stage.
    outer: Option<Rc<Variables>>,
    /// Whether SparseML evaluates `eval(…)` inside a longer text, as it does in the form without tags.
    pub(crate) embedded: bool,
}

/// The variables whose evaluation has started, with the places of their declarations.
type Open = Vec<(String, Span)>;

impl Variables {
    /// The variables of a stage, which can use those in `outer` too.
    pub(crate) fn within(outer: &Rc<Variables>) -> Self {
        Variables { outer: Some(outer.clone()), embedded: outer.embedded, ..Variables::default() }
    }

    fn find(&self, name: &str) -> Option<&(Span, Rc<Node>)> {
        self.nodes.get(name).or_else(|| self.outer.as_ref()?.find(name))
    }

    /// Declares a variable, and replaces one of the same name.
    pub(crate) fn declare(&mut self, name: &str, at: Span, value: Rc<Node>) {
        if let Some((_, replaced)) = self.nodes.insert(name.to_owned(), (at, value)) {
            replaced.used();
        }
    }

    /// The names, for suggestions.
    fn names(&self) -> impl Iterator<Item = &str> {
        // Bounds the time for comparing names in hostile input.
        const MAX: usize = 1000;
        let outer = self.outer.iter().flat_map(|o| o.nodes.keys());
        self.nodes.keys().chain(outer).take(MAX).map(String::as_str)
    }

    /// Where a variable is declared.
    pub(crate) fn place(&self, name: &str) -> Option<Span> {
        self.nodes.get(name).map(|(at, _)| *at)
    }

    /// Evaluates every variable, so that errors are found in unused ones too.
    pub(crate) fn check(&self, findings: &mut Findings) {
        let mut names: Vec<_> = self.nodes.iter().collect();
        names.sort_by_key(|(_, (at, _))| at.start);
        for (name, (at, node)) in names {
            if node.text().is_some_and(is_expression) {
                let mut open = vec![(name.clone(), *at)];
                self.read_within(node, &mut open, findings);
            }
        }
    }

    /// The value of a node, `eval(…)` evaluated at any depth. `None` where a diagnostic was made.
    pub(crate) fn read(&self, node: &Node, findings: &mut Findings) -> Option<Located> {
        self.read_within(node, &mut Open::new(), findings)
    }

    fn read_within(&self, node: &Node, open: &mut Open, findings: &mut Findings) -> Option<Located> {
        let plain_by_tag = match node.tag.as_ref().map(|t| t.name.as_str()) {
            Some("!!str") => Some(false),
            Some("!!int" | "!!float" | "!!bool" | "!!null") => Some(true),
            None | Some("!!seq" | "!!map") => None,
            Some(name) => {
                findings.push(misplaced_tag(node, name));
                return None;
            }
        };
        let datum = match &node.value {
            Value::Scalar { text, plain } => {
                return self.scalar(text, plain_by_tag.unwrap_or(*plain), node, open, findings);
            }
            Value::List(items) => {
                let list: Vec<_> = items.iter().map(|i| self.read_within(i, open, findings)).collect();
                Datum::List(list.into_iter().collect::<Option<_>>()?)
            }
            Value::Map(entries) => {
                let mut map = Vec::new();
                for entry in entries {
                    let key = entry.key.text().unwrap_or("").to_owned();
                    map.push((key, entry.key.span, self.read_within(&entry.value, open, findings)?));
                }
                Datum::Map(map)
            }
        };
        Some(Located::of(node, datum))
    }

    fn scalar(
        &self,
        text: &str,
        plain: bool,
        node: &Node,
        open: &mut Open,
        findings: &mut Findings,
    ) -> Option<Located> {
        let span = node.span;
        let Some(inside) = expression_in(text) else {
            if text.contains("eval(") {
                findings.push(not_interpolated(span, self.embedded));
            }
            return Some(datum::scalar(text, plain, span).of_node(node));
        };
        // `eval(name)` has the value of the variable, also if that is not a number.
        if let Some((at, variable)) = self.find(inside) {
            let value = self.follow(inside, *at, variable, span, open, findings)?;
            return Some(value.instead_of(node));
        }
        let mut reported = false;
        let result = expression::evaluate(inside, &mut |name| {
            let Some((at, variable)) = self.find(name) else {
                let near = nearest(name, self.names());
                return Err(match near {
                    Some(near) => format!("unknown variable `{name}`; did you mean `{near}`?"),
                    None => {
                        format!("unknown variable `{name}`: add `{name}:`, or give it with `--set {name}=…`")
                    }
                });
            };
            let value = self.follow(name, *at, variable, span, open, findings);
            match value.as_ref().map(Located::datum) {
                Some(Datum::Number(number)) => Ok(number.clone()),
                Some(Datum::Bool(value)) => Ok(Number::computed(f64::from(u8::from(*value)), true)),
                Some(other) => Err(format!("`{name}` is {}, not a number", other.described())),
                None => {
                    reported = true;
                    Err(String::new())
                }
            }
        });
        match result {
            Ok(number) => Some(Located::of(node, Datum::Number(number))),
            Err(_) if reported => None,
            Err(why) => {
                let message = format!("`{text}` cannot be evaluated");
                let diagnostic = Diagnostic::error(Code::BadExpression, message, span, why);
                findings.push(diagnostic.help(format!(
                    "it can have numbers, variables, + - * / // ** %, parentheses, and {}",
                    FUNCTIONS.join(", ")
                )));
                None
            }
        }
    }

    /// The value of a variable, with cycles reported.
    fn follow(
        &self,
        name: &str,
        at: Span,
        node: &Rc<Node>,
        used: Span,
        open: &mut Open,
        findings: &mut Findings,
    ) -> Option<Located> {
        if let Some(from) = open.iter().position(|(n, _)| n == name) {
            let cycle: Vec<&str> = open[from..].iter().map(|(n, _)| n.as_str()).chain([name]).collect();
            let (_, first) = open[from];
            let mut diagnostic = Diagnostic::error(
                Code::ExpressionCycle,
                format!("variables depend on each other in a cycle: {}", cycle.join(" → ")),
                first,
                "starts here",
            )
            .help("give one of them a value without `eval(…)`");
            for (_, span) in &open[from + 1..] {
                diagnostic = diagnostic.and_at(*span, "which depends on this");
            }
            // A cycle is found from each of its variables, and reported from the first only.
            if open[from..].iter().all(|(_, s)| s.start >= first.start) {
                findings.push(diagnostic);
            }
            return None;
        }
        if open.len() > 64 {
            let message = "variables depend on each other through too many levels";
            let diagnostic = Diagnostic::error(Code::ExpressionCycle, message, used, "here");
            findings.push(diagnostic.help("write the value"));
            return None;
        }
        open.push((name.to_owned(), at));
        let value = self.read_within(node, open, findings);
        open.pop();
        value
    }
}

/// Reports a tag on a value that is neither a modifier nor of a YAML type.
fn misplaced_tag(node: &Node, name: &str) -> Diagnostic {
    let at = node.tag.as_ref().map_or(node.place, |t| t.span);
    let mark = if name.starts_with("!!") { "" } else { "!" };
    Diagnostic::error(
        Code::MisplacedModifier,
        format!("a value has the tag `{mark}{name}`"),
        at,
        "only modifiers have such tags",
    )
    .help("remove the tag; a modifier is an item of a list in a group, as `- !EpochRangeModifier`")
}

/// The names of variables in the `eval(…)` of a text.
pub(crate) fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let inside = expression_in(text).or_else(|| text.split_once("eval(").map(|(_, rest)| rest)).unwrap_or("");
    let words = inside.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|w| w.starts_with(|c: char| c.is_alphabetic() || c == '_') && !FUNCTIONS.contains(w))
}

/// The expression of a text that is an `eval(…)`.
fn expression_in(text: &str) -> Option<&str> {
    Some(text.strip_prefix("eval(")?.strip_suffix(')')?.trim())
}

fn is_expression(text: &str) -> bool {
    expression_in(text).is_some()
}

/// Reports `eval(…)` inside a longer text: an error in the form in which SparseML evaluates it (`embedded`).
fn not_interpolated(span: Span, embedded: bool) -> Diagnostic {
    let message = if embedded {
        "`eval(…)` inside a longer text is not supported here"
    } else {
        "SparseML does not evaluate `eval(…)` inside a longer text"
    };
    let diagnostic = Diagnostic::warning(Code::NotInterpolated, message, span, "not evaluated")
        .help("write the value instead");
    if embedded { Diagnostic { severity: crate::diag::Severity::Error, ..diagnostic } } else { diagnostic }
}
