//! A session: buffers and threads, allocated once, and the forward pass.

use std::sync::{Arc, Mutex};

use super::buffers::{LayerBuffers, QuantizedInput, Scratch, SharedInput};
use super::feed_forward::Step;
use super::forward::Forward;
use super::load::Model;
use super::phases::Phases;
use super::shared::Shared;
use super::stages::Inputs;
pub use super::tiling::Sequence;
use super::tiling::{MOST_SHARED, Tiling, groups_of};
use crate::diag::counted;
use crate::infer::file::encoder::Structure;
use crate::infer::file::layout::Head;
use crate::infer::kernel::attention::Rotary;
use crate::infer::kernel::quantize::TokenScale;
use crate::infer::simd::{Floats, Isa, LANES, Quads};

/// The limits that a session allocates memory for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest number of sequences of the full length in a call.
    pub sequences: usize,
    /// The largest sequence length in tokens; lowered to the model's maximum.
    pub length: usize,
    /// The number of threads.
    pub threads: usize,
    /// The instruction set of the kernels.
    pub isa: Isa,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Limits { sequences: 1, length: 512, threads, isa: Isa::best() }
    }
}

/// Why a session or a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A sequence without tokens.
    #[error("a sequence has no tokens")]
    Empty,
    /// A sequence with different numbers of token ids and token types.
    #[error("a sequence has {} and {}", counted(*tokens, "token", "tokens"), counted(*types, "token type", "token types"))]
    Uneven {
        /// The number of token ids.
        tokens: usize,
        /// The number of token types.
        types: usize,
    },
    /// A sequence that is longer than [`Limits::length`].
    #[error("a sequence has {tokens} tokens; the most is {most}")]
    TooLong {
        /// Its number of tokens.
        tokens: usize,
        /// The limit.
        most: usize,
    },
    /// More sequences than the session has memory for.
    #[error("the sequences take {} of {LANES} tokens; the session was planned for {most}", counted(*groups, "group", "groups"))]
    TooMany {
        /// The number of groups of sixteen tokens.
        groups: usize,
        /// The limit.
        most: usize,
    },
    /// A token id beyond the vocabulary, or a token type that the model does not have.
    #[error("a sequence has the {what} {value}; the model has {count}")]
    Unknown {
        /// `token` or `type`.
        what: &'static str,
        /// The id or type.
        value: u32,
        /// The number of ids or types of the model.
        count: usize,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
}

/// A model with the buffers of its forward pass. A call allocates no buffers.
#[derive(Debug)]
pub struct Session {
    model: Arc<Model>,
    limits: Limits,
    /// The threads beside the caller's.
    pool: Option<rayon::ThreadPool>,
    phases: Phases,
    tiling: Tiling,
    /// The number of groups that the buffers have memory for.
    groups: usize,
    hidden: Vec<Floats>,
    /// Normalized hidden states, `[hidden]` for each group; empty unless layers begin with a normalization.
    normal: Vec<Floats>,
    inputs: Vec<QuantizedInput>,
    /// The rotation angles for each distinct base θ, and for each layer the index of its angles.
    rotary: (Vec<Rotary>, Vec<usize>),
    context: Vec<Floats>,
    logits: Vec<Floats>,
    /// The buffers of tiles that threads share.
    layer: LayerBuffers,
    scratch: Vec<Mutex<Scratch>>,
}

