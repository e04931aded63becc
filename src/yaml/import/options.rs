//! How a SparseML recipe is to be read.

use crate::language::{FindModel, Override};
use crate::params::ParameterTable;

/// How a SparseML recipe is to be read.
#[derive(Default)]
pub struct Options<'a> {
    /// Values in place of the recipe's own variables, and of those that its expressions need.
    pub overrides: &'a [Override],
    /// The model that is written into the recipe; `bert-base-uncased` if not given.
    pub model: Option<&'a str>,
    /// The data that is written into the recipe, in the language; guessed if not given.
    pub data: Option<&'a str>,
    /// The parameters of the model that will be used, if it is at hand.
    pub parameters: Option<ParameterTable>,
    /// Looks up the parameters of a model by name or folder.
    pub find_model: Option<FindModel<'a>>,
}
