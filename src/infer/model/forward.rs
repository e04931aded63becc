//! The forward pass as a sequence of phases, which all threads of a session run.

use super::buffers::{Scratch, SharedBuffers};
use super::feed_forward::{LayerInputs, Part, PartOfTile, Step, WholeTile, has, linear};
use super::heads::{SequenceOutputs, TokenOutputs};
use super::load::Model;
use super::phases::Phases;
use super::shared::Shared;
use super::stages::{Attention, Embed, Inputs};
use super::tiling::{MAX_WIDTH, Sequence, Tiling};
use crate::infer::kernel::attention::Rotary;
use crate::infer::simd::{Floats, Isa, LANES};

/// A forward pass.
pub(super) struct Forward<'a> {
    pub(super) model: &'a Model,
    pub(super) threads: usize,
    pub(super) isa: Isa,
    pub(super) tiling: &'a Tiling,
    pub(super) sequences: &'a [Sequence<'a>],
    pub(super) hidden: Shared<'a, Floats>,
    pub(super) inputs: Inputs<'a>,
    pub(super) rotary: &'a (Vec<Rotary>, Vec<usize>),
    pub(super) context: Shared<'a, Floats>,
    /// The buffers of tiles that threads share.
    pub(super) layer: SharedBuffers<'a>,
    pub(super) logits: Shared<'a, Floats>,
    pub(super) phases: &'a Phases,
}

impl Forward<'_> {
    /// Does tasks of all phases, in the buffers of one thread.
    pub(super) fn run(&self, scratch: &mut Scratch) {
        let Forward { model, isa, tiling, sequences, hidden, inputs, logits, .. } = self;
        let mut phase = 0;
        let mut each = |tasks: usize, task: &mut dyn FnMut(usize)| {
            self.phases.run(phase, tasks, task);
            phase += 1;
        };
        each(tiling.tiles(), &mut |tile| {
            isa.run(Embed { model, tiling, sequences, tile, hidden, inputs, scratch });
        });
        for index in 0..model.layers.len() {
            let (layer, spans) = (&model.layers[index], tiling.spans.len());
            each(spans * layer.heads, &mut |task| {
                // All sequences for one head after the other, so that its weights stay in the cache.
                let (head, span) = (task / spans, task % spans);
                isa.run(Attention {
                    model,
                    tiling,
                    layer,
                    index,
                    span: tiling.spans[span],
                    head,
                    hidden,
                    inputs,
                    rotary: self.rotary.1.get(index).map(|which| &self.rotary.0[*which]),
                    context: &self.context,
                    scratch,
                });
            });
            let of = LayerInputs {
                model,
                tiling,
                layer,
                next: model.layers.get(index + 1),
                hidden,
                inputs,
                context: &self.context,
            };
            if !tiling.shared {
                each(tiling.tiles(), &mut |tile| isa.run(WholeTile { of, tile, scratch }));
                continue;
            }
            for step in Step::ALL.into_iter().filter(|step| has(model, of.layer, *step)) {
                let mut run = |part: Part| {
                    let sums = &mut scratch.sums;
                    isa.run(PartOfTile { of, buffers: &self.layer, step, part, sums });
                };
                match linear(of.layer, step) {
                    None => each(tiling.groups, &mut |group| run(Part::Group(group))),
                    Some(linear) => {
                        let rows = rows_of_part(linear.rows, self.threads);
                        let parts = linear.rows.div_ceil(rows);
                        each(tiling.tiles() * parts, &mut |task| {
                            let first = task % parts * rows;
                            run(Part::Rows(task / parts, first..(first + rows).min(linear.rows)));
                        });
                    }
                }
            }
        }
        if model.head().is_per_token() {
            each(tiling.tiles(), &mut |tile| {
                isa.run(TokenOutputs { model, tiling, tile, hidden, logits, scratch });
            });
        } else {
            each(tiling.spans.len().div_ceil(LANES * MAX_WIDTH), &mut |part| {
                isa.run(SequenceOutputs { model, tiling, part, hidden, logits, scratch });
            });
        }
    }
}

/// The number of rows of a matrix that a thread computes at a time: a multiple of those that [`super::linear`] computes
/// together, dense or sparse, and few enough that threads finish at about the same time.
fn rows_of_part(rows: usize, threads: usize) -> usize {
    rows.div_ceil(4 * threads).next_multiple_of(96)
}
