//! The layout of a batch of sequences in groups and tiles of tokens.
//!
//! A group is sixteen tokens, one in each lane. Each sequence begins with a new group and is padded to whole groups. The
//! groups of all sequences are numbered consecutively and divided into tiles of up to four.

use std::ops::Range;

use crate::infer::simd::LANES;

/// The largest number of groups in a tile.
pub const MAX_WIDTH: usize = 4;

/// A sequence of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Token ids, including special tokens (`input_ids`).
    pub ids: &'a [u32],
    /// The type of each token, 0 for the first text and 1 for the second (`token_type_ids`).
    pub types: &'a [u32],
}

/// The groups of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The index of its first group.
    pub first: usize,
    /// The number of its groups.
    pub groups: usize,
    /// The number of its tokens.
    pub tokens: usize,
}

/// The groups and tiles of a batch.
#[derive(Clone, Debug, Default)]
pub struct Tiling {
    /// The groups of each sequence.
    pub spans: Vec<Span>,
    /// The number of groups.
    pub groups: usize,
    /// The number of groups in a tile; the last one may have fewer.
    pub width: usize,
    /// Whether several threads share a tile, each with some outputs of a layer.
    pub shared: bool,
}

/// The number of groups for a number of tokens.
pub fn groups_of(tokens: usize) -> usize {
    tokens.div_ceil(LANES)
}

impl Tiling {
    /// Computes the layout of sequences of these lengths, for a number of threads.
    pub fn plan(&mut self, lengths: impl Iterator<Item = usize>, threads: usize) {
        self.spans.clear();
        self.groups = 0;
        for tokens in lengths {
            let groups = groups_of(tokens);
            self.spans.push(Span { first: self.groups, groups, tokens });
            self.groups += groups;
        }
        (self.width, self.shared) = division(self.groups, threads);
    }

    /// The number of tiles.
    pub fn tiles(&self) -> usize {
        self.groups.div_ceil(self.width.max(1))
    }

    /// The indices of a tile's groups.
    pub fn tile(&self, tile: usize) -> Range<usize> {
        tile * self.width..((tile + 1) * self.width).min(self.groups)
    }

    /// Splits a sequence at tile boundaries. Returns the index of each tile, and the range of the sequence's groups in
    /// it, counted from the first group of the sequence.
    pub fn pieces(&self, span: Span) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let (width, end) = (self.width, span.first + span.groups);
        let mut group = span.first;
        std::iter::from_fn(move || {
            if group >= end {
                return None;
            }
            let tile = group / width;
            let to = ((tile + 1) * width).min(end);
            let piece = (tile, group - span.first..to - span.first);
            group = to;
            Some(piece)
        })
    }

    /// The span of the sequence that contains a group.
    pub fn span_of(&self, group: usize) -> Span {
        let after = self.spans.partition_point(|s| s.first <= group);
        self.spans[after.max(1) - 1]
    }
}

/// The groups for each thread up to which tiles may be shared; more divide well.
pub const MOST_SHARED: usize = 16;

/// The tile width with the least estimated time for a number of groups, and whether threads share tiles. Narrow tiles load
/// each weight for fewer tokens, wide ones leave threads idle, and threads that share a tile wait for each other.
fn division(groups: usize, threads: usize) -> (usize, bool) {
    let of_tile = |width: usize| width as f64 + 0.6;
    let one_each = |width: usize| groups.div_ceil(width).div_ceil(threads) as f64 * of_tile(width);
    let shared = |width: usize| {
        let rest = groups % width;
        let rest = if rest > 0 { of_tile(rest) } else { 0.0 };
        ((groups / width) as f64 * of_tile(width) + rest) / threads as f64 + 0.1
    };
    let widths = (1..=MAX_WIDTH.min(groups.max(1))).rev();
    let choices = widths.clone().map(|width| (width, false, one_each(width)));
    let may_share = threads > 1 && groups <= MOST_SHARED * threads;
    let choices = choices.chain(widths.filter(|_| may_share).map(|width| (width, true, shared(width))));
    let best = choices.min_by(|(.., a), (.., b)| a.total_cmp(b));
    best.map_or((MAX_WIDTH, false), |(width, shared, _)| (width, shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_begins_with_a_group_and_may_span_several_tiles() {
        let mut tiling = Tiling::default();
        tiling.plan([50, 3, 33].into_iter(), 1);
        assert_eq!((tiling.groups, tiling.width, tiling.tiles()), (8, 4, 2));
        assert_eq!(tiling.spans[2], Span { first: 5, groups: 3, tokens: 33 });
        let pieces: Vec<_> = tiling.pieces(tiling.spans[0]).collect();
        assert_eq!(pieces, [(0, 0..4)]);
        tiling.plan([60, 90].into_iter(), 1);
        let pieces: Vec<_> = tiling.pieces(tiling.spans[1]).collect();
        assert_eq!(pieces, [(2, 0..2), (3, 2..4), (4, 4..6)]);
        assert_eq!(tiling.span_of(3).first, 0);
        assert_eq!(tiling.span_of(4).first, 4);
    }

    #[test]
    fn tiles_are_narrow_or_shared_where_threads_would_have_nothing_to_do() {
        assert_eq!(division(8, 2), (4, false));
        assert_eq!(division(4, 1), (4, false));
        assert_eq!(division(24, 2), (4, false));
        // One tile for two threads is better than narrow tiles, and three tiles than two and one.
        assert_eq!(division(2, 2), (2, true));
        assert_eq!(division(4, 2), (4, true));
        assert_eq!(division(12, 2), (4, true));
        assert_eq!(division(1, 8), (1, true));
        // The rest of many tiles is a small part.
        assert_eq!(division(4 * 33, 2), (4, false));
    }
}
