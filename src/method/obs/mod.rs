//! The Optimal BERT Surgeon (arXiv 2203.07259): prune the weights whose removal raises the loss
//! least, to second order, and let the others make up for them.
//!
//! The loss around trained weights is a quadratic form whose matrix is estimated by the empirical
//! Fisher information of m gradients, block by block along consecutive weights:
//! `F = λI + 1/m Σ g gᵀ` ([`host_estimate`]). From its inverse come each weight's (or group's) saliency
//! `ρ = ½ w_Qᵀ ([F⁻¹]_QQ)⁻¹ w_Q` ([`score`]; [`correlated`] refreshes it after every removal) and
//! the update of the others ([`update`]).
//!
//! The inverse is never built gradient by gradient: gradients are summed into F in chunks
//! ([`fisher`], by the product of [`gram`] of a [`panel`] with itself) and each block is factored once
//! ([`cholesky`]), sixteen blocks side by side in vector [`lanes`].
//!
//! Where there are fewer gradients than weights in a block, F is λI in most directions and single
//! precision would lose them; the small dual matrix of the gradients is factored instead ([`woodbury`]).
//! Where an estimate after the fact says that too many digits were lost all the same, the block is
//! known by its square root ([`qr`]). What even that cannot factor is an error, never a silent
//! identity.
//!
//! [`host`] puts the parts together for one parameter; [`device`] does the same with tensors of a device,
//! for gradients that are there. [`PruningEvent`] is a whole event: gradients in, updates of several
//! parameters out.

// `pulp::with_simd` needs its lifetimes spelt out.
#![allow(clippy::needless_lifetimes)]

mod cholesky;
mod correlated;
pub mod device;
mod fisher;
mod fisher_estimate;
mod gram;
pub mod host;
mod host_estimate;
mod ill_conditioned;
mod lanes;
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
mod update;
mod woodbury;

pub use fisher_estimate::{FisherEstimate, Gradient, Place};
pub use host_estimate::{HostEstimate, Precision};
pub use pruning_event::{GradientSource, Interrupted, Pass, Phase, PruningEvent, Saliencies};
pub use qr::QrFactors;
pub use score::Scored;
pub use settings::{ObsError, PruningUpdate, Settings};
