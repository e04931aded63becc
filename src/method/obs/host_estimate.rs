//! The estimate of one parameter's Fisher matrix, fed gradient by gradient.

use std::borrow::Cow;

use half::bf16;

use super::fisher::Fisher;
use super::ill_conditioned::{IllConditioned, restricted};
use super::panel::{Rows, Stored};
use super::prefetch::{LINE, prefetch};
use super::qr::QrFactors;
use super::settings::Settings;
use super::woodbury::WoodburyBlock;

/// In how many bits gradients wait until they are summed; sums are float32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    #[default]
    F32,
    /// bfloat16, rounded to the nearest: half the memory for the chunk, 8 bits of mantissa.
    Bf16,
}

impl Precision {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        }
    }
}

/// The estimate of one parameter's Fisher matrix.
#[derive(Clone, Debug)]
pub struct HostEstimate {
    pub(super) count: usize,
    pub(super) block: usize,
    pub(super) kind: Kind,
    chunk: Chunk,
    capacity: usize,
    finite: bool,
    ill_conditioned: IllConditioned,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Sums of outer products.
    Fisher(Fisher),
    /// All gradients, fewer than a block has weights.
    Gradients,
}

/// Gradients that wait, row by row.
#[derive(Clone, Debug)]
enum Chunk {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Chunk {
    /// Adds `Σ g gᵀ` over what waits.
    fn add_to(&self, fisher: &mut Fisher, count: usize) {
        let stride = stride(count);
        match self {
            Chunk::F32(values) => fisher.add(&Strided { values, stride, count }),
            Chunk::Bf16(values) => fisher.add(&Strided { values, stride, count }),
        }
    }

    /// Nothing waits any more; its memory stays for what comes.
    fn clear(&mut self) {
        match self {
            Chunk::F32(values) => values.clear(),
            Chunk::Bf16(values) => values.clear(),
        }
    }
}

impl HostEstimate {
    /// An estimate from `gradients` gradients of a parameter of `count` weights, summed `chunk` at a
    /// time.
    pub fn new(count: usize, block: usize, gradients: usize, chunk: usize) -> Self {
        Self::with_precision(count, block, gradients, chunk, Precision::F32)
    }

    /// The same, with gradients that wait in the given precision. Where there are fewer gradients
    /// than weights in a block they are kept in float32 all the same.
    pub fn with_precision(
        count: usize,
        block: usize,
        gradients: usize,
        chunk: usize,
        precision: Precision,
    ) -> Self {
        let few = gradients < block;
        let kind = if few { Kind::Gradients } else { Kind::Fisher(Fisher::new(count, block)) };
        let waiting = match precision {
            Precision::Bf16 if !few => Chunk::Bf16(Vec::new()),
            _ => Chunk::F32(Vec::new()),
        };
        let capacity = if few { gradients } else { chunk.min(gradients).max(1) };
        let ill_conditioned = IllConditioned::new(count, block);
        HostEstimate { count, block, kind, chunk: waiting, capacity, finite: true, ill_conditioned }
    }

    /// Takes in one gradient in the Hugging Face layout.
    ///
    /// # Panics
    /// If it has another number of elements than the parameter.
    pub fn add(&mut self, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.count, "elements of a gradient");
        self.finite &= gradient.iter().all(|g| g.is_finite());
        let (stride, capacity) = (stride(self.count), self.capacity);
        match &mut self.chunk {
            Chunk::F32(rows) => push(rows, gradient.iter().copied(), stride, capacity),
            Chunk::Bf16(rows) => push(rows, gradient.iter().map(|g| bf16::from_f32(*g)), stride, capacity),
        }
        if self.waiting() >= self.capacity {
            self.flush();
        }
    }

    /// Takes in several gradients at once, where they lie.
    ///
    /// # Panics
    /// If one has fewer elements than the parameter.
    pub fn add_chunk<T: AsRef<[f32]> + Sync>(&mut self, gradients: &[T]) {
        match &mut self.kind {
            Kind::Fisher(fisher) => fisher.add(gradients),
            Kind::Gradients => gradients.iter().for_each(|g| self.add(&g.as_ref()[..self.count])),
        }
    }

