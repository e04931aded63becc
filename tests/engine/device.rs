//! The OBS pruner with tensors of a device, against the float64 reference and against the CPU kernels. The device is
//! the CPU backend; with `--features wgpu` also a GPU, if the machine has one.

use burn::tensor::{Device, Tensor, TensorData};
use obert::internals::engine::Estimates;
use obert::internals::method::mask::Mask;
use obert::internals::method::mask::select::{Selection, select, spread};
use obert::internals::method::obs::device::{DeviceEstimate, inverse_diagonal, score, update};
use obert::internals::method::obs::{ObsError, QrFactors, Scored, Settings};
use obert::internals::schedule::ir::{Criterion, Obs, Pattern, Rank, Update};
use serde_json::Value;

use super::golden_obs::{self, Run, compare, gradients, settings};
use super::surgery::{HIDDEN, INPUTS, MATRICES, obs, prune, pruned, run_on, zeros};

/// The estimate from some gradients, row by row.
fn estimate(rows: &[f32], count: usize, settings: &Settings, device: &Device) -> DeviceEstimate {
    let mut estimate = DeviceEstimate::new(count, settings.block, 16, device);
    for row in rows.chunks_exact(count) {
        estimate.add(Tensor::from_data(TensorData::new(row.to_vec(), [count]), device));
    }
    estimate
}

/// The saliencies, with ill-conditioned blocks recomputed from the same gradients.
fn score_recomputed(
    estimate: &mut DeviceEstimate,
    rows: &[f32],
    weights: &[f32],
    mask: &Mask,
    settings: &Settings,
) -> Result<Scored, ObsError> {
    let scored = score(estimate, weights, mask, settings)?;
    if scored.ill_conditioned.is_empty() {
        return Ok(scored);
    }
    let mut factors = QrFactors::new(weights.len(), settings.block, &scored.ill_conditioned);
    rows.chunks_exact(weights.len()).for_each(|row| factors.add(row));
    estimate.set_factors(factors);
    let scored = score(estimate, weights, mask, settings)?;
    assert!(scored.ill_conditioned.is_empty(), "recomputed blocks are not reported again");
    Ok(scored)
}

/// One recomputation of a golden case.
fn step(
    case: &Value,
    round: usize,
    weights: &[Vec<f32>],
    masks: &[Mask],
    exact: bool,
    device: &Device,
) -> Run {
    let (settings, _) = settings(case, round, exact);
    let (mut scores, mut diagonals) = (Vec::new(), Vec::new());
    for (t, (weights, mask)) in weights.iter().zip(masks).enumerate() {
        let rows = gradients(case, round, t);
        let mut estimate = estimate(&rows, weights.len(), &settings, device);
        scores.push(score_recomputed(&mut estimate, &rows, weights, mask, &settings).unwrap().scores);
        diagonals.push(inverse_diagonal(&mut estimate, mask, &settings).unwrap());
    }
    let (weights, masks) = golden_obs::prune(case, round, weights, masks, exact, Some(device));
    Run { weights, masks, diagonals, scores }
}

fn golden_cases_hold_on(device: &Device) {
    let compared = compare(|_| true, &|case, round, weights, masks, exact| {
        step(case, round, weights, masks, exact, device)
    });
    assert!(compared >= 13, "{compared} cases");
}

