//! Products of weights with tiles of activations.
//!
//! An activation panel is `[steps][groups]` of 64 bytes: a step is four consecutive inputs as bytes, or one
//! input as a float; a group is sixteen tokens. A weight is four bytes too: four signed bytes of
//! consecutive inputs, or one float. So dense products of both kinds are one loop.
//!
//! A dense product holds a tile of `ROWS × GROUPS` sums in registers; each load of activations serves
//! all rows, each weight all groups. A sparse one walks along the blocks of a row and holds one row's sums:
//! one load of activations for each step that is not zero.

// Counted loops over registers: an iterator that is not inlined costs tenfold.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::infer::simd::{Floats, Ints, Quads, Simd, Work};

/// What a product multiplies: bytes or floats.
pub trait Kind: Copy {
    /// Sixteen sums in memory.
    type Sums;
    /// One step of sixteen tokens.
    type Step;
    /// The weight of one step.
    type Weight: Copy;
    /// Sixteen sums in registers.
    type Acc<S: Simd>: Copy;

    /// Nothing summed yet.
    fn zero<S: Simd>(simd: S) -> Self::Acc<S>;
    /// Adds the product of one step.
    ///
    /// # Safety
    /// `step` must be readable.
    unsafe fn add<S: Simd>(
        simd: S,
        acc: Self::Acc<S>,
        step: *const Self::Step,
        weight: Self::Weight,
    ) -> Self::Acc<S>;
    /// Writes the sums.
    fn store<S: Simd>(simd: S, acc: Self::Acc<S>, to: &mut Self::Sums);
}

/// Unsigned bytes of activations, signed bytes of weights.
#[derive(Clone, Copy, Debug)]
pub struct OfBytes;

/// Floats.
#[derive(Clone, Copy, Debug)]
pub struct OfFloats;

impl Kind for OfBytes {
    type Sums = Ints;
    type Step = Quads;
    type Weight = [i8; 4];
    type Acc<S: Simd> = S::I;

    #[inline(always)]
    fn zero<S: Simd>(simd: S) -> S::I {
        simd.splat_int(0)
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(simd: S, acc: S::I, step: *const Quads, weight: [i8; 4]) -> S::I {
        // No closure here: one that is not inlined would cost more than the product.
        // SAFETY: four bytes are an integer, and a step is 64 bytes.
        unsafe { simd.dot(acc, step.cast(), i32::from_le(std::mem::transmute::<[i8; 4], i32>(weight))) }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, acc: S::I, to: &mut Ints) {
        simd.store_int(acc, to);
    }
}

impl Kind for OfFloats {
    type Sums = Floats;
    type Step = Floats;
    type Weight = f32;
    type Acc<S: Simd> = S::F;

    #[inline(always)]
    fn zero<S: Simd>(simd: S) -> S::F {
        simd.splat(0.0)
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(simd: S, acc: S::F, step: *const Floats, weight: f32) -> S::F {
        // SAFETY: a step is sixteen floats.
        unsafe { simd.multiply_add(acc, step.cast(), weight) }
    }
    #[inline(always)]
    fn store<S: Simd>(simd: S, acc: S::F, to: &mut Floats) {
        simd.store(acc, to);
    }
}

/// Activations `[steps][width]`, of which a product takes the groups `groups`.
#[derive(Clone, Debug)]
pub struct Panel<'a, T> {
    /// All steps of all groups.
    pub steps: &'a [T],
    /// Groups in a step.
    pub width: usize,
    /// The groups that are multiplied.
    pub groups: Range<usize>,
}

impl<T> Panel<'_, T> {
    /// Checked once for each product: after this, `step < count` and a group of the range lie inside.
    fn check(&self, count: usize) {
        assert!(self.groups.start <= self.groups.end && self.groups.end <= self.width, "groups of a panel");
        assert!(self.steps.len() >= count * self.width, "a panel has too few steps");
    }
}

/// Weights in which row `r` has at step `s` the element `r * row + s * step`.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a, W> {
    /// All weights.
    pub weights: &'a [W],
    /// From one row to the next.
    pub row: usize,
    /// From one step to the next.
    pub step: usize,
    /// Steps in a row.
    pub steps: usize,
}

/// The product of dense rows with a panel: `sums[row][group]`.
///
/// # Panics
/// If a row, a step or a group lies outside what was given.
#[inline(always)]
pub fn dense<S: Simd, K: Kind>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    rows: Range<usize>,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    simd.apart(DenseRows::<K> { matrix, rows, panel, sums });
}

