//! Selectors of parameters in the text, and what they match in the recipe's model.

use super::modules::{Declaration, Modules};
use super::place::Place;
use super::snapshot::Snapshot;
use super::words::Pattern;
use crate::diag::counted;
use crate::language::syntax::ast::{Expr, ExprKind};
use crate::params::{ParameterTable, Selector};
use crate::plan::cost;

/// Maximum depth of declared selectors that refer to other declared selectors.
const DEEPEST: usize = 32;

/// The selector that a name is declared as.
pub fn declared(modules: &Modules, declaration: &Declaration) -> Option<Selector> {
    let inner = read(modules, &declaration.place, declaration.value.as_ref()?, 0)?;
    Some(Selector::Named(declaration.name.clone(), Box::new(inner)))
}

/// The selector that an expression of a file writes; `None` if it is no selector.
fn read(modules: &Modules, place: &Place, expr: &Expr, depth: usize) -> Option<Selector> {
    let items = expr.items();
    let end = items.iter().position(|item| item.is_word("expect")).unwrap_or(items.len());
    let mut parts = items[..end].split(|item| item.is_word("except")).map(|part| match part {
        [one] => term(modules, place, one, depth),
        _ => None,
    });
    let mut selector = parts.next()??;
    for without in parts {
        selector = Selector::Except(Box::new(selector), Box::new(without?));
    }
    Some(selector)
}

fn term(modules: &Modules, place: &Place, expr: &Expr, depth: usize) -> Option<Selector> {
    let union = |mut list: Vec<Selector>| match list.len() {
        0 => None,
        1 => list.pop(),
        _ => Some(Selector::Union(list)),
    };
    match &expr.kind {
        ExprKind::Text(glob) => Some(Selector::Glob(glob.clone())),
        ExprKind::Regex(regex) => Some(Selector::Regex(regex.clone())),
        ExprKind::Call(word, arguments) if word.value == "params" => {
            let globs = arguments.iter().map(|argument| match &argument.value.kind {
                ExprKind::Text(glob) => Some(Selector::Glob(glob.clone())),
                _ => None,
            });
            union(globs.collect::<Option<_>>()?)
        }
        ExprKind::List(items) => {
            union(items.iter().map(|item| read(modules, place, item, depth)).collect::<Option<_>>()?)
        }
        ExprKind::Name(_) if depth < DEEPEST => {
            let module = modules.iter().position(|module| module.place == *place)?;
            let found = modules.find(module, &expr.as_word()?.value, false)?;
            read(modules, &found.place, found.value.as_ref()?, depth + 1)
        }
        _ => None,
    }
}

/// The parameters of the recipe's model in the stage around an offset; `None` if the model is unknown.
pub fn parameters(snapshot: &Snapshot, offset: usize) -> Option<ParameterTable> {
    let table = snapshot.compiled.parameters.as_ref()?;
    let schedule = snapshot.compiled.schedule.as_ref();
    let tables = schedule.map(|schedule| cost::tables(schedule, table));
    let stage = snapshot.stage_at(offset);
    let of_stage = tables.and_then(|mut tables| {
        let stage = stage?;
        (stage < tables.len()).then(|| tables.swap_remove(stage))
    });
    Some(of_stage.unwrap_or_else(|| table.clone()))
}

/// What a pattern matches, in words; `None` without a model.
pub fn pattern_matches(snapshot: &Snapshot, pattern: &Pattern, offset: usize) -> Option<String> {
    let selector = match pattern {
        Pattern::Glob(glob) => Selector::Glob(glob.clone()),
        Pattern::Regex(regex) => Selector::Regex(regex.clone()),
    };
    matches(&selector, &parameters(snapshot, offset)?)
}

/// The most names that are listed.
const LISTED: usize = 6;

/// The numbers of parameters and of weights that a selector matches, and the first names.
pub fn matches(selector: &Selector, table: &ParameterTable) -> Option<String> {
    let selected = selector.select(table).ok()?;
    let weights: usize = selected.iter().map(|index| table.get(*index).count()).sum();
    let parameters = counted(selected.len(), "parameter", "parameters");
    let share = 100.0 * weights as f64 / table.count().max(1) as f64;
    let mut text = format!(
        "Matches {parameters} of {} of the model: {} weights ({share:.1}%).",
        table.len(),
        grouped(weights)
    );
    for index in selected.iter().take(LISTED) {
        let parameter = table.get(*index);
        text.push_str(&format!("\n- `{}` {:?}", parameter.name, parameter.shape));
    }
    let more = selected.len().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(&format!("\n- … and {more} more"));
    }
    Some(text)
}

/// `84,934,656`
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
