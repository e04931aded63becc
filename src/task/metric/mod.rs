//! How good a model is, by each data set's official definition.

pub mod classification;
pub mod language_model;
pub mod squad;

use std::collections::BTreeMap;

/// Named figures, such as `f1`, in the unit of their definition.
pub type Metrics = BTreeMap<String, f64>;
