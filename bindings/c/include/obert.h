/* obert: inference of transformer encoders on CPUs.
 *
 * Written by cbindgen: `OBERT_WRITE=1 cargo test -p obert-c`. bindings/c/README.md is the guide.
 *
 * Strings are UTF-8 and end with a zero byte. A function that can fail takes a pointer `error`, which may be NULL; on
 * failure it is set to an error that the caller frees with `obert_error_free`, and otherwise it is not written to.
 */

#ifndef OBERT_H
#define OBERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The precision of a model folder.
typedef enum {
  // INT8 if the model was trained with quantization, else float32.
  OBERT_PRECISION_DEFAULT = 0,
  // float32.
  OBERT_PRECISION_F32 = 1,
  // INT8.
  OBERT_PRECISION_INT8 = 2,
} obert_precision;

// An error: a message, a code and a help.
typedef struct obert_error obert_error;

// A model with its tokenizer. Threads may share it: calls take turns, and each computes with all of its threads.
typedef struct obert_model obert_model;

// How a model is opened. Zero in each field is the default, so that `obert_options options = {0};` is all defaults.
typedef struct {
  // An `enum obert_precision`.
  int32_t precision;
  // The number of threads; by default the number of cores.
  size_t threads;
  // The number of sequences of the maximum length for which memory is allocated; by default 16.
  size_t batch;
  // The maximum sequence length in tokens; by default that saved with the model.
  size_t max_length;
} obert_options;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, such as `0.1.0`. The string belongs to the library and lives as long as the process.
const char *obert_version(void);

// Frees a string that a function of this library returned as `char *`. NULL is ignored.
//
// Contract:
// `string` is NULL, or such a string that was not freed.
void obert_string_free(char *string);

// The code of the diagnostic, such as `OB0968`, which `obertc explain` explains; empty for an argument that is against
// this interface, such as NULL. The string belongs to the error.
//
// Contract:
// `error` is an error that was not freed.
const char *obert_error_code(const obert_error *error);

// What is wrong, in one line. The string belongs to the error.
//
// Contract:
// `error` is an error that was not freed.
const char *obert_error_message(const obert_error *error);

// What to do about it; may be empty. The string belongs to the error.
//
// Contract:
// `error` is an error that was not freed.
const char *obert_error_help(const obert_error *error);

// The index of the input that was refused, from 0; -1 if the error is not of one input.
//
// Contract:
// `error` is an error that was not freed.
ptrdiff_t obert_error_input(const obert_error *error);

// Frees an error with its strings. NULL is ignored.
//
// Contract:
// `error` is NULL, or an error that was not freed.
void obert_error_free(obert_error *error);

// Opens a model: a folder of Hugging Face or sentence-transformers, or a file that `obertc pack --as engine` wrote.
// `options` may be NULL. Returns NULL on failure. The caller frees the model with `obert_close`.
//
// Contract:
// `path` is a string, `options` is NULL or valid, `error` is NULL or valid for a write.
obert_model *obert_open(const char *path, const obert_options *options, obert_error **error);

// Frees a model. NULL is ignored. No call with the model may be running.
//
// Contract:
// `model` is NULL, or a model that was not freed.
void obert_close(obert_model *model);

// The number of values of an embedding: the hidden size of the encoder. 0 for NULL.
//
// Contract:
// `model` is NULL or a model that was not freed.
size_t obert_dimension(const obert_model *model);

// The maximum sequence length in tokens, special tokens included. 0 for NULL.
//
// Contract:
// `model` is NULL or a model that was not freed.
size_t obert_max_length(const obert_model *model);

// Computes the embeddings of `count` texts into `out`, `count * obert_dimension(model)` floats, one text after the other.
// Texts of more tokens than the maximum length are truncated if `truncate`, else refused. Returns whether it succeeded;
// `out` is not written to on failure.
//
// Contract:
// `model` is NULL or a model that was not freed. `texts` is NULL or an array of `count` pointers, each NULL or a
// string that ends with a zero byte. `out` is NULL or has room for `count * obert_dimension(model)` floats. `error` is
// NULL or valid for a write. All live during the call, and no other thread writes to them meanwhile.
bool obert_embed(const obert_model *model,
                 const char *const *texts,
                 size_t count,
                 bool truncate,
                 float *out,
                 obert_error **error);

// Classifies `count` texts, or computes their scores. `pairs` is NULL, or an array of second texts, of which some may be
// NULL. Returns a JSON list with an object for each: `label`, `score` and `labels` (all probabilities), or `labels` alone
// if a text may have any number of labels, or `score` of regression. Returns NULL on failure. The caller frees the
// string with `obert_string_free`.
//
// Contract:
// `model` is NULL or a model that was not freed. `texts` and `pairs` are NULL or arrays of `count` pointers, each NULL
// or a string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call, and no other
// thread writes to them meanwhile.
char *obert_predict(const obert_model *model,
                    const char *const *texts,
                    const char *const *pairs,
                    size_t count,
                    bool truncate,
                    obert_error **error);

// Computes the scores of `count` documents for a query into `out`, `count` floats in the order of the documents: in 0..1,
// the logistic function of the model's outputs, or these themselves if `raw_scores`. Returns whether it succeeded; `out`
// is not written to on failure.
//
// Contract:
// `model` is NULL or a model that was not freed. `query` is NULL or a string that ends with a zero byte. `documents`
// is NULL or an array of `count` pointers, each NULL or a string that ends with a zero byte. `out` is NULL or has room
// for `count` floats. `error` is NULL or valid for a write. All live during the call, and no other thread writes to
// them meanwhile.
bool obert_rerank(const obert_model *model,
                  const char *query,
                  const char *const *documents,
                  size_t count,
                  bool raw_scores,
                  bool truncate,
                  float *out,
                  obert_error **error);

// Finds the entities of `count` texts. Returns a JSON list with a list for each text: objects with `label`, `text`,
// `score`, `start` and `end`, offsets in Unicode code points. Returns NULL on failure. The caller frees the string with
// `obert_string_free`.
//
// Contract:
// `model` is NULL or a model that was not freed. `texts` is NULL or an array of `count` pointers, each NULL or a
// string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call, and no other
// thread writes to them meanwhile.
char *obert_entities(const obert_model *model,
                     const char *const *texts,
                     size_t count,
                     bool truncate,
                     obert_error **error);

// Answers `count` questions, each from the context of the same index, with the `top` best answers (at least 1). Returns a
// JSON list with an object for each: `answers`, a list of objects with `answer`, `score`, `start` and `end` (offsets in
// Unicode code points), and `no_answer`, the score of the empty answer. Returns NULL on failure. The caller frees the
// string with `obert_string_free`.
//
// Contract:
// `model` is NULL or a model that was not freed. `questions` and `contexts` are NULL or arrays of `count` pointers,
// each NULL or a string that ends with a zero byte. `error` is NULL or valid for a write. All live during the call,
// and no other thread writes to them meanwhile.
char *obert_answer(const obert_model *model,
                   const char *const *questions,
                   const char *const *contexts,
                   size_t count,
                   size_t top,
                   obert_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* OBERT_H */
