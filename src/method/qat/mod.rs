//! Fake quantization, for post-training quantization and quantization-aware training.
//!
//! - [`scheme`]: integer range, scale and zero point;
//! - [`observer`]: moving averages of the minimum and maximum;
//! - [`fake_quant`]: fake quantization with the straight-through estimator;
//! - [`quantizer`]: observer and fake quantization of one tensor of a model.
//!
//! The formulas are those of PyTorch (`torch.fake_quantize_per_tensor_affine`,
//! `torch.fake_quantize_per_channel_affine`, `torch.ao.quantization.MovingAverageMinMaxObserver`); golden cases compare
//! them bit for bit.

pub mod fake_quant;
pub mod observer;
pub mod quantizer;
pub mod scheme;

pub use fake_quant::{Channels, QParams};
pub use observer::{MovingAverage, Range};
pub use quantizer::{Phase, Quantizer};
pub use scheme::Grid;

#[cfg(test)]
mod property_tests;
