//! One tensor's rounding: what it has seen, and what it does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fake_quant::{Channels, Rounder};
use super::observer::{MovingAverage, Range};
use super::scheme::Grid;

/// What a model computes for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// To be measured, to teach, or to be pruned: nothing is observed.
    #[default]
    Computing,
    /// To learn: what is rounded is observed too.
    Training,
    /// To be observed before rounding begins: what is not rounded yet is observed.
    Calibrating,
}

/// How far a quantizer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It waits: calibration is observed, and nothing rounded.
    Waiting,
    /// It rounds, and observes while training.
    Rounding,
    /// It rounds with scales that are fixed.
    Fixed,
}

/// Rounds one tensor of a model, whose ranges it observes.
///
/// Clones of a model share it: it changes behind a lock.
#[derive(Debug)]
pub struct Quantizer {
    grid: Grid,
    channels: Channels,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    stand: Stand,
    average: MovingAverage,
    rounder: Option<Arc<Rounder>>,
    /// Whether ranges were seen that are not finite.
    trouble: bool,
}

impl Quantizer {
    /// A quantizer that has seen nothing and waits.
    pub fn new(grid: Grid, channels: Channels) -> Self {
        Self::restored(grid, channels, Stand::Waiting, Vec::new())
    }

    /// A quantizer as it was; no ranges if it had seen nothing.
    pub fn restored(grid: Grid, channels: Channels, stand: Stand, ranges: Vec<Range>) -> Self {
        let rounder = (!ranges.is_empty()).then(|| Arc::new(Rounder::of(grid, &ranges)));
        let average = MovingAverage::of(ranges);
        Quantizer { grid, channels, state: Mutex::new(State { stand, average, rounder, trouble: false }) }
    }

    /// A quantizer with scales that are known, for good.
    pub fn fixed(rounder: Rounder, channels: Channels) -> Self {
        let (grid, average) = (rounder.grid, MovingAverage::default());
        let rounder = Some(Arc::new(rounder));
        let state = State { stand: Stand::Fixed, average, rounder, trouble: false };
        Quantizer { grid, channels, state: Mutex::new(state) }
    }

    /// A quantizer of its own in the same state.
    pub fn copied(&self) -> Self {
        Quantizer { grid: self.grid, channels: self.channels, state: Mutex::new(self.state().clone()) }
    }

    /// The integers that it rounds to.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// What shares a scale.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// How far it has come.
    pub fn stand(&self) -> Stand {
        self.state().stand
    }

    /// Goes on to rounding, or fixes its scales.
    pub fn set_stand(&self, stand: Stand) {
        self.state().stand = stand;
    }

    /// The observed ranges; none if nothing was observed.
    pub fn ranges(&self) -> Vec<Range> {
        self.state().average.ranges().to_vec()
    }

    /// Whether it could round: whether its scales are known.
    pub fn has_scales(&self) -> bool {
        self.state().rounder.is_some()
    }

    /// The rounding, if it has begun and the scales are known.
    pub fn rounder(&self) -> Option<Arc<Rounder>> {
        let state = self.state();
        state.rounder.clone().filter(|_| state.stand != Stand::Waiting)
    }

    /// Whether ranges were seen that are not finite; they were left out.
    pub fn is_in_trouble(&self) -> bool {
        self.state().trouble
    }

    /// Whether a tensor that passes in this phase is observed.
    pub fn observes(&self, phase: Phase) -> bool {
        matches!(
            (phase, self.state().stand),
            (Phase::Training, Stand::Rounding) | (Phase::Calibrating, Stand::Waiting)
        )
    }

    /// Takes in the ranges of a tensor.
    pub fn observe(&self, ranges: &[Range]) {
        let mut state = self.state();
        let mut average = state.average.clone();
        average.observe(ranges);
        let rounder = Rounder::of(self.grid, average.ranges());
        let is_sound = ranges.iter().all(|range| range.is_finite());
        if is_sound && rounder.scales.iter().all(|scale| scale.is_finite()) {
            (state.average, state.rounder) = (average, Some(Arc::new(rounder)));
        } else {
            state.trouble = true;
        }
    }

    /// A tensor passes: it is observed if this is the phase for it. Returns how it is rounded, if it is.
    pub fn pass(&self, phase: Phase, ranges: impl FnOnce() -> Vec<Range>) -> Option<Arc<Rounder>> {
        if self.observes(phase) {
            self.observe(&ranges());
        }
        self.rounder()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while it held the lock had not begun to write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
