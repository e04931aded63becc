//! Looks up names among the parameters of the model, and suggests names where one is missing.

use crate::diag::nearest;
use crate::params::ParameterTable;

use super::context::Context;

/// The parameters of the model that a recipe is for, if they are known.
#[derive(Debug)]
pub(super) struct ModelNames<'a> {
    /// The parameters, before any layer is dropped.
    pub(super) table: Option<&'a ParameterTable>,
    /// The model's name, if it is an assumption of the import.
    assumed: Option<&'a str>,
}

impl<'a> ModelNames<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let assumed = context.model_is_assumed.then_some(context.model.as_str());
        ModelNames { table: context.table.as_ref(), assumed }
    }

    /// The model as messages name it.
    pub(super) fn label(&self) -> String {
        match self.assumed {
            Some(name) => format!("`{name}`, which is assumed,"),
            None => "the model".to_owned(),
        }
    }

    /// The help for a name `written` that the model lacks. For a known model: `otherwise`. For an assumed model:
    /// `otherwise` and the advice to give `--model`, or only that advice if no parameter's name has the same first
    /// component as `written`.
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

    /// The names of the model's parameters for which `fits` holds, in order; none for an unknown model.
    pub(super) fn names(&self, fits: impl Fn(&str) -> bool) -> Vec<String> {
        self.table.into_iter().flat_map(|t| t.iter()).map(|p| p.name.clone()).filter(|n| fits(n)).collect()
    }

    /// Whether the model has a module of this name; `true` for an unknown model.
    pub(super) fn has_module(&self, name: &str) -> bool {
        let within = |p: &str| p.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.table.is_none_or(|t| t.iter().any(|p| within(&p.name)))
    }

    /// A help that names the module nearest to `written` by edit distance.
    pub(super) fn nearest_module(&self, written: &str) -> String {
        let names = self.names(|_| true);
        let modules = names.iter().flat_map(|n| n.match_indices('.').map(|(at, _)| &n[..at]));
        match nearest(written, modules) {
            Some(near) => format!("the nearest module is `{near}`"),
            None => "name a module such as `bert.encoder`, or a class such as `Linear`".to_owned(),
        }
    }
}

/// Whether a parameter is an embedding table.
pub(super) fn is_embedding(name: &str, dimensions: usize) -> bool {
    dimensions == 2 && name.contains("embeddings") && name.ends_with(".weight")
}

/// Splits a name around the number of its layer: `bert.encoder.layer.`, 3, `.output.dense.weight`.
pub(super) fn split_layer(name: &str) -> Option<(&str, usize, &str)> {
    let at = name.find(".layer.")? + ".layer.".len();
    let digits = name[at..].find('.')?;
    Some((&name[..at], name[at..at + digits].parse().ok()?, &name[at + digits..]))
}
