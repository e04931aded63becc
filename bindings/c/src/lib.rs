//! The C library: `include/obert.h`, which cbindgen writes from these functions.
//!
//! Every function catches panics, so that none unwinds into C.

#![allow(non_camel_case_types)]

mod arguments;
mod error;
mod json;
mod model;

pub use error::obert_error;
pub use model::{obert_model, obert_options, obert_precision};

use std::ffi::{CStr, CString, c_char};

/// The version of the library, such as `0.1.0`. The string belongs to the library and lives as long as the process.
#[unsafe(no_mangle)]
pub extern "C" fn obert_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Frees a string that a function of this library returned as `char *`. NULL is ignored.
///
/// # Safety
/// `string` is NULL, or such a string that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: by the contract it came from `CString::into_raw` and is freed once.
        drop(unsafe { CString::from_raw(string) });
    }
}
