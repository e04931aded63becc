//! Evaluation of selectors: names, globs, regular expressions, unions and exclusions.

use crate::diag::{Code, Diagnostic, Span};
use crate::language::resolve::ScopeId;
use crate::language::syntax::ast::{Expr, ExprKind, Spanned};
use crate::language::vocab::Type;
use crate::params::Selector;

use super::{Evaluator, Value, name_selector};

/// The most regular expressions of a recipe.
const MOST_REGEXES: usize = 1_000;

impl Evaluator<'_> {
    /// Evaluates `a`, `params("…")`, `re"…"`, `[a, b]` or `a except b`, optionally with `expect 72`.
    pub(super) fn params(&mut self, expr: &Expr, scope: ScopeId) -> Option<Value> {
        let items = expr.items();
        let mut end = items.len();
        let mut expect = None;
        if let Some(at) = items.iter().position(|i| i.is_word("expect")) {
            let Some(count) = items.get(at + 1) else {
                return self.missing(items[at].span, "`expect` needs a number after it", "as `expect 72`");
            };
            if let Some(extra) = items.get(at + 2) {
                return self.stray_word(extra, Type::Params);
            }
            expect = Some(Spanned::new(self.whole(count, Type::Count, scope)? as usize, count.span));
            end = at;
        }
        let mut parts = items[..end].split(|i| i.is_word("except"));
        let first = self.one_selector(parts.next().unwrap_or(&[]), expr.span, scope)?;
        let mut selector = first.0;
        expect = expect.or(first.1);
        for part in parts {
            let (without, _) = self.one_selector(part, expr.span, scope)?;
            selector = Selector::Except(Box::new(selector), Box::new(without));
        }
        Some(Value::Params(selector, expect))
    }

    pub(super) fn one_selector(
        &mut self,
        items: &[Expr],
        whole: Span,
        scope: ScopeId,
    ) -> Option<(Selector, Option<Spanned<usize>>)> {
        let [expr] = items else {
            return match items.get(1) {
                Some(extra) => match self.window_in_words(&items[1..]) {
                    true => None,
                    false => self.stray_word(extra, Type::Params),
                },
                None => self.missing(whole, "parameters are missing here", "as `encoder_linears except …`"),
            };
        };
        let selector = match &expr.kind {
            ExprKind::Regex(pattern) => {
                self.one_more_regex(pattern, expr.span)?;
                Selector::Regex(pattern.clone())
            }
            ExprKind::Text(glob) => {
                if let Some(regex) = glob.strip_prefix("re:") {
                    return self.marked_regex(regex, expr.span, expr.span);
                }
                Selector::Glob(glob.clone())
            }
            ExprKind::Call(word, arguments) if word.value == "params" => {
                let mut globs = Vec::new();
                for argument in arguments {
                    let at = argument.value.span;
                    let glob = self.text(&argument.value, Type::Text)?;
                    if let Some(regex) = glob.strip_prefix("re:") {
                        let whole = if arguments.len() == 1 { expr.span } else { at };
                        return self.marked_regex(regex, at, whole);
                    }
                    globs.push(Selector::Glob(glob));
                }
                match globs.len() {
                    0 => {
                        return self.missing(
                            expr.span,
                            "`params` needs a pattern",
                            "as `params(\"**.weight\")`",
                        );
                    }
                    1 => globs.remove(0),
                    _ => Selector::Union(globs),
                }
            }
            ExprKind::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    match self.value(item, Type::Params, scope)? {
                        Value::Params(selector, _) => list.push(selector),
                        _ => return None,
                    }
                }
                if list.is_empty() {
                    return self.missing(expr.span, "an empty list selects nothing", "name what to select");
                }
                Selector::Union(list)
            }
            ExprKind::Name(_) => match self.value_of_name(expr, scope)? {
                Value::Params(selector, expect) => return Some((selector, expect)),
                _ => return None,
            },
            _ => return self.wrong_type(expr, Type::Params),
        };
        let is_pattern = !matches!(expr.kind, ExprKind::List(_) | ExprKind::Name(_));
        if let Some(Err(error)) = is_pattern.then(|| selector.matcher()) {
            self.findings.push(
                Diagnostic::error(
                    Code::BadPattern,
                    "this pattern cannot be read",
                    expr.span,
                    error.to_string().lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned(),
                )
                .help("in a glob `*` is one segment, `**` any text, `{a,b}` alternatives; `re\"…\"` is a regular expression"),
            );
            return None;
        }
        Some((selector, None))
    }

    pub(super) fn value_of_name(&mut self, expr: &Expr, scope: ScopeId) -> Option<Value> {
        match self.follow(expr, Type::Params, scope)? {
            Some((value, inner, ty)) => {
                self.open.push(expr.span);
                let value = self.value(&value, ty, inner);
                self.open.pop();
                value.map(|v| name_selector(v, expr))
            }
            None => self.wrong_type(expr, Type::Params),
        }
    }

    /// Counts a regular expression against the limit; one with counted repetition counts tenfold, because it is
    /// slow to compile.
    fn one_more_regex(&mut self, pattern: &str, span: Span) -> Option<()> {
        let before = self.regexes;
        self.regexes += if pattern.contains('{') { 10 } else { 1 };
        if self.regexes <= MOST_REGEXES {
            return Some(());
        }
        // Only the first beyond the limit is reported.
        if before <= MOST_REGEXES {
            let message = "the recipe holds too many regular expressions";
            self.findings.push(
                Diagnostic::error(Code::BadPattern, message, span, "from here on they are not read")
                    .help("list names or globs, as `params(\"a.weight\", \"b.*.weight\")`"),
            );
        }
        None
    }

    /// Reports `"re:…"`, SparseML's notation of a regular expression.
    fn marked_regex<T>(&mut self, regex: &str, at: Span, whole: Span) -> Option<T> {
        let written = format!("re\"{regex}\"");
        let message = "a regular expression is marked by `re` before its quotes";
        let diagnostic = Diagnostic::error(Code::BadPattern, message, at, "SparseML's mark");
        let diagnostic = diagnostic.help(format!("write `{written}`; it must match whole names"));
        let quotable = !regex.contains('"');
        self.findings.push(if quotable { diagnostic.fix(whole, written) } else { diagnostic });
        None
    }

    pub(super) fn missing<T>(&mut self, span: Span, message: &str, help: &str) -> Option<T> {
        self.findings.push(Diagnostic::error(Code::MissingOperand, message, span, "here").help(help));
        None
    }
}
