//! Sequences laid out in groups and tiles of tokens.
//!
//! A group is sixteen tokens, one in each lane. Every sequence begins a group, and is padded to no more
//! than that; groups of all sequences stand in a row, cut into tiles of up to four.

use std::ops::Range;

use crate::infer::simd::LANES;

/// Groups in the widest tile.
pub const WIDEST: usize = 4;

/// Where a sequence lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first group.
    pub first: usize,
    /// Its groups.
    pub groups: usize,
    /// Its tokens.
    pub tokens: usize,
}

/// Groups of sequences, and tiles of groups.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    /// Sequences in order.
    pub spans: Vec<Span>,
    /// All groups.
    pub groups: usize,
    /// Groups in a tile; the last one may have fewer.
    pub width: usize,
}

/// How many groups so many tokens take.
pub fn groups_of(tokens: usize) -> usize {
    tokens.div_ceil(LANES)
}

impl Arrangement {
    /// Lays out sequences of these lengths for so many threads.
    pub fn lay(&mut self, lengths: impl Iterator<Item = usize>, threads: usize) {
        self.spans.clear();
        self.groups = 0;
        for tokens in lengths {
            let groups = groups_of(tokens);
            self.spans.push(Span { first: self.groups, groups, tokens });
            self.groups += groups;
        }
        self.width = width(self.groups, threads);
    }

    /// How many tiles there are.
    pub fn tiles(&self) -> usize {
        self.groups.div_ceil(self.width.max(1))
    }

    /// The groups of a tile.
    pub fn tile(&self, tile: usize) -> Range<usize> {
        tile * self.width..((tile + 1) * self.width).min(self.groups)
    }

    /// The parts of a sequence that lie in one tile each: the tile and the groups, counted from the
    /// sequence's first one.
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

    /// The sequence of a group.
    pub fn span_of(&self, group: usize) -> Span {
        let after = self.spans.partition_point(|s| s.first <= group);
        self.spans[after.max(1) - 1]
    }
}

/// The width of tiles with which so many groups are done first. A narrow tile reads each weight for fewer
/// tokens, a wide one leaves threads without work.
fn width(groups: usize, threads: usize) -> usize {
    let time = |width: usize| groups.div_ceil(width).div_ceil(threads) as f64 * (width as f64 + 0.6);
    (1..=WIDEST).rev().min_by(|a, b| time(*a).total_cmp(&time(*b))).unwrap_or(WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_begins_a_group_and_may_lie_in_several_tiles() {
        let mut laid = Arrangement::default();
        laid.lay([50, 3, 33].into_iter(), 1);
        assert_eq!((laid.groups, laid.width, laid.tiles()), (8, 4, 2));
        assert_eq!(laid.spans[2], Span { first: 5, groups: 3, tokens: 33 });
        let pieces: Vec<_> = laid.pieces(laid.spans[0]).collect();
        assert_eq!(pieces, [(0, 0..4)]);
        laid.lay([60, 90].into_iter(), 1);
        let pieces: Vec<_> = laid.pieces(laid.spans[1]).collect();
        assert_eq!(pieces, [(2, 0..2), (3, 2..4), (4, 4..6)]);
        assert_eq!(laid.span_of(3).first, 0);
        assert_eq!(laid.span_of(4).first, 4);
    }

    #[test]
    fn tiles_are_narrow_where_threads_would_have_nothing_to_do() {
        assert_eq!(width(8, 2), 4);
        assert_eq!(width(4, 2), 2);
        assert_eq!(width(4, 1), 4);
        assert_eq!(width(1, 8), 1);
    }
}
