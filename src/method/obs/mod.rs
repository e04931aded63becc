//! The Optimal BERT Surgeon (arXiv 2203.07259, section 3; SparseML's `OBSPruningModifier`): second-order
//! pruning.
//!
//! With `w` the trained weights and g₁ … g_m gradients of the loss, the pruner computes
//!
//! - the dampened empirical Fisher matrix `F = λI + 1/m Σ gᵢ gᵢᵀ`, block-diagonal with blocks of B consecutive
//!   weights, as an approximation of the Hessian ([`fisher`], [`host_estimate`]);
//! - the saliency of every weight or group Q, `ρ_Q = ½ w_Qᵀ ([F⁻¹]_QQ)⁻¹ w_Q`, which is the rise of the loss when
//!   Q is set to zero and the other weights are updated optimally ([`score`]; [`correlated`] refreshes it after
//!   every pruned group);
//! - the pruning update `w − F⁻¹_{:,Q} ([F⁻¹]_QQ)⁻¹ w_Q` of the remaining weights ([`update`]).
//!
//! SparseML updates F⁻¹ once for each gradient (Sherman-Morrison). Here chunks of gradients are summed into F
//! by matrix products ([`gram`] of a [`panel`]), and every block is factored once ([`cholesky`]), sixteen blocks
//! in the [`lanes`] of vectors.
//!
//! With fewer gradients than weights in a block (m < B), B − m eigenvalues of F equal λ, which rounding errors in
//! float32 can exceed: the Woodbury form is used instead ([`woodbury`]). The same form, with a QR factor of the
//! gradients in float64 ([`qr`]), recomputes the blocks that an a-posteriori error estimate finds ill-conditioned
//! ([`ill_conditioned`]). A block that cannot be factored in float64 either is an error; it is never replaced by the
//! identity.
//!
//! [`host`] prunes one parameter on the CPU, [`device`] with tensors of a device. [`PruningEvent`] goes through
//! all parameters of a pruning step, whose Fisher matrices several ranks can share ([`sharding`]).

// `pulp::with_simd` needs its lifetimes spelt out.
#![allow(clippy::needless_lifetimes)]

mod cholesky;
mod correlated;
pub mod device;
mod fisher;
mod fisher_estimate;
mod gradient_source;
mod gram;
pub mod host;
mod host_estimate;
mod ill_conditioned;
mod lanes;
mod measured;
mod panel;
#[cfg(test)]
mod precision_tests;
mod prefetch;
#[cfg(test)]
mod property_tests;
mod pruning_event;
mod qr;
mod score;
mod settings;
mod sharding;
mod update;
mod woodbury;

pub use fisher_estimate::{FisherEstimate, Gradient, Place};
pub use gradient_source::{GradientSource, Measure, Phase};
pub use host_estimate::{HostEstimate, Precision};
pub use pruning_event::{Allocation, FACTOR_MEMORY, Pass, PruningEvent, Saliencies};
pub use qr::QrFactors;
pub use score::Scored;
pub use settings::{Interrupted, ObsError, PruningUpdate, Settings};
pub use sharding::Sharding;
