//! The Fisher matrix of one parameter, estimated from gradients on the CPU.

use std::borrow::Cow;

use half::bf16;

use super::fisher::Fisher;
use super::ill_conditioned::{IllConditioned, restricted};
use super::panel::{Rows, Stored};
use super::prefetch::{LINE, prefetch};
use super::qr::QrFactors;
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// The dtype of gradients that are buffered until they are summed; sums are always float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16, rounded to the nearest even: half the memory for the buffer, 8 significant bits.
    Bf16,
}

impl Precision {
    /// Bytes of an element (`torch.dtype.itemsize`).
    pub fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        }
    }
}

/// `Σ g gᵀ` of one parameter, block by block; with fewer gradients than weights in a block, the gradients themselves.
#[derive(Clone, Debug)]
pub struct HostEstimate {
    pub(super) count: usize,
    pub(super) block: usize,
    pub(super) kind: Kind,
    chunk: Chunk,
    /// The number of gradients that fit into the buffer.
    capacity: usize,
    finite: bool,
    ill_conditioned: IllConditioned,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// `Σ g gᵀ` over all gradients but the buffered ones.
    Fisher(Fisher),
    /// No sum: all gradients stay in the buffer, since they are fewer than the weights of a block.
    Gradients,
}

/// Buffered gradients, `[gradients][stride]`.
#[derive(Clone, Debug)]
enum Chunk {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Chunk {
    /// Adds `Σ g gᵀ` over the buffered gradients to `fisher`.
    fn add_to(&self, fisher: &mut Fisher, count: usize) {
        let stride = stride(count);
        match self {
            Chunk::F32(values) => fisher.add(&Strided { values, stride, count }),
            Chunk::Bf16(values) => fisher.add(&Strided { values, stride, count }),
        }
    }

    /// Empties the buffer and keeps its memory.
    fn clear(&mut self) {
        match self {
            Chunk::F32(values) => values.clear(),
            Chunk::Bf16(values) => values.clear(),
        }
    }
}

impl HostEstimate {
    /// An estimate from `gradients` gradients of a parameter of `count` weights, summed `chunk` at a time, in
    /// float32.
    pub fn new(count: usize, block: usize, gradients: usize, chunk: usize) -> Self {
        Self::with_precision(count, block, gradients, chunk, Precision::F32)
    }

    /// An estimate that buffers gradients in the given precision. With fewer gradients than weights in a block it
    /// keeps all of them, in float32 whatever the precision.
    pub fn with_precision(
        count: usize,
        block: usize,
        gradients: usize,
        chunk: usize,
        precision: Precision,
    ) -> Self {
        let few = gradients < block;
        let kind = if few { Kind::Gradients } else { Kind::Fisher(Fisher::new(count, block)) };
        let buffer = match precision {
            Precision::Bf16 if !few => Chunk::Bf16(Vec::new()),
            _ => Chunk::F32(Vec::new()),
        };
        let capacity = if few { gradients } else { chunk.min(gradients).max(1) };
        let ill_conditioned = IllConditioned::new(count, block);
        HostEstimate { count, block, kind, chunk: buffer, capacity, finite: true, ill_conditioned }
    }

    /// Adds a gradient `[count]` in the Hugging Face layout.
    ///
    /// # Panics
    /// If it has not as many elements as the parameter.
    pub fn add(&mut self, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.count, "elements of a gradient");
        self.finite &= gradient.iter().all(|g| g.is_finite());
        let (stride, capacity) = (stride(self.count), self.capacity);
        match &mut self.chunk {
            Chunk::F32(rows) => push(rows, gradient.iter().copied(), stride, capacity),
            Chunk::Bf16(rows) => push(rows, gradient.iter().map(|g| bf16::from_f32(*g)), stride, capacity),
        }
        if self.buffered() >= self.capacity {
            self.flush();
        }
    }

    /// Adds several gradients: to `Σ g gᵀ` without buffering them, or to the buffer if that holds all gradients.
    ///
    /// # Panics
    /// If one has fewer elements than the parameter.
    pub fn add_chunk<T: AsRef<[f32]> + Sync>(&mut self, gradients: &[T]) {
        match &mut self.kind {
            Kind::Fisher(fisher) => fisher.add(gradients),
            Kind::Gradients => gradients.iter().for_each(|g| self.add(&g.as_ref()[..self.count])),
        }
    }

    /// Sets the QR factors of the gradients of ill-conditioned blocks.
    pub fn set_factors(&mut self, factors: QrFactors) {
        self.ill_conditioned.extend(factors);
    }

    /// Removes all QR factors. The factors are valid for the gradients so far; the list of ill-conditioned blocks is
    /// valid for one dampening.
    pub fn clear_factors(&mut self) {
        self.ill_conditioned.clear();
    }

    /// Whether a block was recomputed in float64.
    pub(super) fn is_ill_conditioned(&self, block: usize) -> bool {
        self.ill_conditioned.contains(block)
    }

    /// Whether every gradient of [`HostEstimate::add`] and of the QR factors was finite.
    pub(super) fn is_finite(&self) -> bool {
        self.finite && self.ill_conditioned.is_finite()
    }

