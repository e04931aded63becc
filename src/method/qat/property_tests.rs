//! Fake quantization against recorded results of PyTorch (`tests/oracle/fake_quant.py`), and against float64.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use serde_json::Value;

use super::fake_quant::{Channels, QParams, fake_quantize};
use super::observer::{MovingAverage, Range};
use super::quantizer::{Mode, Phase, Quantizer};
use super::scheme::{Grid, LEAST_SCALE};

const RECORDED: &str = include_str!("../../../tests/golden/fake_quant/cases.json");

fn floats(value: &Value) -> Vec<f32> {
    let bits = value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap() as i32 as u32);
    bits.map(f32::from_bits).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn ranges(values: &[f32], width: usize) -> Vec<Range> {
    let of = |row: &[f32]| Range {
        low: row.iter().copied().fold(f32::INFINITY, f32::min),
        high: row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    };
    values.chunks(width).map(of).collect()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn scales_values_and_gradients_are_pytorchs_bit_for_bit() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let device = Device::flex().autodiff();
    let cases = recorded["cases"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let of = |name: &str| floats(&case[name]);
        let what = format!("{} bits {} {}", case["name"], case["bits"], case["symmetric"]);
        let per_channel = case["per_channel"].as_bool().unwrap();
        let grid = Grid {
            bits: case["bits"].as_u64().unwrap() as u32,
            symmetric: case["symmetric"].as_bool().unwrap(),
        };
        let width = if per_channel { 8 } else { 40 };
        let mut average = MovingAverage::default();
        let steps = case["batches"].as_array().unwrap().iter().zip(case["observed"].as_array().unwrap());
        for (batch, observed) in steps {
            average.observe(&ranges(&floats(batch), width));
            let qparams = QParams::of(grid, average.ranges());
            assert_eq!(bits(&qparams.scales), bits(&floats(&observed["scale"])), "scales of {what}");
            assert_eq!(i64::from(qparams.zero), observed["zero"][0].as_i64().unwrap(), "zero of {what}");
        }
        let qparams = QParams::of(grid, average.ranges());
        let x = of("x");
        let mut in_place = x.clone();
        qparams.fake_quantize_rows(&mut in_place, width);
        assert_eq!(bits(&in_place), bits(&of("y")), "values of {what}");
        // As Burn holds a linear layer's weight, and as it holds anything else.
        for transposed in [false, true] {
            let turned = |t: Tensor<2>| if transposed { t.transpose() } else { t };
            let tensor = |v: Vec<f32>| turned(Tensor::from_data(TensorData::new(v, [5, 8]), &device));
            let channels = match (per_channel, transposed) {
                (false, _) => Channels::All,
                (true, false) => Channels::Rows,
                (true, true) => Channels::Columns,
            };
            let leaf = tensor(x.clone()).detach().require_grad();
            let y = fake_quantize(leaf.clone(), &qparams, channels);
            assert_eq!(bits(&values(turned(y.clone()))), bits(&of("y")), "tensors of {what}");
            let gradients = (y * tensor(of("upstream"))).sum().backward();
            let gradient = values(turned(leaf.grad(&gradients).unwrap()));
            // A gradient that does not pass is zero, of whatever sign.
            let same = gradient.iter().zip(of("gradient")).all(|(a, b)| *a == b);
            assert!(same, "gradient of {what}: {gradient:?}");
        }
    }
}

#[test]
fn a_range_that_is_not_finite_is_reported_and_changes_nothing() {
    let quantizer = Quantizer::new(Grid { bits: 8, symmetric: false }, Channels::All);
    quantizer.observe(&[Range { low: -1.0, high: 1.0 }]);
    let before = quantizer.ranges();
    for (low, high) in [(f32::NAN, 1.0), (-1.0, f32::INFINITY)] {
        let quantizer = quantizer.copied();
        quantizer.observe(&[Range { low, high }]);
        assert!(quantizer.has_nonfinite_range());
        assert_eq!(quantizer.ranges(), before);
    }
    assert!(!quantizer.has_nonfinite_range());
    // Finite ends, and a scale that is not.
    let fresh = Quantizer::new(Grid { bits: 8, symmetric: false }, Channels::All);
    fresh.observe(&[Range { low: -3e38, high: 3e38 }]);
    assert!(fresh.has_nonfinite_range() && !fresh.has_scales());
}

