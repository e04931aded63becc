//! Errors as `obert.ObertError`.

use obert::Error;
use obert::diagnostics::{Diagnostic, Sources};
use obert::internals::diag::render::json;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The exception for an error of the library.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let exception = || -> PyResult<Bound<'_, PyAny>> {
        let main = error.diagnostics().iter().find(|d| d.is_error()).or(error.diagnostics().first());
        let code = main.map(|d| d.code.to_string());
        let help = main.and_then(|d| d.help.clone());
        let all = found(py, error.diagnostics(), error.sources())?;
        let class = py.import("obert._errors")?.getattr("ObertError")?;
        // Python divides a list into batches, so the index in this message is that within the batch. It is removed
        // here, and Python writes the index in the whole list instead.
        let text = error.to_string();
        let message = match error.input() {
            Some(index) => text.strip_prefix(&format!("input {index}: ")).unwrap_or(&text),
            None => &text,
        };
        class.call1((message, code, help, all, error.input()))
    };
    exception().map_or_else(|failed| failed, PyErr::from_value)
}

/// Diagnostics as dictionaries, with the fields of `obertc check --format json`.
pub fn found<'py>(py: Python<'py>, all: &[Diagnostic], sources: &Sources) -> PyResult<Bound<'py, PyList>> {
    Ok(parsed(py, &json::render_all(&[(all, sources)]))?.cast_into::<PyList>()?)
}

/// A JSON text as a Python object.
pub fn parsed<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}
