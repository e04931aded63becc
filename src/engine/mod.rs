//! Runs a schedule for a task: training, pruning, distillation, quantization, evaluation and checkpoints.
//!
//! - [`interpreter`]: the stages one after the other, and branches;
//! - [`stage`]: a loop over the [`state`] of a stage: before each step the actions of [`steps`], then one optimizer step
//!   ([`training`]) of gradients summed over ranks ([`gradient_sum`]), with the [`context`] of the stage and its [`seeds`];
//! - [`pruner`]: a pruning event of the [`targets`] of a statement; by OBS from [`gradients`], on the host or on the
//!   device ([`estimation`]), with the [`step_size`] of the update, and [`reconstruction`] of layers after it;
//! - [`exchange`]: what ranks exchange in a pruning event;
//! - [`oneshot`]: trials of one-shot pruning, with [`gradient_sharing`];
//! - [`movement`]: movement scores, accumulated in training;
//! - [`distillation`]: the losses against a teacher; [`best`]: the best checkpoint;
//! - [`quantizers`]: fake quantization of weights and activations;
//! - [`optimizer`]: AdamW; [`masks`]: the pruned weights;
//! - [`results`]: the metrics, sparsities and sizes of each stage;
//! - [`checkpoint`]: saves the state of a stage to a [`snapshot`] and restores it, with its [`position`] in the run;
//! - [`events`]: the events that observers receive; [`warnings`]: warnings of a run;
//! - [`machine`]: the machine and its memory; [`device`]: the devices.
//!
//! The engine depends on a [`Task`](crate::task::Task) and a schedule, not on recipes or files.

pub mod best;
mod candidates;
mod checkpoint;
mod context;
pub mod device;
mod distillation;
mod error;
mod estimation;
pub mod events;
mod exchange;
pub mod gradient_sharing;
mod gradient_sum;
mod gradients;
pub mod interpreter;
pub mod machine;
pub mod masks;
mod movement;
pub mod oneshot;
pub mod optimizer;
pub mod position;
mod pruner;
mod pruning_context;
mod quantizers;
mod reconstruction;
pub mod results;
mod seeds;
pub mod snapshot;
mod stage;
mod state;
mod step_size;
mod steps;
mod targets;
mod training;
pub mod trial_outcome;
mod warnings;

pub use error::EngineError;
pub use estimation::Estimates;
pub use interpreter::Interpreter;
pub use results::StageResult;
