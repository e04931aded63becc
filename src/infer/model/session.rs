//! Memory and threads, planned once, and the forward pass.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::arrange::{Arrangement, WIDEST, groups_of};
use super::linear::Sums;
use super::load::{HeadLayers, Model};
use super::shared::Shared;
use super::stages::{Attend, Classify, Embed, Find, Forward, Rounded};
use crate::infer::kernel::affine::{Rounding, TokenScale};
use crate::infer::kernel::attention::Workspace;
use crate::infer::simd::{Floats, Isa, LANES, Quads};

/// One sequence of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Vocabulary entries, special tokens included.
    pub ids: &'a [u32],
    /// The type of each token: 0 for the first text, 1 for the second.
    pub types: &'a [u32],
}

/// What a session is planned for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequences in one call.
    pub sequences: usize,
    /// Tokens of the longest one; at most as many as the model has positions.
    pub length: usize,
    /// Threads.
    pub threads: usize,
    /// The instruction set.
    pub isa: Isa,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Limits { sequences: 1, length: 512, threads, isa: Isa::best() }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A sequence without tokens.
    #[error("a sequence has no tokens")]
    Empty,
    /// A sequence whose types are not as many as its tokens.
    #[error("a sequence has {tokens} tokens and {types} types")]
    Uneven {
        /// Tokens.
        tokens: usize,
        /// Types.
        types: usize,
    },
    /// A sequence longer than planned.
    #[error("a sequence has {tokens} tokens; the most is {most}")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// As many as there may be.
        most: usize,
    },
    /// More sequences than planned.
    #[error("the sequences take {groups} groups of {LANES} tokens; the session was planned for {most}")]
    TooMany {
        /// Groups of sixteen tokens.
        groups: usize,
        /// As many as there may be.
        most: usize,
    },
    /// A token that the vocabulary does not have, or a type that the model does not have.
    #[error("a sequence has the {what} {value}; the model has {count}")]
    Unknown {
        /// `token` or `type`.
        what: &'static str,
        /// Its number.
        value: u32,
        /// As many as there are.
        count: usize,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
}

/// A model with the memory of its forward pass. Nothing is allocated by a call.
#[derive(Debug)]
pub struct Session {
    model: Arc<Model>,
    limits: Limits,
    pool: Option<rayon::ThreadPool>,
    arranged: Arrangement,
    /// Groups that there is memory for.
    groups: usize,
    hidden: Vec<Floats>,
    rounded: Vec<Rounded>,
    context: Vec<Floats>,
    logits: Vec<Floats>,
    scratch: Vec<Mutex<Scratch>>,
}

/// Memory of one thread.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) space: Workspace,
    pub(super) sums: Sums,
    /// A tile before it is normalised.
    pub(super) tile: Vec<Floats>,
    /// A tile as bytes.
    pub(super) bytes: Vec<Quads>,
    pub(super) scales: [TokenScale; WIDEST],
    /// The feed-forward layer's activations.
    pub(super) wide: Vec<Floats>,
    pub(super) wide_bytes: Vec<Quads>,
    /// Embeddings of sixteen tokens, token by token.
    pub(super) rows: Vec<f32>,
    /// The pooled states of sixteen sequences.
    pub(super) pooled: Vec<Floats>,
}