fn whole_runs_agree_on(device: &Device) {
    for (pattern, rank, update, limited) in [
        (Pattern::Unstructured, Rank::Global, Update::Exact, false),
        (Pattern::Unstructured, Rank::Layer, Update::Independent, true),
        (Pattern::Unstructured, Rank::Global, Update::Independent, true),
        (Pattern::Blocks(4), Rank::Global, Update::Exact, false),
        (Pattern::Blocks(4), Rank::Layer, Update::Independent, false),
        (Pattern::NofM { keep: 2, of: 4 }, Rank::Layer, Update::Exact, false),
    ] {
        let least = obs().least_bytes(INPUTS * HIDDEN);
        let obs = Obs { update, recompute: 2, memory: limited.then_some(least), ..obs() };
        let statement = || prune(Criterion::Obs(obs.clone()), pattern, rank, 0.5);
        let host = run_on(statement(), "0 epochs", 100, &Device::flex(), Estimates::default());
        let there = run_on(statement(), "0 epochs", 100, device, Estimates::AsTensors);
        assert_eq!(pruned(&host), pruned(&there), "{pattern:?}");
        for name in MATRICES {
            let (host, there) = (&host.after[name], &there.after[name]);
            assert_eq!(zeros(host), zeros(there), "{pattern:?}, {rank:?}, {update:?}: {name}");
            let worst = host.iter().zip(there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{pattern:?}, {rank:?}, {update:?}: {name} differs by {worst}");
        }
    }
}

#[test]
fn every_golden_case_holds_for_tensors_of_the_cpu() {
    golden_cases_hold_on(&Device::flex());
}

#[test]
fn whole_runs_with_estimates_as_tensors_prune_the_same_weights() {
    whole_runs_agree_on(&Device::flex());
}

fn number(i: usize) -> f32 {
    ((i * i * 37 + i * 101 + 13) % 2003) as f32 / 1001.0 - 1.0
}

/// 64 gradients of 80 weights along four directions only.
fn few_directions(scale: f32) -> Vec<f32> {
    let entry =
        |r: usize, i: usize| (0..4).map(|d| number(500 + r * 4 + d) * number(d * 80 + i)).sum::<f32>();
    (0..64).flat_map(|r| (0..80).map(move |i| scale * entry(r, i))).collect()
}

fn settings_of_few(damp: f64) -> Settings {
    Settings { block: 16, damp, divisor: 64, exact: true, group: 1, correlated: false }
}

#[test]
fn ill_conditioned_blocks_are_reported_and_recomputed_by_qr() {
    let (settings, device) = (settings_of_few(1e-7), Device::flex());
    let weights: Vec<f32> = (0..80).map(|i| number(i + 7)).collect();
    let rows = few_directions(1.0);
    let mut tensors = estimate(&rows, 80, &settings, &device);
    let mask = Mask::ones(80);
    assert_eq!(score(&mut tensors, &weights, &mask, &settings).unwrap().ill_conditioned, [0, 1, 2, 3, 4]);
    assert!(matches!(
        inverse_diagonal(&mut tensors, &mask, &settings),
        Err(ObsError::NotFactored { block: 0, first: 0, last: 16 })
    ));
    let scored = score_recomputed(&mut tensors, &rows, &weights, &mask, &settings).unwrap();
    let mut host = obert::internals::method::obs::HostEstimate::new(80, 16, 64, 16);
    rows.chunks_exact(80).for_each(|row| host.add(row));
    let mut factors = QrFactors::new(80, 16, &[0, 1, 2, 3, 4]);
    rows.chunks_exact(80).for_each(|row| factors.add(row));
    host.set_factors(factors);
    let (kept, layer) = (Mask::ones(80), Selection::Layer(0.5));
    let on_host =
        obert::internals::method::obs::host::score(&host, &weights, &kept, layer, &settings).unwrap();
    assert_eq!(scored.scores, on_host.scores, "both use the same QR factors");
    let gone = spread(&select(&[scored.scores], layer)[0], 1, 80);
    let there = update(&tensors, &weights, &mask, &[], gone.clone(), &settings).unwrap();
    let here =
        obert::internals::method::obs::host::update(&host, &weights, &kept, &[], gone, &settings).unwrap();
    assert_eq!(there.delta, here.delta);
}

#[test]
fn gradients_of_moderate_size_are_not_told_of() {
    let (settings, rows) = (settings_of_few(1e-7), few_directions(1e-3));
    let mut tensors = estimate(&rows, 80, &settings, &Device::flex());
    let scored = score(&mut tensors, &[1.0; 80], &Mask::ones(80), &settings).unwrap();
    assert!(scored.ill_conditioned.is_empty());
}

#[test]
fn gradients_that_are_not_finite_or_all_zero_are_refused() {
    let (settings, mask) = (settings_of_few(1e-2), Mask::ones(80));
    let mut rows = vec![0.0; 64 * 80];
    let mut tensors = estimate(&rows, 80, &settings, &Device::flex());
    assert_eq!(score(&mut tensors, &[1.0; 80], &mask, &settings).unwrap_err(), ObsError::NoGradient);
    let mut none = DeviceEstimate::new(80, 16, 16, &Device::flex());
    assert_eq!(score(&mut none, &[1.0; 80], &mask, &settings).unwrap_err(), ObsError::NoGradient);
    for bad in [f32::NAN, f32::INFINITY] {
        rows[83] = bad;
        let mut tensors = estimate(&rows, 80, &settings, &Device::flex());
        let error = score_recomputed(&mut tensors, &rows, &[1.0; 80], &mask, &settings).unwrap_err();
        assert_eq!(error, ObsError::GradientNotFinite);
    }
}

#[test]
fn squares_beyond_float32_are_recomputed_or_refused_and_never_nan() {
    let (weights, mask) = ((0..80).map(number).collect::<Vec<f32>>(), Mask::ones(80));
    for (scale, damp) in [(1e25, 1e-7), (1e25, 1e30), (1e-25, 1e-7), (1e3, 1e-10)] {
        let (settings, rows) = (settings_of_few(damp), few_directions(scale));
        let mut tensors = estimate(&rows, 80, &settings, &Device::flex());
        match score_recomputed(&mut tensors, &rows, &weights, &mask, &settings) {
            Ok(scored) => {
                assert!(scored.scores.iter().all(|s| s.is_finite()), "{scale:e}, {damp:e}");
                let gone = select(&[scored.scores], Selection::Layer(0.5)).concat();
                let update = update(&tensors, &weights, &mask, &[], gone, &settings).unwrap();
                assert!(update.delta.iter().all(|d| d.is_finite()), "{scale:e}, {damp:e}");
            }
            Err(ObsError::NoGradient) => assert!(scale < 1e-20, "squares that vanish are told of"),
            Err(error) => assert!(matches!(error, ObsError::NotFactored { .. }), "{error}"),
        }
    }
}

#[cfg(feature = "wgpu")]
mod on_a_graphics_adapter {
    use burn::tensor::{DeviceKind, DeviceType};

    use super::*;

    fn adapter() -> Device {
        assert!(!Device::enumerate(DeviceType::Wgpu).is_empty(), "no Vulkan driver, not even Mesa's");
        Device::wgpu(DeviceKind::DefaultDevice)
    }

    #[test]
    #[ignore = "needs a Vulkan driver; Mesa's software one will do"]
    fn every_golden_case_holds() {
        golden_cases_hold_on(&adapter());
    }

    #[test]
    #[ignore = "needs a Vulkan driver; Mesa's software one will do"]
    fn whole_runs_prune_the_same_weights() {
        whole_runs_agree_on(&adapter());
    }
}