#[test]
fn a_quantizer_observes_by_phase_and_mode_and_quantizes_only_after_an_observation() {
    let quantizer = Quantizer::new(Grid { bits: 8, symmetric: true }, Channels::All);
    let seen = |n: f32| move || vec![Range { low: -n, high: n }];
    assert!(quantizer.pass(Phase::Training, seen(9.0)).is_none(), "it waits");
    assert!(quantizer.pass(Phase::Calibrating, seen(1.0)).is_none(), "it is observed and not rounded");
    assert_eq!(quantizer.ranges(), [Range { low: -1.0, high: 1.0 }]);
    quantizer.set_mode(Mode::FakeQuantize);
    assert!(quantizer.pass(Phase::Evaluating, seen(9.0)).is_some());
    assert!(quantizer.pass(Phase::Calibrating, seen(9.0)).is_some());
    assert_eq!(quantizer.ranges(), [Range { low: -1.0, high: 1.0 }], "measuring observes nothing");
    quantizer.pass(Phase::Training, seen(2.0));
    assert_eq!(quantizer.ranges()[0].high, 1.0 + 0.01 * (2.0 - 1.0));
    quantizer.set_mode(Mode::Frozen);
    let fixed = quantizer.pass(Phase::Training, seen(9.0)).unwrap();
    assert_eq!(fixed.scales, [1.01 / 127.5]);
    let fresh = Quantizer::restored(quantizer.grid(), Channels::All, Mode::FakeQuantize, Vec::new());
    assert!(fresh.pass(Phase::Evaluating, seen(1.0)).is_none(), "nothing was seen");
}

#[test]
fn a_tensor_of_zeros_stays_zeros() {
    for symmetric in [true, false] {
        let grid = Grid { bits: 8, symmetric };
        let qparams = QParams::of(grid, &[Range { low: 0.0, high: 0.0 }]);
        assert_eq!(qparams.scales, [LEAST_SCALE]);
        let mut zeros = [0.0; 3];
        qparams.fake_quantize_rows(&mut zeros, 3);
        assert_eq!(bits(&zeros), [0; 3]);
    }
}

proptest! {
    /// Against the definition in float64: the nearest step, at most half a step away or at an end of the range. Zero is
    /// a fixed point, and fake quantization is idempotent.
    #[test]
    fn fake_quantization_rounds_to_the_nearest_step(
        bits in 2u32..=8,
        symmetric: bool,
        ends in (-100.0f32..100.0, 0.001f32..100.0),
        x in prop::collection::vec(-300.0f32..300.0, 1..40),
    ) {
        let grid = Grid { bits, symmetric };
        let range = Range { low: ends.0, high: ends.0 + ends.1 };
        let qparams = QParams::of(grid, &[range]);
        let (scale, zero) = (f64::from(qparams.scales[0]), f64::from(qparams.zero));
        let (low, high) = ((f64::from(grid.least()) - zero) * scale, (f64::from(grid.greatest()) - zero) * scale);
        prop_assert!(low <= 1e-9 && high >= -1e-9, "zero lies in the range");
        let mut rounded = x.clone();
        qparams.fake_quantize_rows(&mut rounded, x.len());
        for (x, y) in x.iter().zip(&rounded) {
            let exact = f64::from(*x).clamp(low, high);
            prop_assert!((f64::from(*y) - exact).abs() <= scale * (0.5 + 1e-4), "{x} becomes {y}");
            let steps = f64::from(*y) / scale;
            prop_assert!((steps - steps.round()).abs() < 1e-4);
        }
        let mut again = rounded.clone();
        qparams.fake_quantize_rows(&mut again, x.len());
        prop_assert_eq!(super::property_tests::bits(&again), super::property_tests::bits(&rounded));
        let mut nothing = [0.0f32];
        qparams.fake_quantize_rows(&mut nothing, 1);
        prop_assert_eq!(nothing[0].to_bits(), 0);
    }
}
