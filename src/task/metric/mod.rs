//! Metrics, as the data sets' official scripts define them.

pub mod classification;
pub mod correlation;
pub mod entities;
pub mod language_model;
pub mod multi_label;
pub mod ranking;
pub mod retrieval;
pub mod similarity;
pub mod squad;

use std::collections::BTreeMap;

/// Metrics by name, such as `f1`, in the unit of their definition.
pub type Metrics = BTreeMap<String, f64>;
