//! Quantization-aware training: values rounded to few bits while a model trains.
//!
//! - [`scheme`]: the integers, and the scale and zero point for a range;
//! - [`observer`]: ranges as moving averages of what was seen;
//! - [`fake_quant`]: rounding that lets gradients through;
//! - [`quantizer`]: the three together, for one tensor of a model.
//!
//! The formulas are PyTorch's (`torch.fake_quantize_per_tensor_affine`, `…_per_channel_affine`,
//! `torch.ao.quantization.MovingAverageMinMaxObserver`), which golden cases hold them to bit for bit.

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
