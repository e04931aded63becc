//! The statement, the stage and the computed value at an offset.

use std::ops::Range;

use super::snapshot::Snapshot;
use crate::language::syntax::ast::{Entry, Expr, Item, Member};

impl Snapshot {
    /// The statements around an offset, the outermost first.
    pub fn around(&self, offset: usize) -> Vec<&Entry> {
        let holds = |entry: &Entry| entry.span.range().start <= offset && offset <= entry.span.range().end;
        let mut list: Vec<&Entry> = Vec::new();
        let items = self.compiled.tree.items.iter();
        let mut next =
            items.filter_map(|i| if let Item::Entry(e) = i { Some(e) } else { None }).find(|e| holds(e));
        while let Some(entry) = next {
            list.push(entry);
            let members = entry.body.as_ref().map_or(&[][..], |body| &body.members).iter();
            next = members
                .filter_map(|m| if let Member::Entry(e) = m { Some(e) } else { None })
                .find(|e| holds(e));
        }
        list
    }

    /// The head of the statement of a verb around an offset.
    pub fn statement_at(&self, offset: usize, verb: &str) -> Option<Range<usize>> {
        let around = self.around(offset);
        around.iter().rev().find(|entry| entry.verb.value == verb).map(|entry| entry.head.range())
    }

    /// The index of the stage around an offset in the recipe's stages.
    pub fn stage_at(&self, offset: usize) -> Option<usize> {
        let around = self.around(offset);
        let named = |entry: &&&Entry| matches!(entry.verb.value.as_str(), "stage" | "branch");
        let stage = around.iter().rev().find(named);
        let recipe = || around.iter().find(|entry| entry.verb.value == "recipe");
        let name = stage.or_else(recipe)?.operands.first().and_then(Expr::as_word)?;
        self.stage_named(&name.value)
    }

    /// The index of the stage with a name; that of a recipe without stages has the recipe's name.
    pub fn stage_named(&self, name: &str) -> Option<usize> {
        self.compiled.recipe.as_ref()?.stages.iter().position(|stage| stage.name.value == name)
    }

    /// The value that the compiler has computed for a name or for arithmetic with these bytes.
    pub fn computed(&self, range: &Range<usize>) -> Option<String> {
        let main = self.compiled.main;
        let computed = &self.compiled.recipe.as_ref()?.computed;
        let found = computed.iter().find(|(span, _)| span.file == main && span.range() == *range);
        found.map(|(_, value)| value.clone())
    }
}
