//! The quantizer of one tensor: its observer, its quantization parameters, and its mode.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fake_quant::{Channels, QParams};
use super::observer::{MovingAverage, Range};
use super::scheme::Grid;

/// The purpose of a forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Evaluation, a teacher's outputs, or gradients for pruning: no quantizer observes.
    #[default]
    Evaluating,
    /// Training: quantizers in [`Mode::FakeQuantize`] observe.
    Training,
    /// Calibration before quantization begins: quantizers in [`Mode::ObserveOnly`] observe.
    Calibrating,
}

/// What a quantizer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It observes during calibration and does not quantize.
    ObserveOnly,
    /// It fake-quantizes, and observes during training.
    FakeQuantize,
    /// It fake-quantizes with frozen quantization parameters.
    Frozen,
}

/// Observes the ranges of one tensor of a model and fake-quantizes it (PyTorch's `torch.ao.quantization.FakeQuantize`).
///
/// Clones of a model share it; its state is behind a lock.
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
    /// Whether a range with an infinite or NaN end was observed.
    saw_nonfinite: bool,
}

impl Quantizer {
    /// A quantizer that has observed nothing, in [`Mode::ObserveOnly`].
    pub fn new(grid: Grid, channels: Channels) -> Self {
        Self::restored(grid, channels, Mode::ObserveOnly, Vec::new())
    }

    /// A quantizer restored from a checkpoint; `ranges` are empty if it had observed nothing.
    pub fn restored(grid: Grid, channels: Channels, mode: Mode, ranges: Vec<Range>) -> Self {
        let qparams = (!ranges.is_empty()).then(|| Arc::new(QParams::of(grid, &ranges)));
        let average = MovingAverage::of(ranges);
        Quantizer {
            grid,
            channels,
            state: Mutex::new(State { mode, average, qparams, saw_nonfinite: false }),
        }
    }

    /// A quantizer with the given parameters, frozen.
    pub fn fixed(qparams: QParams, channels: Channels) -> Self {
        let (grid, average) = (qparams.grid, MovingAverage::default());
        let qparams = Some(Arc::new(qparams));
        let state = State { mode: Mode::Frozen, average, qparams, saw_nonfinite: false };
        Quantizer { grid, channels, state: Mutex::new(state) }
    }

    /// A copy of this quantizer that does not share its state.
    pub fn copied(&self) -> Self {
        Quantizer { grid: self.grid, channels: self.channels, state: Mutex::new(self.state().clone()) }
    }

    /// The quantization scheme.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Which values share a scale.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.state().mode
    }

    /// Sets the mode.
    pub fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    /// The averaged ranges; empty if nothing was observed.
    pub fn ranges(&self) -> Vec<Range> {
        self.state().average.ranges().to_vec()
    }

    /// Whether quantization parameters are known, in any mode.
    pub fn has_scales(&self) -> bool {
        self.state().qparams.is_some()
    }

    /// The quantization parameters, if they are known and the mode fake-quantizes.
    pub fn qparams(&self) -> Option<Arc<QParams>> {
        let state = self.state();
        state.qparams.clone().filter(|_| state.mode != Mode::ObserveOnly)
    }

    /// Whether a range with an infinite or NaN end was observed. Such ranges do not enter the averages.
    pub fn has_nonfinite_range(&self) -> bool {
        self.state().saw_nonfinite
    }

    /// Whether tensors are observed in this phase.
    pub fn observes(&self, phase: Phase) -> bool {
        matches!(
            (phase, self.state().mode),
            (Phase::Training, Mode::FakeQuantize) | (Phase::Calibrating, Mode::ObserveOnly)
        )
    }

    /// Updates averages and quantization parameters by the ranges of a tensor, if they are finite.
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

    /// Observes a tensor if the phase asks for it, and returns the parameters with which to fake-quantize it, if the
    /// mode does. `ranges` computes the tensor's ranges.
    pub fn pass(&self, phase: Phase, ranges: impl FnOnce() -> Vec<Range>) -> Option<Arc<QParams>> {
        if self.observes(phase) {
            self.observe(&ranges());
        }
        self.qparams()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked while it held the lock had not begun to write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