impl Session {
    /// Plans the memory.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn new(model: Arc<Model>, limits: Limits) -> Result<Session, Refusal> {
        let shape = model.config.shape();
        let threads = limits.threads.max(1);
        let length = limits.length.clamp(1, shape.positions);
        let groups = groups_of(length) * limits.sequences.max(1);
        let limits = Limits { threads, length, ..limits };
        let pool = match threads {
            1 => None,
            _ => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                Some(pool.map_err(|e| Refusal::Threads(e.to_string()))?)
            }
        };
        let features = shape.hidden / shape.heads;
        let fixed = |input| matches!(input, Some(Rounding::Fixed(_)));
        let kept_wide = model.layers.iter().any(|l| !fixed(l.down.input) || l.output.input.is_none());
        let wide = if kept_wide { shape.intermediate.max(shape.hidden) } else { 0 };
        let roundings = model.layers.iter().map(|l| l.roundings.len()).max().unwrap_or(0);
        let quads = shape.hidden.div_ceil(4);
        let scratch = || {
            Mutex::new(Scratch {
                space: Workspace::new(features, groups_of(length)),
                sums: Sums::default(),
                tile: vec![Floats::default(); shape.hidden * WIDEST],
                bytes: vec![Quads::default(); quads * WIDEST],
                scales: Default::default(),
                wide: vec![Floats::default(); wide * WIDEST],
                wide_bytes: vec![Quads::default(); shape.intermediate.div_ceil(4) * WIDEST],
                rows: vec![0.0; shape.hidden * LANES],
                pooled: vec![Floats::default(); shape.hidden],
            })
        };
        let logits = match &model.head {
            HeadLayers::Answers(_) => 2 * groups,
            HeadLayers::Labels { names, .. } => names.len() * groups.div_ceil(LANES),
        };
        Ok(Session {
            arranged: Arrangement { spans: Vec::with_capacity(groups), ..Arrangement::default() },
            groups,
            hidden: vec![Floats::default(); shape.hidden * groups],
            rounded: (0..roundings)
                .map(|_| Rounded {
                    bytes: vec![Quads::default(); quads * groups],
                    scales: vec![TokenScale::default(); groups],
                })
                .collect(),
            context: vec![Floats::default(); shape.hidden * groups],
            logits: vec![Floats::default(); logits],
            scratch: (0..threads).map(|_| scratch()).collect(),
            model,
            limits,
            pool,
        })
    }

    /// What it was planned for.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Bytes that the session holds besides the model.
    pub fn memory(&self) -> usize {
        let rounded: usize =
            self.rounded.iter().map(|r| size_of_val(&*r.bytes) + size_of_val(&*r.scales)).sum();
        let of_thread = |s: &Mutex<Scratch>| {
            let s = s.lock().unwrap_or_else(|e| e.into_inner());
            size_of_val(&*s.tile)
                + size_of_val(&*s.bytes)
                + size_of_val(&*s.wide)
                + size_of_val(&*s.wide_bytes)
                + size_of_val(&*s.rows)
                + size_of_val(&*s.pooled)
                + s.space.memory()
        };
        let buffers = size_of_val(&*self.hidden) + size_of_val(&*self.context) + size_of_val(&*self.logits);
        buffers + rounded + self.scratch.iter().map(of_thread).sum::<usize>()
    }

    /// How many of these sequences, from the first one on, one call can take; at least one.
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

    /// Runs the model on some sequences.
    ///
    /// # Errors
    /// Sequences that the model or the plan has no room for; the session stays usable.
    pub fn run(&mut self, sequences: &[Sequence<'_>]) -> Result<Logits<'_>, Refusal> {
        self.check(sequences)?;
        self.arranged.lay(sequences.iter().map(|s| s.ids.len()), self.limits.threads);
        match self.pool.take() {
            None => self.forward(sequences),
            Some(pool) => {
                pool.install(|| self.forward(sequences));
                self.pool = Some(pool);
            }
        }
        Ok(Logits { session: self })
    }

    fn check(&self, sequences: &[Sequence<'_>]) -> Result<(), Refusal> {
        let shape = self.model.config.shape();
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
            let all = [("token", sequence.ids, shape.vocab), ("type", sequence.types, shape.types)];
            // With one type, whatever a tokenizer gives as types is the first.
            for (what, values, count) in all.into_iter().take(if shape.types == 1 { 1 } else { 2 }) {
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
        let Session { model, limits, arranged, hidden, rounded, context, logits, scratch, .. } = self;
        let (model, arranged, scratch, isa) = (&**model, &*arranged, &*scratch, limits.isa);
        let threads = limits.threads;
        let hidden = Shared::new(hidden);
        let context = Shared::new(context);
        let logits = Shared::new(logits);
        let rounded: &mut [Rounded] = rounded;
        let parts = SharedRounded::all(rounded);
        let parts = &parts.0[..parts.1];
        each(threads, arranged.tiles(), scratch, |tile, scratch| {
            isa.run(Embed { model, arranged, sequences, tile, hidden: &hidden, rounded: parts, scratch });
        });
        for index in 0..model.layers.len() {
            let heads = model.config.num_attention_heads;
            each(threads, arranged.spans.len() * heads, scratch, |task, scratch| {
                // All sequences of one head in turn, so that its weights stay in the cache.
                let (head, span) = (task / arranged.spans.len(), task % arranged.spans.len());
                isa.run(Attend {
                    model,
                    arranged,
                    layer: &model.layers[index],
                    span: arranged.spans[span],
                    head,
                    hidden: &hidden,
                    rounded: parts,
                    context: &context,
                    scratch,
                });
            });
            each(threads, arranged.tiles(), scratch, |tile, scratch| {
                isa.run(Forward {
                    model,
                    arranged,
                    layer: &model.layers[index],
                    next: model.layers.get(index + 1),
                    tile,
                    hidden: &hidden,
                    rounded: parts,
                    context: &context,
                    scratch,
                });
            });
        }
        match &model.head {
            HeadLayers::Answers(layer) => each(threads, arranged.tiles(), scratch, |tile, scratch| {
                isa.run(Find { model, arranged, layer, tile, hidden: &hidden, logits: &logits, scratch });
            }),
            HeadLayers::Labels { pooler, classifier, .. } => {
                let tasks = arranged.spans.len().div_ceil(LANES * WIDEST);
                each(threads, tasks, scratch, |part, scratch| {
                    isa.run(Classify {
                        model,
                        arranged,
                        pooler,
                        classifier,
                        part,
                        hidden: &hidden,
                        logits: &logits,
                        scratch,
                    });
                });
            }
        }
    }
}

/// A layer's input rounded in up to three ways, to be written tile by tile.
pub(super) struct SharedRounded<'a> {
    pub(super) bytes: Shared<'a, Quads>,
    pub(super) scales: Shared<'a, TokenScale>,
}

impl<'a> SharedRounded<'a> {
    /// As many as there are, in an array without an allocation.
    fn all(rounded: &'a mut [Rounded]) -> ([SharedRounded<'a>; 3], usize) {
        let count = rounded.len().min(3);
        let mut list = rounded.iter_mut();
        let mut next = || match list.next() {
            Some(r) => SharedRounded { bytes: Shared::new(&mut r.bytes), scales: Shared::new(&mut r.scales) },
            None => SharedRounded { bytes: Shared::new(&mut []), scales: Shared::new(&mut []) },
        };
        ([next(), next(), next()], count)
    }
}

/// Does all tasks, each with the memory of the thread that does it.
fn each(threads: usize, tasks: usize, scratch: &[Mutex<Scratch>], work: impl Fn(usize, &mut Scratch) + Sync) {
    let one = |task: usize, thread: usize| {
        // Only a panic poisons it, and nothing in it outlives a task.
        let mut scratch = scratch[thread].lock().unwrap_or_else(|e| e.into_inner());
        work(task, &mut scratch);
    };
    if threads == 1 {
        (0..tasks).for_each(|task| one(task, 0));
    } else {
        (0..tasks)
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| one(task, rayon::current_thread_index().unwrap_or(0)));
    }
}

