//! The native module of the Python package: models, recipes, and the command.
//!
//! Arguments are prepared in Python (`python/obert`); here are the calls of the library, without the GIL.

mod error;
mod model;
mod recipe;

use pyo3::prelude::*;

/// As in `obertc`: training allocates and frees large buffers at every step.
#[cfg(feature = "engine")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs `obertc` with these arguments, the first of which is its name, and returns the exit code.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<String>) -> i32 {
    py.detach(|| {
        #[cfg(feature = "engine")]
        obert::internals::engine::machine::keep_freed_memory();
        obert::internals::cli::main(arguments.into_iter().map(Into::into))
    })
}

#[pymodule]
mod _obert {
    #[pymodule_export]
    use super::command;
    #[pymodule_export]
    use super::model::Pipeline;
    #[pymodule_export]
    use super::recipe::{check, plan};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
