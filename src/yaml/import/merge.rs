//! Joins equal statements for several parameters: 72 modifiers of one parameter each become one `prune`.

use std::collections::HashMap;

use super::draft::{Draft, Order, Statement};
use super::select::Select;

/// The part of a head that selects the parameters.
const SELECTION: usize = 1;

/// Joins statements that differ in their parameters only and treat each parameter separately: `hold`, `freeze`, and
/// `prune` with `rank: layer`.
pub(super) fn equal_statements(draft: &mut Draft, select: &Select) {
    let mut merged: Vec<(Statement, usize)> = Vec::new();
    let mut first: HashMap<(Order, Vec<String>), usize> = HashMap::new();
    for statement in std::mem::take(&mut draft.statements) {
        let place = key(&statement).and_then(|key| match first.get(&key) {
            Some(place) if disjoint(&merged[*place].0, &statement) => Some(*place),
            Some(_) => None,
            None => {
                first.insert(key, merged.len());
                None
            }
        });
        match place {
            Some(place) => {
                let (earlier, count) = &mut merged[place];
                join(earlier, statement);
                *count += 1;
            }
            None => merged.push((statement, 1)),
        }
    }
    for (statement, count) in &mut merged {
        if *count > 1 {
            statement.head.parts[SELECTION].0 = select.describe(&statement.names, draft);
        }
    }
    draft.statements = merged.into_iter().map(|(statement, _)| statement).collect();
}

/// The text of a statement without the parameters; `None` if it cannot be joined.
fn key(statement: &Statement) -> Option<(Order, Vec<String>)> {
    let body = || statement.body.iter().flatten().flat_map(|line| &line.parts);
    let says = |text: &str| body().any(|(part, _)| part.starts_with(text));
    let single = match statement.order {
        Order::Hold | Order::Freeze => true,
        Order::Prune => says("rank: layer") && !says("target "),
        _ => false,
    };
    if !single || statement.names.is_empty() {
        return None;
    }
    let head = statement.head.parts.iter().enumerate().filter(|(i, _)| *i != SELECTION).map(|(_, part)| part);
    Some((statement.order, head.chain(body()).map(|(text, _)| text.clone()).collect()))
}

/// Whether two statements have no parameter in common.
fn disjoint(a: &Statement, b: &Statement) -> bool {
    !b.names.iter().any(|name| a.names.contains(name))
}

/// Adds the parameters and the comments of `other` to a statement.
fn join(statement: &mut Statement, other: Statement) {
    statement.names.extend(other.names);
    statement.head.fields.extend(other.head.fields);
    let lines = statement.body.iter_mut().flatten().zip(other.body.into_iter().flatten());
    for (line, others) in lines {
        line.fields.extend(others.fields);
    }
}
