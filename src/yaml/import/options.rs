//! Options of the import.

use crate::language::{FindModel, Override};
use crate::params::ParameterTable;

/// Options of the import of a SparseML recipe.
#[derive(Default)]
pub struct Options<'a> {
    /// Values of the recipe's variables, and of variables that its expressions use.
    pub overrides: &'a [Override],
    /// The model that is written into the recipe; `bert-base-uncased` if not given.
    pub model: Option<&'a str>,
    /// The data that is written into the recipe, as `.obert` recipes write it; inferred if not given.
    pub data: Option<&'a str>,
    /// The parameters of the model that will be used, if they are known.
    pub parameters: Option<ParameterTable>,
    /// Looks up the parameters of a model by name or folder.
    pub find_model: Option<FindModel<'a>>,
}