/// What a call computed.
#[derive(Debug)]
pub struct Logits<'a> {
    session: &'a Session,
}

impl<'a> Logits<'a> {
    /// Start and end logits of a sequence's tokens. Empty for a model that gives labels.
    ///
    /// # Panics
    /// If there was no such sequence.
    pub fn answer(&self, sequence: usize) -> (&'a [f32], &'a [f32]) {
        let HeadLayers::Answers(_) = &self.session.model.head else { return (&[], &[]) };
        let span = self.session.arranged.spans[sequence];
        let row = |row: usize| {
            let first = row * self.session.arranged.groups + span.first;
            &lanes(&self.session.logits[first..first + span.groups])[..span.tokens]
        };
        (row(0), row(1))
    }

    /// The logit of each label. Empty for a model that finds answers.
    ///
    /// # Panics
    /// If there was no such sequence.
    pub fn labels(&self, sequence: usize) -> impl Iterator<Item = f32> + use<'a> {
        let session = self.session;
        let width = session.arranged.spans.len().div_ceil(LANES);
        assert!(sequence < session.arranged.spans.len(), "no such sequence");
        let count = session.model.labels().map_or(0, <[String]>::len);
        (0..count).map(move |label| session.logits[label * width + sequence / LANES].0[sequence % LANES])
    }
}

fn lanes(groups: &[Floats]) -> &[f32] {
    // SAFETY: sixteen floats each, without gaps.
    unsafe { std::slice::from_raw_parts(groups.as_ptr().cast(), groups.len() * LANES) }
}
