//! The runtime: inference of sparse and INT8-quantized encoders on CPUs.
//!
//! ```text
//!  model folder ─ pack ─▶ file (one packed file) ─ model ─▶ Session ─▶ logits ─ predictor ─▶ answers
//!                                                            │
//!                                                         kernel ─ simd
//! ```
//!
//! From token ids to logits:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use obert::diagnostics::Sources;
//! use obert::runtime::{Limits, Precision, Sequence, Session, open};
//!
//! // A model folder, or a file that `obertc pack --as engine` wrote.
//! let model = open(Path::new("minilm-squad"), Some(Precision::Int8), &mut Sources::new());
//! let model = Arc::new(model.map_err(|diagnostics| diagnostics[0].message.clone())?);
//!
//! // Buffers and threads are allocated once; a call allocates nothing.
//! let limits = Limits { sequences: 8, length: 384, threads: 2, ..Limits::default() };
//! let mut session = Session::new(model, limits)?;
//! let ids = [101, 2040, 2626, 2009, 1029, 102, 11027, 2626, 2009, 1012, 102];
//! let types = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
//! let logits = session.run(&[Sequence { ids: &ids, types: &types }])?;
//! let (start, end) = logits.answer(0);
//! assert_eq!((start.len(), end.len()), (ids.len(), ids.len()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From texts to answers, with windows over long contexts:
//!
//! ```no_run
//! # use std::{path::Path, sync::Arc};
//! # use obert::runtime::{Limits, Model};
//! use obert::runtime::{Answering, Predictor, Request};
//!
//! let model = Model::open(Path::new("minilm-squad.obert-engine")).map_err(|d| d.message)?;
//! let limits = Limits { sequences: 16, length: 384, ..Limits::default() };
//! let answering = Answering { doc_stride: 128, max_answer_length: 30, top: 3, truncate: false };
//! let mut predictor = Predictor::new(Arc::new(model), limits, answering)?;
//! let question = "Who wrote it?".to_owned();
//! let context = "Ada wrote it.".to_owned();
//! let answers = predictor.answer(&[Request::Question { question, context }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The runtime depends on no recipe, schedule or training code, and reads model folders in the Hugging Face layout.
//!
//! - [`pack`]: conversion of a model folder, or of a random model, to a packed model;
//! - [`file`]: the packed file;
//! - [`model`]: the forward pass;
//! - [`kernel`]: its kernels, generic over the instruction set;
//! - [`simd`]: sixteen lanes on AVX-512 VNNI, AVX-VNNI, AVX2, NEON and in plain Rust;
//! - [`predictor`]: from questions to answers and from texts to labels, entities, scores or embeddings, with the tokenizers of [`crate::text`].

mod cores;
mod entities;
pub mod file;
pub mod kernel;
pub mod model;
pub mod pack;
pub mod predictor;
pub mod simd;

pub use model::{Limits, Model, Refusal, Sequence, Session};
pub use pack::{Precision, open};
pub use predictor::{Answering, NotReady, Predictor, Request, Response};