impl Session {
    /// Allocates the buffers and starts the threads.
    ///
    /// # Errors
    /// [`Refusal::Threads`].
    pub fn new(model: Arc<Model>, limits: Limits) -> Result<Session, Refusal> {
        let shape = &model.encoder;
        let threads = limits.threads.max(1);
        let length = limits.length.clamp(1, shape.longest);
        let groups = groups_of(length) * limits.sequences.max(1);
        let limits = Limits { threads, length, ..limits };
        let pool = match threads {
            1 => None,
            _ => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads - 1).build();
                Some(pool.map_err(|e| Refusal::Threads(e.to_string()))?)
            }
        };
        let inputs = model.layers.iter().map(|l| l.quantizations.len()).max().unwrap_or(0);
        let quads = shape.hidden.div_ceil(4);
        let outputs = model.head.outputs(shape.hidden);
        let logits = match model.head().is_per_token() {
            true => outputs * groups,
            false => outputs * groups.div_ceil(LANES),
        };
        let normal = match shape.structure {
            Structure::PostNorm => 0,
            Structure::PreNormGated => shape.hidden * groups,
        };
        Ok(Session {
            tiling: Tiling { spans: Vec::with_capacity(groups), ..Tiling::default() },
            groups,
            hidden: vec![Floats::default(); shape.hidden * groups],
            normal: vec![Floats::default(); normal],
            rotary: rotary(&model, groups_of(length)),
            inputs: (0..inputs)
                .map(|_| QuantizedInput {
                    bytes: vec![Quads::default(); quads * groups],
                    scales: vec![TokenScale::default(); groups],
                })
                .collect(),
            context: vec![Floats::default(); shape.hidden * groups],
            logits: vec![Floats::default(); logits],
            phases: Phases::new(2 + model.layers.len() * (1 + Step::ALL.len())),
            layer: LayerBuffers::new(&model, if threads > 1 { groups.min(MOST_SHARED * threads) } else { 0 }),
            scratch: (0..threads).map(|_| Mutex::new(Scratch::new(&model, length))).collect(),
            model,
            limits,
            pool,
        })
    }

    /// The limits of the session.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Bytes of the session's buffers, without the model.
    pub fn memory(&self) -> usize {
        let inputs: usize =
            self.inputs.iter().map(|r| size_of_val(&*r.bytes) + size_of_val(&*r.scales)).sum();
        let of_thread = |s: &Mutex<Scratch>| s.lock().unwrap_or_else(|e| e.into_inner()).memory();
        let of_session = [&self.hidden, &self.normal, &self.context, &self.logits];
        let buffers: usize = of_session.iter().map(|b| size_of_val(&***b)).sum();
        let angles: usize = self.rotary.0.iter().map(Rotary::memory).sum();
        buffers + angles + inputs + self.layer.memory() + self.scratch.iter().map(of_thread).sum::<usize>()
    }

    /// The number of sequences that fit into one call, taken in order from the first of these lengths; at least one.
    pub fn fits(&self, lengths: impl Iterator<Item = usize>) -> usize {
        let mut left = self.groups;
        let taken = lengths.take_while(|tokens| {
            let groups = groups_of(*tokens);
            let fits = groups <= left;
            left = left.saturating_sub(groups);
            fits
        });
        taken.count().max(1)
    }

    /// Computes the logits of a batch of sequences.
    ///
    /// # Errors
    /// Sequences beyond the limits of the session or the model. The session stays usable.
    pub fn run(&mut self, sequences: &[Sequence<'_>]) -> Result<Logits<'_>, Refusal> {
        self.check(sequences)?;
        self.tiling.plan(sequences.iter().map(|s| s.ids.len()), self.limits.threads);
        self.forward(sequences);
        Ok(Logits { session: self })
    }

    fn check(&self, sequences: &[Sequence<'_>]) -> Result<(), Refusal> {
        let shape = &self.model.encoder;
        let mut groups = 0;
        for sequence in sequences {
            let tokens = sequence.ids.len();
            groups += groups_of(tokens);
            if tokens == 0 {
                return Err(Refusal::Empty);
            }
            if sequence.types.len() != tokens {
                return Err(Refusal::Uneven { tokens, types: sequence.types.len() });
            }
            if tokens > self.limits.length {
                return Err(Refusal::TooLong { tokens, most: self.limits.length });
            }
            let all = [("token", sequence.ids, shape.vocabulary), ("type", sequence.types, shape.types)];
            // With one token type or none, types are not read.
            for (what, values, count) in all.into_iter().take(if shape.types > 1 { 2 } else { 1 }) {
                if let Some(value) = values.iter().find(|v| **v as usize >= count) {
                    return Err(Refusal::Unknown { what, value: *value, count });
                }
            }
        }
        if groups > self.groups {
            return Err(Refusal::TooMany { groups, most: self.groups });
        }
        Ok(())
    }

    fn forward(&mut self, sequences: &[Sequence<'_>]) {
        self.phases.reset();
        let (quantized, count) = SharedInput::all(&mut self.inputs);
        let normal = &mut self.normal;
        let forward = Forward {
            model: &self.model,
            threads: self.limits.threads,
            isa: self.limits.isa,
            tiling: &self.tiling,
            sequences,
            hidden: Shared::new(&mut self.hidden),
            inputs: Inputs {
                normal: (!normal.is_empty()).then(|| Shared::new(normal)),
                quantized: &quantized[..count],
            },
            rotary: &self.rotary,
            context: Shared::new(&mut self.context),
            layer: self.layer.share(),
            logits: Shared::new(&mut self.logits),
            phases: &self.phases,
        };
        let on_thread = |thread: usize| {
            // Poisoned only by a panic; no content outlives a call.
            let mut scratch = self.scratch[thread].lock().unwrap_or_else(|e| e.into_inner());
            forward.run(&mut scratch);
        };
        match &self.pool {
            None => on_thread(0),
            // The calling thread begins at once, and others join in when they have woken up.
            Some(pool) => pool.in_place_scope(|scope| {
                scope.spawn_broadcast(|_, context| on_thread(1 + context.index()));
                on_thread(0);
            }),
        }
    }
}

/// The rotation angles for each distinct base θ, and for each layer the index of its angles.
fn rotary(model: &Model, groups: usize) -> (Vec<Rotary>, Vec<usize>) {
    let features = model.encoder.hidden / model.encoder.heads;
    let (mut bases, mut all) = (Vec::new(), Vec::new());
    let of_layer = |theta: &f64| {
        bases.iter().position(|known| known == theta).unwrap_or_else(|| {
            bases.push(*theta);
            all.push(Rotary::new(*theta, features, groups));
            bases.len() - 1
        })
    };
    let indices = model.encoder.rotary.iter().map(of_layer).collect();
    (all, indices)
}

/// The outputs of a call.
#[derive(Debug)]
pub struct Logits<'a> {
    session: &'a Session,
}

impl<'a> Logits<'a> {
    /// The start and end logits of a sequence, `[tokens]` each, for question answering. Empty for other models.
    ///
    /// # Panics
    /// If the sequence does not exist.
    pub fn answer(&self, sequence: usize) -> (&'a [f32], &'a [f32]) {
        let Head::Answers = self.session.model.head() else { return (&[], &[]) };
        (self.row(0, sequence), self.row(1, sequence))
    }

    /// The logits of the tokens of a sequence for each label, `[labels][tokens]`, for token classification. Empty for
    /// other models.
    ///
    /// # Panics
    /// If the sequence does not exist.
    pub fn tokens(&self, sequence: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let count = match self.session.model.head() {
            Head::Tokens(names) => names.len(),
            _ => 0,
        };
        let logits = Logits { session: self.session };
        (0..count).map(move |label| logits.row(label, sequence))
    }

    /// The logits of a sequence, `[labels]`, for sequence classification; one score for regression. Empty for other
    /// models.
    ///
    /// # Panics
    /// If the sequence does not exist.
    pub fn labels(&self, sequence: usize) -> impl Iterator<Item = f32> + use<'a> {
        let count = match self.session.model.head() {
            Head::Labels(names) | Head::Multilabel(names) => names.len(),
            Head::Score => 1,
            _ => 0,
        };
        self.column(count, sequence)
    }

    /// The embedding of a sequence, `[hidden]`. Empty for models with an output layer.
    ///
    /// # Panics
    /// If the sequence does not exist.
    pub fn embedding(&self, sequence: usize) -> impl Iterator<Item = f32> + use<'a> {
        let count = match self.session.model.head() {
            Head::Embedding { .. } => self.session.model.encoder.hidden,
            _ => 0,
        };
        self.column(count, sequence)
    }

    /// An output for each token of a sequence.
    fn row(&self, row: usize, sequence: usize) -> &'a [f32] {
        let span = self.session.tiling.spans[sequence];
        let first = row * self.session.tiling.groups + span.first;
        &Floats::lanes(&self.session.logits[first..first + span.groups])[..span.tokens]
    }

    /// The outputs of a sequence.
    fn column(&self, count: usize, sequence: usize) -> impl Iterator<Item = f32> + use<'a> {
        let session = self.session;
        let width = session.tiling.spans.len().div_ceil(LANES);
        assert!(sequence < session.tiling.spans.len(), "no such sequence");
        (0..count).map(move |row| session.logits[row * width + sequence / LANES].0[sequence % LANES])
    }
}