struct DenseRows<'a, K: Kind> {
    matrix: Dense<'a, K::Weight>,
    rows: Range<usize>,
    panel: &'a Panel<'a, K::Step>,
    sums: &'a mut [K::Sums],
}

impl<K: Kind> Work for DenseRows<'_, K> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        all_rows::<S, K>(simd, self.matrix, self.rows, self.panel, self.sums);
    }
}

#[inline(always)]
fn all_rows<S: Simd, K: Kind>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    rows: Range<usize>,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    let width = panel.groups.len();
    if rows.is_empty() || width == 0 {
        return;
    }
    panel.check(matrix.steps);
    assert!(sums.len() >= rows.len() * width, "too few sums");
    let last = (rows.end - 1) * matrix.row + matrix.steps.saturating_sub(1) * matrix.step;
    assert!(matrix.steps == 0 || last < matrix.weights.len(), "a row lies outside the weights");
    let mut row = rows.start;
    while row < rows.end {
        let height = S::ROWS.min(rows.end - row);
        let sums = &mut sums[(row - rows.start) * width..];
        // SAFETY: rows, steps and groups were checked above.
        unsafe {
            match height {
                6 => across::<S, K, 6>(simd, matrix, row, panel, sums),
                5 => across::<S, K, 5>(simd, matrix, row, panel, sums),
                4 => across::<S, K, 4>(simd, matrix, row, panel, sums),
                3 => across::<S, K, 3>(simd, matrix, row, panel, sums),
                2 => across::<S, K, 2>(simd, matrix, row, panel, sums),
                _ => across::<S, K, 1>(simd, matrix, row, panel, sums),
            }
        }
        row += if (2..=6).contains(&height) { height } else { 1 };
    }
}

