//! Errors, and the boundary at which they become pointers.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use obert::Error;

/// An error: a message, a code and a help.
pub struct obert_error {
    code: CString,
    message: CString,
    help: CString,
    input: Option<usize>,
}

/// Why a call failed.
pub enum Failure {
    /// An error of the library.
    Library(Box<Error>),
    /// An argument that is against the contract of the function, or a panic.
    Misuse(String),
    /// A text that is not UTF-8, by its index.
    NotUtf8(usize),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(Box::new(error))
    }
}

impl From<Failure> for obert_error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Misuse(message) => obert_error::new("", &message, "", None),
            Failure::NotUtf8(index) => {
                let message = format!("input {index}: OB0968: the text is not UTF-8");
                obert_error::new("OB0968", &message, "convert the text to UTF-8", Some(index))
            }
            Failure::Library(error) => {
                let all = error.diagnostics();
                let main = all.iter().find(|d| d.is_error()).or(all.first());
                let code = main.map(|d| d.code.to_string()).unwrap_or_default();
                let help = main.and_then(|d| d.help.clone()).unwrap_or_default();
                obert_error::new(&code, &error.to_string(), &help, error.input())
            }
        }
    }
}

impl obert_error {
    fn new(code: &str, message: &str, help: &str, input: Option<usize>) -> Self {
        obert_error { code: string(code), message: string(message), help: string(help), input }
    }
}

/// A C string; a zero byte in the text ends it.
pub fn string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Runs the body of a function: `None` and `*error` set if it fails or panics.
///
/// # Safety
/// `error` is NULL or valid for a write.
pub unsafe fn guarded<R>(
    error: *mut *mut obert_error,
    body: impl FnOnce() -> Result<R, Failure>,
) -> Option<R> {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::Misuse(format!("internal error: {}", said(&*panic))),
    };
    if !error.is_null() {
        let boxed = Box::new(obert_error::from(failure));
        // SAFETY: by the contract it may be written to.
        unsafe { error.write(Box::into_raw(boxed)) };
    }
    None
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// The code of the diagnostic, such as `OB0968`, which `obertc explain` explains; empty for an argument that is against
/// this interface, such as NULL. The string belongs to the error.
///
/// # Safety
/// `error` is an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_error_code(error: *const obert_error) -> *const c_char {
    // SAFETY: the caller keeps this function's contract.
    unsafe { &*error }.code.as_ptr()
}

/// What is wrong, in one line. The string belongs to the error.
///
/// # Safety
/// `error` is an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_error_message(error: *const obert_error) -> *const c_char {
    // SAFETY: the caller keeps this function's contract.
    unsafe { &*error }.message.as_ptr()
}

/// What to do about it; may be empty. The string belongs to the error.
///
/// # Safety
/// `error` is an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_error_help(error: *const obert_error) -> *const c_char {
    // SAFETY: the caller keeps this function's contract.
    unsafe { &*error }.help.as_ptr()
}

/// The index of the input that was refused, from 0; -1 if the error is not of one input.
///
/// # Safety
/// `error` is an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_error_input(error: *const obert_error) -> isize {
    // SAFETY: the caller keeps this function's contract.
    unsafe { &*error }.input.map_or(-1, |index| isize::try_from(index).unwrap_or(isize::MAX))
}

/// Frees an error with its strings. NULL is ignored.
///
/// # Safety
/// `error` is NULL, or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_error_free(error: *mut obert_error) {
    if !error.is_null() {
        // SAFETY: by the contract it came from `Box::into_raw` in `guarded` and is freed once.
        drop(unsafe { Box::from_raw(error) });
    }
}
