//! Recipes: `check` and `plan`.

use std::path::PathBuf;

use obert::{Recipe, RecipeOptions};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::{found, parsed, raised};

/// The diagnostics of a recipe.
#[pyfunction]
pub fn check<'py>(
    py: Python<'py>,
    text: String,
    name: String,
    model: Option<PathBuf>,
    set: Vec<String>,
) -> PyResult<Bound<'py, PyList>> {
    let options = RecipeOptions { model, set };
    let report = py.detach(|| obert::check(&Recipe::text(name, text), &options));
    let report = report.map_err(|error| raised(py, &error))?;
    found(py, &report.diagnostics, &report.sources)
}

/// The plan of a recipe, and its warnings.
#[pyfunction]
pub fn plan<'py>(
    py: Python<'py>,
    path: PathBuf,
    steps_per_epoch: Option<u64>,
    model: Option<PathBuf>,
    set: Vec<String>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyList>)> {
    let options = RecipeOptions { model, set };
    let plan = py.detach(|| obert::plan(&Recipe::file(path), &options, steps_per_epoch));
    let plan = plan.map_err(|error| raised(py, &error))?;
    Ok((parsed(py, &plan.json().to_string())?, found(py, &plan.warnings, &plan.sources)?))
}