    /// Whether all gradients were zero.
    pub(super) fn is_zero(&self) -> bool {
        match (&self.kind, &self.chunk) {
            (Kind::Fisher(fisher), _) => fisher.is_zero(),
            (Kind::Gradients, Chunk::F32(rows)) => rows.iter().all(|g| *g == 0.0),
            (Kind::Gradients, Chunk::Bf16(_)) => false,
        }
    }

    fn buffered(&self) -> usize {
        let length = match &self.chunk {
            Chunk::F32(rows) => rows.len(),
            Chunk::Bf16(rows) => rows.len(),
        };
        length / stride(self.count)
    }

    /// Sums the buffered gradients.
    pub(super) fn flush(&mut self) {
        let Kind::Fisher(fisher) = &mut self.kind else { return };
        self.chunk.add_to(fisher, self.count);
        self.chunk.clear();
    }

    /// Sums the buffered gradients and frees the buffer, after the last gradient.
    pub fn finish(&mut self) {
        if let Kind::Fisher(_) = self.kind {
            self.flush();
            self.chunk = Chunk::F32(Vec::new());
        }
    }

    /// The estimate from the gradients so far. If a sum does not contain the buffered gradients yet, this is a copy
    /// that does, with the memory of another Fisher matrix. `self` keeps its buffer, so that the call does not
    /// change the order, and hence the rounding, of later sums.
    pub(super) fn so_far(&self) -> Cow<'_, HostEstimate> {
        let Kind::Fisher(fisher) = &self.kind else { return Cow::Borrowed(self) };
        if self.buffered() == 0 {
            return Cow::Borrowed(self);
        }
        let mut fisher = fisher.clone();
        self.chunk.add_to(&mut fisher, self.count);
        Cow::Owned(HostEstimate {
            count: self.count,
            block: self.block,
            kind: Kind::Fisher(fisher),
            chunk: Chunk::F32(Vec::new()),
            capacity: self.capacity,
            finite: self.finite,
            ill_conditioned: self.ill_conditioned.clone(),
        })
    }

    /// The Woodbury form of a block, restricted to the weights whose `kept` is true, from the block's QR factor or else
    /// from all gradients. `None` if there is neither, or the block cannot be factored.
    pub(super) fn woodbury(&self, block: usize, kept: &[bool], settings: &Settings) -> Option<WoodburyBlock> {
        if self.ill_conditioned.contains(block) {
            return self.ill_conditioned.woodbury(block, kept, settings);
        }
        let Chunk::F32(rows) = &self.chunk else { return None };
        let (start, width) = (block * self.block, self.block.min(self.count - block * self.block));
        let rows = rows
            .chunks(stride(self.count))
            .map(|row| restricted(row[start..].iter().map(|g| f64::from(*g)), kept, width))
            .collect();
        WoodburyBlock::new(rows, settings.divisor as f64, settings.damp, width)
    }
}

/// Elements from one buffered row to the next: an odd number of cache lines, so that the same column of all rows
/// does not map to the same cache set. For long rows that number is congruent to [`ODD`] modulo [`SPREAD`]; if it were
/// congruent to 1, neighbouring lines of neighbouring rows would evict each other.
fn stride(count: usize) -> usize {
    const WIDTH: usize = LINE / 4;
    let lines = count.div_ceil(WIDTH) | 1;
    let spread = (lines + SPREAD - ODD).next_multiple_of(SPREAD) - SPREAD + ODD;
    (if count < LONG { lines } else { spread }) * WIDTH
}

/// Elements from which on a row is long; the memory plan of `Obs::passes` uses the same number.
const LONG: usize = 1 << 16;
/// The number of sets of an L1 cache.
const SPREAD: usize = 64;
/// Cache lines from one long row to the next, modulo [`SPREAD`].
const ODD: usize = 37;

fn push<T: Copy + Default>(
    rows: &mut Vec<T>,
    gradient: impl Iterator<Item = T>,
    stride: usize,
    capacity: usize,
) {
    if rows.capacity() < capacity * stride {
        rows.reserve_exact(capacity * stride - rows.len());
    }
    rows.extend(gradient);
    rows.resize(rows.len().next_multiple_of(stride), T::default());
}

struct Strided<'a, T> {
    values: &'a [T],
    stride: usize,
    count: usize,
}

impl<T: Stored> Rows for Strided<'_, T> {
    type Value = T;

    fn count(&self) -> usize {
        self.values.len() / self.stride
    }

    #[inline(always)]
    fn row(&self, index: usize) -> &[T] {
        &self.values[index * self.stride..][..self.count]
    }

    #[inline(always)]
    fn prefetch(&self, index: usize, place: usize) {
        prefetch(self.values, index.wrapping_mul(self.stride).wrapping_add(place));
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_over_the_caches_within_the_memory_that_is_planned() {
        for count in (1..200).chain(LONG - 40..LONG + 2000).chain([147_456, 589_824, 2_359_296]) {
            let (stride, extra) = (stride(count), if count < LONG { 31 } else { 1039 });
            assert!((count..=count + extra).contains(&stride), "{stride} for {count}");
            let lines = stride / 16;
            assert!(lines % 2 == 1 && (count < LONG || lines % SPREAD == ODD), "{lines} lines for {count}");
        }
    }
}
