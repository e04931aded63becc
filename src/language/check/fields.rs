//! Reading of a statement against the vocabulary: its operand, clauses and settings.

use crate::diag::{Code, Diagnostic, nearest};
use crate::language::resolve::{Bound, ScopeId};
use crate::language::syntax::ast::{Block, Entry, Expr, Member, Setting, Spanned};
use crate::language::vocab::{self, Body, Verb};

use super::value::{Evaluator, Fields, Value, is_part_of_sparsity};

/// The values of a statement.
pub struct Statement {
    /// The operand, clauses and settings by name, including defaults.
    pub fields: Fields,
    /// `target PARAMS: 90%` lines of a `prune`, not evaluated.
    pub targets: Vec<Setting>,
}

/// Reads a statement; `None` if anything in it was reported.
pub fn statement(evaluator: &mut Evaluator, bound: &Bound<Entry>, verb: &'static Verb) -> Option<Statement> {
    let (statement, sound) = partial_statement(evaluator, bound, verb);
    sound.then_some(statement)
}

/// Reads as much of a statement as possible; the flag says whether nothing was reported.
pub fn partial_statement(
    evaluator: &mut Evaluator,
    bound: &Bound<Entry>,
    verb: &'static Verb,
) -> (Statement, bool) {
    let entry = &bound.node;
    let mut fields = Fields::new();
    evaluator.attempted.clear();
    let operand = head(evaluator, entry, verb, &mut fields, bound.scope);
    let mut sound = operand.is_some();
    let mut targets = Vec::new();
    if let Body::Settings(settings) | Body::PruneSettings(settings) = verb.body {
        let members = entry.body.as_ref().map_or(&[][..], |b| &b.members);
        let mut given = Vec::new();
        for member in members {
            match member {
                Member::Setting(setting)
                    if matches!(verb.body, Body::PruneSettings(_)) && begins_with(&setting.key, "target") =>
                {
                    targets.push(setting.clone());
                }
                Member::Setting(setting) => given.push(Bound { node: setting.clone(), scope: bound.scope }),
                other => {
                    misplaced(evaluator, verb, other);
                    sound = false;
                }
            }
        }
        sound &= read_settings(evaluator, &given, settings, verb.name, &mut fields);
        sound &= evaluator.fill_defaults(settings, &mut fields, entry.head, verb.name, None);
    } else if let (Body::None, Some(body)) = (verb.body, &entry.body) {
        stray_block(evaluator, verb, body);
        sound = false;
    }
    sound &= evaluator.fill_defaults(verb.clauses, &mut fields, entry.head, verb.name, Some(verb.form));
    if let (Some(value), Some(setting)) = (operand.flatten(), verb.operand) {
        fields.insert(setting.name, value);
    }
    (Statement { fields, targets }, sound)
}

/// Reads `name: value` lines into `fields`. Returns whether nothing was reported.
pub fn read_settings(
    evaluator: &mut Evaluator,
    given: &[Bound<Setting>],
    settings: &'static [vocab::Setting],
    owner: &str,
    fields: &mut Fields,
) -> bool {
    let told = evaluator.sparsity_of_three(given, settings);
    let mut sound = !told;
    for bound in given {
        let setting = &bound.node;
        if told && setting.key.as_word().is_some_and(|w| is_part_of_sparsity(&w.value)) {
            continue;
        }
        if begins_with(&setting.key, "factor") || begins_with(&setting.key, "target") {
            let word = &setting.key.items()[0];
            let word = word.as_word().map_or("", |w| w.value.as_str());
            let (block, form) = match word {
                "factor" => ("lr", "lr { … factor PARAMS: 10 }"),
                _ => ("prune", "prune PARAMS { … target PARAMS: 80% }"),
            };
            evaluator.findings.push(
                Diagnostic::error(
                    Code::MisplacedStatement,
                    format!("`{word}` is not allowed here"),
                    setting.key.span,
                    "not here",
                )
                .help(format!("it belongs in the block of `{block}`: `{form}`")),
            );
            sound = false;
            continue;
        }
        let Some(word) = setting.key.as_word() else {
            let message = "a setting's name is one word";
            let diagnostic = Diagnostic::error(Code::UnknownSetting, message, setting.key.span, "not a name");
            evaluator
                .findings
                .push(diagnostic.help(format!("the settings of `{owner}` are {}", listed(settings))));
            sound = false;
            continue;
        };
        let Some(known) = evaluator.setting_of(word, settings, owner, &setting.value) else {
            sound = false;
            continue;
        };
        if let Some(earlier) = fields.get(known.name) {
            let first = earlier.span;
            evaluator.given_twice(known.name, setting.span, first);
            sound = false;
            continue;
        }
        match evaluator.value(&setting.value, known.ty, bound.scope) {
            Some(value) => {
                fields.insert(known.name, Spanned::new(value, setting.value.span));
            }
            None => {
                evaluator.attempted.push(known.name);
                sound = false;
            }
        }
    }
    sound
}