/// One tile of rows across all groups.
#[inline(always)]
unsafe fn across<S: Simd, K: Kind, const R: usize>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    row: usize,
    panel: &Panel<'_, K::Step>,
    sums: &mut [K::Sums],
) {
    let mut group = panel.groups.start;
    while group < panel.groups.end {
        let many = S::GROUPS.min(panel.groups.end - group);
        let to = group - panel.groups.start;
        // SAFETY: the caller checked; `many` groups are left.
        unsafe {
            match many {
                4 => tile::<S, K, R, 4>(simd, matrix, row, panel, group, sums, to),
                3 => tile::<S, K, R, 3>(simd, matrix, row, panel, group, sums, to),
                2 => tile::<S, K, R, 2>(simd, matrix, row, panel, group, sums, to),
                _ => tile::<S, K, R, 1>(simd, matrix, row, panel, group, sums, to),
            }
        }
        group += if (2..=4).contains(&many) { many } else { 1 };
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, K: Kind, const R: usize, const T: usize>(
    simd: S,
    matrix: Dense<'_, K::Weight>,
    row: usize,
    panel: &Panel<'_, K::Step>,
    group: usize,
    sums: &mut [K::Sums],
    to: usize,
) {
    let mut acc = [[K::zero(simd); T]; R];
    // Wrapping arithmetic, so that a build with checks is fast too; the caller checked rows, steps and groups.
    let first = matrix.weights.as_ptr().wrapping_add(row.wrapping_mul(matrix.row));
    let mut weights = [first; R];
    for r in 1..R {
        weights[r] = weights[r - 1].wrapping_add(matrix.row);
    }
    let mut steps = panel.steps.as_ptr().wrapping_add(group);
    let mut left = matrix.steps;
    while left > 0 {
        for r in 0..R {
            // SAFETY: within the weights and the panel, as checked.
            unsafe {
                let weight = weights[r].read_unaligned();
                for t in 0..T {
                    acc[r][t] = K::add(simd, acc[r][t], steps.wrapping_add(t), weight);
                }
            }
            weights[r] = weights[r].wrapping_add(matrix.step);
        }
        steps = steps.wrapping_add(panel.width);
        left = left.wrapping_sub(1);
    }
    let width = panel.groups.len();
    for (r, acc) in acc.iter().enumerate() {
        for (t, acc) in acc.iter().enumerate() {
            K::store(simd, *acc, &mut sums[r * width + to + t]);
        }
    }
}

/// Rows of which only some blocks of four consecutive inputs are not zero.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Row `r` has the blocks `pointers[r]..pointers[r + 1]`.
    pointers: &'a [u32],
    /// Which four inputs each block stands for.
    places: &'a [u16],
    /// Its weights.
    words: &'a [[i8; 4]],
    /// Steps in a row.
    steps: usize,
}

impl<'a> Blocks<'a> {
    /// Rows with the given blocks.
    ///
    /// # Errors
    /// One sentence if pointers or places lead outside.
    pub fn new(
        pointers: &'a [u32],
        places: &'a [u16],
        words: &'a [[i8; 4]],
        steps: usize,
    ) -> Result<Self, String> {
        if places.len() != words.len() {
            return Err(format!("{} places for {} blocks", places.len(), words.len()));
        }
        if pointers.first() != Some(&0) || !pointers.is_sorted() {
            return Err("row pointers do not rise from 0".into());
        }
        if pointers.last().map(|last| *last as usize) != Some(places.len()) {
            return Err(format!("row pointers do not end at {} blocks", places.len()));
        }
        match places.iter().max() {
            Some(most) if usize::from(*most) >= steps => {
                Err(format!("a block lies at {most} of {steps} steps"))
            }
            _ => Ok(Blocks { pointers, places, words, steps }),
        }
    }

    /// The same without the pass over all places.
    ///
    /// # Safety
    /// Every place is less than `steps`: [`Blocks::new`] has accepted these arrays, and they have not
    /// changed since.
    ///
    /// # Panics
    /// If places and words differ in number.
    #[inline(always)]
    pub(in crate::infer) unsafe fn new_unchecked(
        pointers: &'a [u32],
        places: &'a [u16],
        words: &'a [[i8; 4]],
        steps: usize,
    ) -> Self {
        assert!(!pointers.is_empty() && places.len() == words.len(), "one place for each block");
        Blocks { pointers, places, words, steps }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.pointers.len() - 1
    }
}

/// Where the blocks of each row begin in strips of the panel. Rows of many inputs are multiplied strip by
/// strip, many rows at a time, so that a strip's activations stay in the nearest cache.
#[derive(Clone, Debug, Default)]
pub struct Strips {
    /// `[strips - 1][rows]`: the first block of the row that lies in a strip behind the first one.
    cuts: Vec<u32>,
    /// Rows.
    rows: usize,
}

/// Steps in a strip: 48 KiB of 64 tokens.
const STRIP: usize = 192;

impl Strips {
    /// Strips for a matrix; a single one if it has few inputs, or blocks of a row are out of order.
    pub fn of(matrix: &Blocks<'_>) -> Strips {
        let rows = matrix.rows();
        let row = |r: usize| matrix.pointers[r] as usize..matrix.pointers[r + 1] as usize;
        let count = matrix.steps.div_ceil(STRIP);
        let mut cuts = Vec::new();
        if count > 1 && (0..rows).all(|r| matrix.places[row(r)].is_sorted()) {
            for strip in 1..count {
                let before = |place: &u16| usize::from(*place) < strip * STRIP;
                let cut = |r: usize| row(r).start + matrix.places[row(r)].partition_point(before);
                cuts.extend((0..rows).map(|r| cut(r) as u32));
            }
        }
        Strips { cuts, rows }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.cuts.len() / self.rows.max(1)
    }

    /// The blocks of a row in a strip.
    #[inline(always)]
    fn part(&self, matrix: &Blocks<'_>, strip: usize, row: usize) -> (usize, usize) {
        let from = match strip {
            0 => matrix.pointers[row],
            _ => self.cuts[(strip - 1) * self.rows + row],
        };
        let to = match (strip + 1) * self.rows <= self.cuts.len() {
            true => self.cuts[strip * self.rows + row],
            false => matrix.pointers[row + 1],
        };
        (from as usize, to as usize)
    }
}

/// The product of sparse rows with a panel: `sums[row][group]`. The strips are those of the matrix.
///
/// # Panics
/// If a row or a group lies outside what was given.
#[inline(always)]
pub fn sparse<S: Simd>(
    simd: S,
    matrix: Blocks<'_>,
    strips: &Strips,
    rows: Range<usize>,
    panel: &Panel<'_, Quads>,
    sums: &mut [Ints],
) {
    simd.apart(SparseRows { matrix, strips, rows, panel, sums });
}

struct SparseRows<'a> {
    matrix: Blocks<'a>,
    strips: &'a Strips,
    rows: Range<usize>,
    panel: &'a Panel<'a, Quads>,
    sums: &'a mut [Ints],
}

