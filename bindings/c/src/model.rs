//! Models and their methods.

use std::ffi::c_char;
use std::ptr::null_mut;

use obert::PredictConfig;
use obert::runtime::{Pipeline, Precision};
use serde_json::Value;

use crate::arguments::{floats, text, texts};
use crate::error::{Failure, guarded, obert_error, string};
use crate::json;

/// A model with its tokenizer. Threads may share it: calls take turns, and each computes with all of its threads.
pub struct obert_model {
    pipeline: Pipeline,
}

/// The precision of a model folder.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum obert_precision {
    /// INT8 if the model was trained with quantization, else float32.
    OBERT_PRECISION_DEFAULT = 0,
    /// float32.
    OBERT_PRECISION_F32 = 1,
    /// INT8.
    OBERT_PRECISION_INT8 = 2,
}

/// How a model is opened. Zero in each field is the default, so that `obert_options options = {0};` is all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct obert_options {
    /// An `enum obert_precision`.
    pub precision: i32,
    /// The number of threads; by default the number of cores.
    pub threads: usize,
    /// The number of sequences of the maximum length for which memory is allocated; by default 16.
    pub batch: usize,
    /// The maximum sequence length in tokens; by default that saved with the model.
    pub max_length: usize,
}

/// Opens a model: a folder of Hugging Face or sentence-transformers, or a file that `obertc pack --as engine` wrote.
/// `options` may be NULL. Returns NULL on failure. The caller frees the model with `obert_close`.
///
/// # Safety
/// `path` is a string, `options` is NULL or valid, `error` is NULL or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_open(
    path: *const c_char,
    options: *const obert_options,
    error: *mut *mut obert_error,
) -> *mut obert_model {
    let open = || {
        // SAFETY: the caller keeps this function's contract.
        let mut config = PredictConfig::new(unsafe { text(path, "path", 0) }?);
        // SAFETY: the caller keeps this function's contract.
        if let Some(options) = unsafe { options.as_ref() } {
            let some = |n: usize| (n > 0).then_some(n);
            config.precision = precision(options.precision)?;
            config.threads = some(options.threads);
            config.batch = some(options.batch).unwrap_or(config.batch);
            config.settings.max_length = some(options.max_length);
        }
        Ok(obert_model { pipeline: Pipeline::open(&config)? })
    };
    // SAFETY: the caller keeps this function's contract.
    unsafe { guarded(error, open) }.map_or(null_mut(), |model| Box::into_raw(Box::new(model)))
}

fn precision(value: i32) -> Result<Option<Precision>, Failure> {
    match value {
        v if v == obert_precision::OBERT_PRECISION_DEFAULT as i32 => Ok(None),
        v if v == obert_precision::OBERT_PRECISION_F32 as i32 => Ok(Some(Precision::Float32)),
        v if v == obert_precision::OBERT_PRECISION_INT8 as i32 => Ok(Some(Precision::Int8)),
        other => Err(Failure::Misuse(format!("`precision` is {other}; it is 0, 1 or 2"))),
    }
}

/// Frees a model. NULL is ignored. No call with the model may be running.
///
/// # Safety
/// `model` is NULL, or a model that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_close(model: *mut obert_model) {
    if !model.is_null() {
        // SAFETY: by the contract it came from `Box::into_raw` in `obert_open` and is freed once.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// The number of values of an embedding: the hidden size of the encoder. 0 for NULL.
///
/// # Safety
/// `model` is NULL or a model that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_dimension(model: *const obert_model) -> usize {
    // SAFETY: the caller keeps this function's contract.
    unsafe { model.as_ref() }.map_or(0, |model| model.pipeline.dimension())
}

/// The maximum sequence length in tokens, special tokens included. 0 for NULL.
///
/// # Safety
/// `model` is NULL or a model that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_max_length(model: *const obert_model) -> usize {
    // SAFETY: the caller keeps this function's contract.
    unsafe { model.as_ref() }.map_or(0, |model| model.pipeline.max_length())
}

/// Computes the embeddings of `count` texts into `out`, `count * obert_dimension(model)` floats, one text after the other.
/// Texts of more tokens than the maximum length are truncated if `truncate`, else refused. Returns whether it succeeded;
/// `out` is not written to on failure.
///
/// # Safety
/// `model` is NULL or a model that was not freed. `texts` is NULL or an array of `count` pointers, each NULL or a
/// string that ends with a zero byte. `out` is NULL or has room for `count * obert_dimension(model)` floats. `error` is
/// NULL or valid for a write. All live during the call, and no other thread writes to them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_embed(
    model: *const obert_model,
    texts: *const *const c_char,
    count: usize,
    truncate: bool,
    out: *mut f32,
    error: *mut *mut obert_error,
) -> bool {
    let compute = || {
        // SAFETY: the caller keeps this function's contract.
        let (model, texts) = unsafe { (open(model)?, self::texts(texts, count, "texts")?) };
        // The multiplication cannot overflow: the caller has an array of that size.
        // SAFETY: the caller keeps this function's contract.
        let out = unsafe { floats(out, count.saturating_mul(model.dimension())) }?;
        out.copy_from_slice(&model.embed(&texts, truncate)?);
        Ok(())
    };
    // SAFETY: the caller keeps this function's contract.
    unsafe { guarded(error, compute) }.is_some()
}