    /// Takes the square roots of blocks whose Fisher matrix lost too many digits.
    pub fn set_factors(&mut self, factors: QrFactors) {
        self.ill_conditioned.extend(factors);
    }

    /// Forgets all square roots: they belong to the gradients so far and to one damp.
    pub fn clear_factors(&mut self) {
        self.ill_conditioned.clear();
    }

    /// Whether a block is known by its square root.
    pub(super) fn is_ill_conditioned(&self, block: usize) -> bool {
        self.ill_conditioned.contains(block)
    }

    /// Whether every gradient was finite, as far as it was looked at.
    pub(super) fn is_finite(&self) -> bool {
        self.finite && self.ill_conditioned.is_finite()
    }

    /// Whether no gradient but zero was taken in.
    pub(super) fn is_zero(&self) -> bool {
        match (&self.kind, &self.chunk) {
            (Kind::Fisher(fisher), _) => fisher.is_zero(),
            (Kind::Gradients, Chunk::F32(rows)) => rows.iter().all(|g| *g == 0.0),
            (Kind::Gradients, Chunk::Bf16(_)) => false,
        }
    }

    fn waiting(&self) -> usize {
        let length = match &self.chunk {
            Chunk::F32(rows) => rows.len(),
            Chunk::Bf16(rows) => rows.len(),
        };
        length / stride(self.count)
    }

    /// Sums what waits.
    pub(super) fn flush(&mut self) {
        let Kind::Fisher(fisher) = &mut self.kind else { return };
        self.chunk.add_to(fisher, self.count);
        self.chunk.clear();
    }

    /// Sums what waits and gives back its memory: no gradient follows.
    pub fn finish(&mut self) {
        if let Kind::Fisher(_) = self.kind {
            self.flush();
            self.chunk = Chunk::F32(Vec::new());
        }
    }

    /// The estimate as if no gradient followed. This one stays as it is: what waits goes on waiting for
    /// the gradients that will be summed with it, so that sums over more of them are those of an estimate
    /// that never stopped, to the bit. Where something waits that takes the memory of another Fisher.
    pub(super) fn so_far(&self) -> Cow<'_, HostEstimate> {
        let Kind::Fisher(fisher) = &self.kind else { return Cow::Borrowed(self) };
        if self.waiting() == 0 {
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

    /// The dual of a block's gradients, restricted to the weights where `kept` holds: of a block that
    /// is known by its gradients or its root.
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

/// Numbers from one row to the next: whole cache lines, and an odd number of them, so that the same
/// place of all rows does not fall into the same corner of a cache. Long rows are spaced by an odd
/// number that spreads them over all of a cache: with 1 more than a multiple of its size, neighbouring
/// lines of neighbouring rows would push each other out.
fn stride(count: usize) -> usize {
    const WIDTH: usize = LINE / 4;
    let lines = count.div_ceil(WIDTH) | 1;
    let spread = (lines + SPREAD - ODD).next_multiple_of(SPREAD) - SPREAD + ODD;
    (if count < LONG { lines } else { spread }) * WIDTH
}

/// Rows of so many numbers are long; `Obs::passes` reckons with it.
const LONG: usize = 1 << 16;
/// Lines in the smallest cache's corner: one way of the first cache.
const SPREAD: usize = 64;
/// Lines from row to row, beyond a multiple of that.
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
    fn rows_are_spread_over_the_caches_within_what_plans_reckon_with() {
        for count in (1..200).chain(LONG - 40..LONG + 2000).chain([147_456, 589_824, 2_359_296]) {
            let (stride, extra) = (stride(count), if count < LONG { 31 } else { 1039 });
            assert!((count..=count + extra).contains(&stride), "{stride} for {count}");
            let lines = stride / 16;
            assert!(lines % 2 == 1 && (count < LONG || lines % SPREAD == ODD), "{lines} lines for {count}");
        }
    }
}