impl Work for SparseRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        blocks_of_rows(simd, self.matrix, self.strips, self.rows, self.panel, self.sums);
    }
}

#[inline(always)]
fn blocks_of_rows<S: Simd>(
    simd: S,
    matrix: Blocks<'_>,
    strips: &Strips,
    rows: Range<usize>,
    panel: &Panel<'_, Quads>,
    sums: &mut [Ints],
) {
    let width = panel.groups.len();
    if rows.is_empty() || width == 0 {
        return;
    }
    panel.check(matrix.steps);
    assert!(rows.end <= matrix.rows(), "a row lies outside the matrix");
    assert!(strips.cuts.is_empty() || strips.rows == matrix.rows(), "strips of another matrix");
    assert!(sums.len() >= rows.len() * width, "too few sums");
    let mut group = panel.groups.start;
    while group < panel.groups.end {
        let many = (panel.groups.end - group).min(if S::GROUPS > 1 { S::GROUPS } else { 2 });
        let to = group - panel.groups.start;
        for strip in 0..strips.count() {
            for row in rows.clone() {
                let sums = &mut sums[(row - rows.start) * width + to..];
                let part = strips.part(&matrix, strip, row);
                assert!(part.0 <= part.1 && part.1 <= matrix.words.len(), "blocks outside the matrix");
                // SAFETY: rows, groups and blocks were checked above, places when the matrix was made.
                unsafe {
                    match many {
                        4 => along::<S, 4, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        3 => along::<S, 3, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        2 => along::<S, 2, 2>(simd, matrix, part, panel, group, strip > 0, sums),
                        _ => along::<S, 1, 4>(simd, matrix, part, panel, group, strip > 0, sums),
                    }
                }
            }
        }
        group += if (2..=4).contains(&many) { many } else { 1 };
    }
}

/// One sparse row with `T` groups. `U` blocks are multiplied into sums of their own, so that no product waits
/// for the one before it.
#[inline(always)]
unsafe fn along<S: Simd, const T: usize, const U: usize>(
    simd: S,
    matrix: Blocks<'_>,
    (from, to): (usize, usize),
    panel: &Panel<'_, Quads>,
    group: usize,
    go_on: bool,
    sums: &mut [Ints],
) {
    let mut acc = [[simd.splat_int(0); T]; U];
    let sums = &mut sums[..T];
    if go_on {
        for t in 0..T {
            acc[0][t] = simd.load_int(&sums[t]);
        }
    }
    let first = panel.steps.as_ptr().wrapping_add(group);
    // Pointers and wrapping arithmetic: a slice costs a row of twenty blocks as much as two of them.
    let mut places = matrix.places.as_ptr().wrapping_add(from);
    let mut words = matrix.words.as_ptr().wrapping_add(from);
    let mut left = to.wrapping_sub(from);
    while left >= U {
        for u in 0..U {
            // SAFETY: `from..to` are blocks of the matrix and the group is one of the panel's, as the caller
            // checked; places lie inside the panel, as was checked when the matrix was made.
            unsafe {
                let place = usize::from(places.wrapping_add(u).read_unaligned());
                let step = first.wrapping_add(place.wrapping_mul(panel.width));
                let word = words.wrapping_add(u).read_unaligned();
                for t in 0..T {
                    acc[u][t] = OfBytes::add(simd, acc[u][t], step.wrapping_add(t), word);
                }
            }
        }
        (places, words) = (places.wrapping_add(U), words.wrapping_add(U));
        left = left.wrapping_sub(U);
    }
    while left > 0 {
        // SAFETY: as above.
        unsafe {
            let step = first.wrapping_add(usize::from(places.read_unaligned()).wrapping_mul(panel.width));
            let word = words.read_unaligned();
            for t in 0..T {
                acc[0][t] = OfBytes::add(simd, acc[0][t], step.wrapping_add(t), word);
            }
        }
        (places, words) = (places.wrapping_add(1), words.wrapping_add(1));
        left = left.wrapping_sub(1);
    }
    for t in 0..T {
        let mut total = acc[0][t];
        for u in 1..U {
            total = simd.add_int(total, acc[u][t]);
        }
        simd.store_int(total, &mut sums[t]);
    }
}