/// Classifies `count` texts, or computes their scores. `pairs` is NULL, or an array of second texts, of which some may be
/// NULL. Returns a JSON list with an object for each: `label`, `score` and `labels` (all probabilities), or `labels` alone
/// if a text may have any number of labels, or `score` of regression. Returns NULL on failure. The caller frees the
/// string with `obert_string_free`.
///
/// # Safety
/// `model` is NULL or a model that was not freed. `texts` and `pairs` are NULL or arrays of `count` pointers, each NULL
/// or a string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call, and no other
/// thread writes to them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_predict(
    model: *const obert_model,
    texts: *const *const c_char,
    pairs: *const *const c_char,
    count: usize,
    truncate: bool,
    error: *mut *mut obert_error,
) -> *mut c_char {
    let compute = || {
        // SAFETY: the caller keeps this function's contract.
        let (model, texts) = unsafe { (open(model)?, self::texts(texts, count, "texts")?) };
        let second = |index: usize| -> Result<Option<String>, Failure> {
            if pairs.is_null() {
                return Ok(None);
            }
            // SAFETY: by the contract it has `count` pointers.
            let pair = unsafe { *pairs.add(index) };
            if pair.is_null() {
                return Ok(None);
            }
            // SAFETY: by the contract it is a string.
            unsafe { text(pair, "pairs", index) }.map(|pair| Some(pair.to_owned()))
        };
        let inputs = texts.iter().enumerate().map(|(i, text)| Ok(((*text).to_owned(), second(i)?)));
        let inputs = inputs.collect::<Result<Vec<_>, Failure>>()?;
        Ok(json::predictions(&model.predict(inputs, truncate)?))
    };
    // SAFETY: the caller keeps this function's contract.
    returned(unsafe { guarded(error, compute) })
}

/// Computes the scores of `count` documents for a query into `out`, `count` floats in the order of the documents: in 0..1,
/// the logistic function of the model's outputs, or these themselves if `raw_scores`. Returns whether it succeeded; `out`
/// is not written to on failure.
///
/// # Safety
/// `model` is NULL or a model that was not freed. `query` is NULL or a string that ends with a zero byte. `documents`
/// is NULL or an array of `count` pointers, each NULL or a string that ends with a zero byte. `out` is NULL or has room
/// for `count` floats. `error` is NULL or valid for a write. All live during the call, and no other thread writes to
/// them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_rerank(
    model: *const obert_model,
    query: *const c_char,
    documents: *const *const c_char,
    count: usize,
    raw_scores: bool,
    truncate: bool,
    out: *mut f32,
    error: *mut *mut obert_error,
) -> bool {
    let compute = || {
        // SAFETY: the caller keeps this function's contract.
        let (model, query) = unsafe { (open(model)?, text(query, "query", 0)?) };
        // SAFETY: the caller keeps this function's contract.
        let (documents, out) = unsafe { (self::texts(documents, count, "documents")?, floats(out, count)?) };
        out.copy_from_slice(&model.rerank(query, &documents, raw_scores, truncate)?);
        Ok(())
    };
    // SAFETY: the caller keeps this function's contract.
    unsafe { guarded(error, compute) }.is_some()
}

/// Finds the entities of `count` texts. Returns a JSON list with a list for each text: objects with `label`, `text`,
/// `score`, `start` and `end`, offsets in Unicode code points. Returns NULL on failure. The caller frees the string with
/// `obert_string_free`.
///
/// # Safety
/// `model` is NULL or a model that was not freed. `texts` is NULL or an array of `count` pointers, each NULL or a
/// string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call, and no other
/// thread writes to them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_entities(
    model: *const obert_model,
    texts: *const *const c_char,
    count: usize,
    truncate: bool,
    error: *mut *mut obert_error,
) -> *mut c_char {
    let compute = || {
        // SAFETY: the caller keeps this function's contract.
        let (model, texts) = unsafe { (open(model)?, self::texts(texts, count, "texts")?) };
        Ok(json::entities(&model.entities(&texts, truncate)?))
    };
    // SAFETY: the caller keeps this function's contract.
    returned(unsafe { guarded(error, compute) })
}

/// Answers `count` questions, each from the context of the same index, with the `top` best answers (at least 1). Returns a
/// JSON list with an object for each: `answers`, a list of objects with `answer`, `score`, `start` and `end` (offsets in
/// Unicode code points), and `no_answer`, the score of the empty answer. Returns NULL on failure. The caller frees the
/// string with `obert_string_free`.
///
/// # Safety
/// `model` is NULL or a model that was not freed. `questions` and `contexts` are NULL or arrays of `count` pointers,
/// each NULL or a string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call,
/// and no other thread writes to them meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obert_answer(
    model: *const obert_model,
    questions: *const *const c_char,
    contexts: *const *const c_char,
    count: usize,
    top: usize,
    error: *mut *mut obert_error,
) -> *mut c_char {
    let compute = || {
        // SAFETY: the caller keeps this function's contract.
        let (model, questions) = unsafe { (open(model)?, self::texts(questions, count, "questions")?) };
        // SAFETY: the caller keeps this function's contract.
        let contexts = unsafe { self::texts(contexts, count, "contexts") }?;
        let pairs = questions.into_iter().zip(contexts);
        let pairs = pairs.map(|(question, context)| (question.to_owned(), context.to_owned()));
        Ok(json::answers(&model.answer(pairs.collect(), top.max(1))?))
    };
    // SAFETY: the caller keeps this function's contract.
    returned(unsafe { guarded(error, compute) })
}

/// The pipeline of a model.
///
/// # Safety
/// `model` is NULL or a model that was not freed.
unsafe fn open<'a>(model: *const obert_model) -> Result<&'a Pipeline, Failure> {
    // SAFETY: the caller keeps this function's contract.
    let model = unsafe { model.as_ref() };
    model.map(|model| &model.pipeline).ok_or_else(|| Failure::Misuse("`model` is NULL".to_owned()))
}

/// A JSON text for the caller to free; NULL for `None`.
fn returned(value: Option<Value>) -> *mut c_char {
    // JSON writes a zero byte as \u0000, so that the string is whole.
    value.map_or(null_mut(), |value| string(&value.to_string()).into_raw())
}
