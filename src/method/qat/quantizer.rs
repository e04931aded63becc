//! One tensor's rounding: what it has seen, and what it does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fake_quant::{Channels, QParams};
use super::observer::{MovingAverage, Range};
use super::scheme::Grid;

/// What a model computes for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// To be measured, to teach, or to be pruned: nothing is observed.
    #[default]
    Evaluating,
    /// To learn: what is rounded is observed too.
    Training,
    /// To be observed before rounding begins: what is not rounded yet is observed.
    Calibrating,
}

/// How far a quantizer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It waits: calibration is observed, and nothing rounded.
    ObserveOnly,
    /// It rounds, and observes while training.
    FakeQuantize,
    /// It rounds with scales that are fixed.
    Frozen,
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
    mode: Mode,
    average: MovingAverage,
    qparams: Option<Arc<QParams>>,
    /// Whether ranges were seen that are not finite.
    saw_nonfinite: bool,
}

impl Quantizer {
    /// A quantizer that has seen nothing and waits.
    pub fn new(grid: Grid, channels: Channels) -> Self {
        Self::restored(grid, channels, Mode::ObserveOnly, Vec::new())
    }

    /// A quantizer as it was; no ranges if it had seen nothing.
    pub fn restored(grid: Grid, channels: Channels, mode: Mode, ranges: Vec<Range>) -> Self {
        let qparams = (!ranges.is_empty()).then(|| Arc::new(QParams::of(grid, &ranges)));
        let average = MovingAverage::of(ranges);
        Quantizer {
            grid,
            channels,
            state: Mutex::new(State { mode, average, qparams, saw_nonfinite: false }),
        }
    }

    /// A quantizer with scales that are known, for good.
    pub fn fixed(qparams: QParams, channels: Channels) -> Self {
        let (grid, average) = (qparams.grid, MovingAverage::default());
        let qparams = Some(Arc::new(qparams));
        let state = State { mode: Mode::Frozen, average, qparams, saw_nonfinite: false };
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
    pub fn mode(&self) -> Mode {
        self.state().mode
    }

    /// Goes on to rounding, or fixes its scales.
    pub fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// The observed ranges; none if nothing was observed.
    pub fn ranges(&self) -> Vec<Range> {
        self.state().average.ranges().to_vec()
    }

    /// Whether it could round: whether its scales are known.
    pub fn has_scales(&self) -> bool {
        self.state().qparams.is_some()
    }

    /// The rounding, if it has begun and the scales are known.
    pub fn qparams(&self) -> Option<Arc<QParams>> {
        let state = self.state();
        state.qparams.clone().filter(|_| state.mode != Mode::ObserveOnly)
    }

    /// Whether ranges were seen that are not finite; they were left out.
    pub fn has_nonfinite_range(&self) -> bool {
        self.state().saw_nonfinite
    }

    /// Whether a tensor that passes in this phase is observed.
    pub fn observes(&self, phase: Phase) -> bool {
        matches!(
            (phase, self.state().mode),
            (Phase::Training, Mode::FakeQuantize) | (Phase::Calibrating, Mode::ObserveOnly)
        )
    }

    /// Takes in the ranges of a tensor.
    pub fn observe(&self, ranges: &[Range]) {
        let mut state = self.state();
        let mut average = state.average.clone();
        average.observe(ranges);
        let qparams = QParams::of(self.grid, average.ranges());
        let is_sound = ranges.iter().all(|range| range.is_finite());
        if is_sound && qparams.scales.iter().all(|scale| scale.is_finite()) {
            (state.average, state.qparams) = (average, Some(Arc::new(qparams)));
        } else {
            state.saw_nonfinite = true;
        }
    }

    /// A tensor passes: it is observed if this is the phase for it. Returns how it is rounded, if it is.
    pub fn pass(&self, phase: Phase, ranges: impl FnOnce() -> Vec<Range>) -> Option<Arc<QParams>> {
        if self.observes(phase) {
            self.observe(&ranges());
        }
        self.qparams()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while it held the lock had not begun to write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
