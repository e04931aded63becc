//! Arguments from C: strings and arrays of strings.

use std::ffi::{CStr, c_char};

use crate::error::Failure;

/// A string.
///
/// # Safety
/// `text` is NULL or a string that lives during the call.
pub unsafe fn text<'a>(text: *const c_char, name: &str, index: usize) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::Misuse(format!("`{name}` is NULL")));
    }
    // SAFETY: by the contract it ends with a zero byte.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Failure::NotUtf8(index))
}

/// An array of `count` strings.
///
/// # Safety
/// `texts` is NULL or an array of `count` pointers, each as for [`text`].
pub unsafe fn texts<'a>(
    texts: *const *const c_char,
    count: usize,
    name: &str,
) -> Result<Vec<&'a str>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if texts.is_null() {
        return Err(Failure::Misuse(format!("`{name}` is NULL")));
    }
    // SAFETY: by the contract it has `count` pointers.
    let all = unsafe { std::slice::from_raw_parts(texts, count) };
    // SAFETY: by the contract each is a string or NULL.
    let one =
        |(index, each): (usize, &*const c_char)| unsafe { text(*each, &format!("{name}[{index}]"), index) };
    all.iter().enumerate().map(one).collect()
}

/// An array of `count` floats to write to.
///
/// # Safety
/// `out` is NULL or has `count` floats, which no other thread uses during the call.
pub unsafe fn floats<'a>(out: *mut f32, count: usize) -> Result<&'a mut [f32], Failure> {
    if count == 0 {
        return Ok(&mut []);
    }
    if out.is_null() {
        return Err(Failure::Misuse("`out` is NULL".to_owned()));
    }
    // SAFETY: the caller keeps this function's contract; C's memory may be uninitialized, but every bit pattern is a float, and it is only
    // written to.
    Ok(unsafe { std::slice::from_raw_parts_mut(out, count) })
}
