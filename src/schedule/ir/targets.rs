//! Parameters of the model that a statement selects.

use serde::{Deserialize, Serialize};

use crate::params::Selector;
use crate::schedule::Time;

/// A selector of parameters, with the number of matches that the recipe's author expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// The patterns that select parameters by name.
    pub selector: Selector,
    /// How many parameters must match; any number if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<usize>,
}

/// Parameters over `start..end`: of `hold`, their zeros stay zero; of `freeze`, they get no updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The selected parameters.
    pub targets: Targets,
    /// The start.
    pub start: Time,
    /// The end, exclusive: the parameters are held or frozen in the steps of `start..end`.
    pub end: Time,
}