/// Reads the operand and the clauses. The outer `None` means that something was reported.
fn head(
    evaluator: &mut Evaluator,
    entry: &Entry,
    verb: &'static Verb,
    fields: &mut Fields,
    scope: ScopeId,
) -> Option<Option<Spanned<Value>>> {
    let is_clause = |e: &Expr| verb.clauses.iter().any(|c| e.is_word(c.name));
    let mut groups = entry.operands.iter().peekable();
    let mut first = Vec::new();
    while let Some(operand) = groups.next_if(|o| !is_clause(o)) {
        first.push(operand.clone());
    }
    let mut sound = true;
    let operand = match (Expr::phrase(first), verb.operand) {
        (None, None) => None,
        (Some(expr), Some(setting)) => match evaluator.value(&expr, setting.ty, scope) {
            Some(value) => Some(Spanned::new(value, expr.span)),
            None => {
                sound = false;
                None
            }
        },
        (None, Some(setting)) => {
            let message = format!("`{}` needs {}", verb.name, setting.ty.described());
            let diagnostic = Diagnostic::error(Code::MissingOperand, message, entry.verb.span, "what?");
            evaluator.findings.push(diagnostic.help(format!("the form is `{}`", verb.form)));
            sound = false;
            None
        }
        (Some(expr), None) => {
            let word = expr.items()[0].as_word().map_or("", |w| w.value.as_str());
            let near = nearest(word, verb.clauses.iter().map(|c| c.name));
            let mut diagnostic = Diagnostic::error(
                Code::StrayOperand,
                format!("`{}` does not take this", verb.name),
                expr.span,
                "does not fit",
            );
            diagnostic = match near {
                Some(near) => {
                    diagnostic.help(format!("did you mean `{near}`?")).fix(expr.items()[0].span, near)
                }
                None => diagnostic.help(format!("the form is `{}`", verb.form)),
            };
            evaluator.findings.push(diagnostic);
            // The form shows the clauses too, so a missing one needs no diagnostic of its own.
            evaluator.attempted.extend(verb.clauses.iter().map(|c| c.name));
            sound = false;
            None
        }
    };
    while let Some(word) = groups.next() {
        let Some(clause) = verb.clauses.iter().find(|c| word.is_word(c.name)) else { continue };
        let mut value = Vec::new();
        while let Some(next) = groups.next_if(|o| !is_clause(o)) {
            value.push(next.clone());
        }
        let Some(expr) = Expr::phrase(value) else {
            let message = format!("`{}` needs {} after it", clause.name, clause.ty.described());
            let diagnostic = Diagnostic::error(Code::MissingOperand, message, word.span, "here");
            evaluator.findings.push(diagnostic.help(format!("the form is `{}`", verb.form)));
            sound = false;
            continue;
        };
        if let Some(earlier) = fields.get(clause.name) {
            let first = earlier.span;
            evaluator.given_twice(clause.name, expr.span, first);
            sound = false;
            continue;
        }
        match evaluator.value(&expr, clause.ty, scope) {
            Some(value) => {
                fields.insert(clause.name, Spanned::new(value, expr.span));
            }
            None => {
                evaluator.attempted.push(clause.name);
                sound = false;
            }
        }
    }
    sound.then_some(operand)
}

/// Reports a member of a block that is no `name: value` line.
pub fn misplaced(evaluator: &mut Evaluator, verb: &Verb, member: &Member) {
    let (span, what) = match member {
        Member::Entry(entry) => (entry.span, "a statement"),
        Member::Parameter(parameter) => (parameter.span, "a declaration"),
        Member::Setting(setting) => (setting.span, "a setting"),
    };
    let message = format!("{what} is not allowed in the block of `{}`", verb.name);
    let diagnostic = Diagnostic::error(Code::MisplacedStatement, message, span, "not here");
    evaluator.findings.push(diagnostic.help(format!("the form is `{}`", verb.form)));
}

fn stray_block(evaluator: &mut Evaluator, verb: &Verb, body: &Block) {
    evaluator.findings.push(
        Diagnostic::error(
            Code::StrayOperand,
            format!("`{}` has no block", verb.name),
            body.span,
            "this block does not belong here",
        )
        .help(format!("the form is `{}`", verb.form)),
    );
}

/// Whether a key is a phrase that begins with this word, such as `target attention_linears`.
pub fn begins_with(key: &Expr, word: &str) -> bool {
    matches!(key.items(), [first, _, ..] if first.is_word(word))
}

fn listed(settings: &[vocab::Setting]) -> String {
    settings.iter().map(|s| format!("`{}`", s.name)).collect::<Vec<_>>().join(", ")
}
