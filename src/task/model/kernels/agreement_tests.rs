//! Compares every fused operation with its form in Burn's operations: values and gradients.

use std::cell::RefCell;
use std::sync::Arc;

use crate::method::qat::{Channels, Grid, Phase, QParams, Quantizer, fake_quant};
use crate::params::Activation;
use burn::tensor::{Device, Tensor, TensorData, module};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::activation::{activate, gated, plain_activate, plain_gated};
use super::attention::{Projections, Sequences, self_attention};
use super::attention_products::attention_products;
use super::autocast;
use super::disentangled::disentangled_terms;
use super::dropout::Dropout;
use super::fake_quant::{fake_quantize, ranges};
use super::linear::linear;
use super::norm::{NormParams, add_norm, plain_add_norm};
use super::position_terms::{BucketedBias, Buckets, PositionTerms};
use super::rotary::{Rotation, rotate};

fn device() -> Device {
    Device::flex().autodiff()
}

thread_local! {
    /// Every test draws the same numbers, whichever tests run at the same time.
    static NUMBERS: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::seed_from_u64(0));
}

fn numbers(count: usize, mean: f32, deviation: f32) -> Vec<f32> {
    let normal = Normal::new(mean, deviation).unwrap();
    NUMBERS.with_borrow_mut(|rng| normal.sample_iter(rng).take(count).collect())
}

fn random(rows: usize, columns: usize) -> Tensor<2> {
    let values = TensorData::new(numbers(rows * columns, 0.0, 1.0), [rows, columns]);
    Tensor::from_data(values, &device()).require_grad()
}

fn random_row(width: usize) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers(width, 0.5, 0.5), [width]), &device()).require_grad()
}

/// Compares within a tolerance that is relative to the greatest value, and absolute where all are below one.
fn close(a: TensorData, b: TensorData, tolerance: f32, what: &str) {
    let (a, b): (Vec<f32>, Vec<f32>) = (a.try_to_vec().unwrap(), b.try_to_vec().unwrap());
    assert_eq!(a.len(), b.len(), "{what}");
    assert!(a.iter().chain(&b).all(|v| v.is_finite()), "{what}: not finite");
    let greatest = b.iter().fold(1.0, |m: f32, v| m.max(v.abs()));
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / greatest;
    assert!(worst < tolerance, "{what}: differs by {worst} of {greatest}");
}

/// Compares two scalar functions of the same leaves by value and by gradient, weighting the output
/// so that no gradient is trivial.
fn agree(
    matrices: &[Tensor<2>],
    vectors: &[Tensor<1>],
    fused: impl Fn() -> Tensor<2>,
    plain: impl Fn() -> Tensor<2>,
    tolerance: f32,
) {
    let (a, b) = (fused(), plain());
    close(a.to_data(), b.to_data(), tolerance, "value");
    let [rows, columns] = a.dims();
    let weights = Tensor::from_inner(random(rows, columns).inner());
    let ga = (a * weights.clone()).sum().backward();
    let gb = (b * weights).sum().backward();
    for (i, leaf) in matrices.iter().enumerate() {
        let what = format!("gradient of matrix {i}");
        close(leaf.grad(&ga).unwrap().to_data(), leaf.grad(&gb).unwrap().to_data(), tolerance, &what);
    }
    for (i, leaf) in vectors.iter().enumerate() {
        let what = format!("gradient of vector {i}");
        close(leaf.grad(&ga).unwrap().to_data(), leaf.grad(&gb).unwrap().to_data(), tolerance, &what);
    }
}

#[test]
fn linear_agrees_with_burns() {
    let (x, w, b) = (random(70, 24), random(24, 33), random_row(33));
    let plain = || module::linear(x.clone(), w.clone(), Some(b.clone()));
    agree(
        &[x.clone(), w.clone()],
        std::slice::from_ref(&b),
        || linear(x.clone(), w.clone(), b.clone()),
        plain,
        1e-5,
    );
}

#[test]
fn activations_agree_with_burns() {
    use Activation::{Gelu, GeluTanh, Relu, Silu, Tanh};
    let x = random(19, 37) * 3.0;
    let x = Tensor::from_inner(x.inner()).require_grad();
    for function in [Gelu, GeluTanh, Relu, Silu, Tanh] {
        let leaf = std::slice::from_ref(&x);
        agree(leaf, &[], || activate(x.clone(), function), || plain_activate(x.clone(), function), 2e-6);
    }
}

#[test]
fn gated_activations_agree_with_burns() {
    let x = random(11, 38);
    for function in [Activation::Gelu, Activation::Silu] {
        let leaf = std::slice::from_ref(&x);
        agree(leaf, &[], || gated(x.clone(), function), || plain_gated(x.clone(), function), 2e-6);
    }
}

#[test]
fn rotary_positions_agree_with_their_plain_form() {
    let (length, heads, size) = (9, 3, 8);
    let x = random(2 * length, heads * size);
    let rotation = Rotation::new(length, size, 100.0);
    let packed = Sequences::Packed(Arc::from([0, length, 2 * length]));
    let padded = Sequences::Padded { lengths: [length, length].into(), length };
    let leaf = std::slice::from_ref(&x);
    agree(
        leaf,
        &[],
        || rotate(x.clone(), &packed, &rotation),
        || rotate(x.clone(), &padded, &rotation),
        2e-6,
    );
    // The second pair of position 3 is rotated by 3 / 100^(2/8).
    let y = rotate(x.clone(), &packed, &rotation).into_data().try_to_vec::<f32>().unwrap();
    let x = x.into_data().try_to_vec::<f32>().unwrap();
    let (at, angle) = (3 * heads * size + 1, 3.0 / 100f32.powf(0.25));
    let expected = x[at] * angle.cos() - x[at + size / 2] * angle.sin();
    assert!((y[at] - expected).abs() < 1e-6, "{} is not {expected}", y[at]);
}

#[test]
fn add_norm_agrees_with_the_plain_form_with_and_without_dropout() {
    for dropout in [Dropout::NONE, Dropout { probability: 0.3, seed: 5 }] {
        let (x, residual, gamma, beta) = (random(67, 40), random(67, 40), random_row(40), random_row(40));
        let norm = || NormParams { gamma: gamma.clone(), beta: beta.clone(), epsilon: 1e-12 };
        agree(
            &[x.clone(), residual.clone()],
            &[gamma.clone(), beta.clone()],
            || add_norm(x.clone(), residual.clone(), norm(), dropout),
            || plain_add_norm(x.clone(), residual.clone(), norm(), dropout),
            5e-5,
        );
    }
}

#[test]
fn packed_attention_agrees_with_padded_attention() {
    let (hidden, heads) = (24, 3);
    for (lengths, dropout) in
        [(vec![5usize, 5], Dropout::NONE), (vec![5, 5], Dropout { probability: 0.4, seed: 9 })]
    {
        let tokens: usize = lengths.iter().sum();
        let x = random(tokens, hidden);
        let w: Vec<_> = (0..3).map(|_| random(hidden, hidden)).collect();
        let b: Vec<_> = (0..3).map(|_| random_row(hidden)).collect();
        let projections = || Projections {
            query: (w[0].clone(), b[0].clone()),
            key: (w[1].clone(), b[1].clone()),
            value: (w[2].clone(), b[2].clone()),
        };
        let packed = Sequences::Packed(Arc::from([0, 5, 10]));
        let padded = Sequences::Padded { lengths: lengths.into(), length: 5 };
        let leaves: Vec<_> = std::iter::once(x.clone()).chain(w.iter().cloned()).collect();
        agree(
            &leaves,
            &b,
            || self_attention(x.clone(), projections(), heads, &packed, dropout),
            || self_attention(x.clone(), projections(), heads, &padded, dropout),
            // The exact gradient of the keys' bias is zero; the computed one is the rounding error of larger terms that
            // cancel.
            2e-4,
        );
    }
}

#[test]
fn sequences_of_unequal_length_attend_within_themselves() {
    let (hidden, heads) = (16, 2);
    let x = random(7, hidden);
    let project = || (random(hidden, hidden), random_row(hidden));
    let projections = Projections { query: project(), key: project(), value: project() };
    let at = |range: std::ops::Range<usize>| {
        let starts = Sequences::Packed(Arc::from([0, range.len()]));
        self_attention(
            x.clone().narrow(0, range.start, range.len()),
            projections.clone(),
            heads,
            &starts,
            Dropout::NONE,
        )
    };
    let together = Sequences::Packed(Arc::from([0, 3, 7]));
    let both = self_attention(x.clone(), projections.clone(), heads, &together, Dropout::NONE);
    close(both.clone().narrow(0, 0, 3).to_data(), at(0..3).to_data(), 1e-5, "first");
    close(both.narrow(0, 3, 4).to_data(), at(3..7).to_data(), 1e-5, "second");
    let padded = Sequences::Padded { lengths: Arc::from([3]), length: 7 };
    let padded = self_attention(x.clone(), projections.clone(), heads, &padded, Dropout::NONE);
    close(padded.narrow(0, 0, 3).to_data(), at(0..3).to_data(), 1e-5, "padding is not attended to");
}

#[test]
fn fake_quantization_is_the_plain_forms_bit_for_bit() {
    for (rows, columns) in [(33, 40), (1, 20_000), (700, 3)] {
        for (channels, grid) in [
            (Channels::All, Grid { bits: 8, symmetric: false }),
            (Channels::All, Grid { bits: 4, symmetric: true }),
            (Channels::Rows, Grid { bits: 8, symmetric: true }),
            (Channels::Columns, Grid { bits: 8, symmetric: true }),
        ] {
            let x = random(rows, columns);
            // Some values are outside the range and clipped.
            let observed = ranges(&(x.clone() * 0.8), channels);
            let count = match channels {
                Channels::All => 1,
                Channels::Rows => rows,
                Channels::Columns => columns,
            };
            assert_eq!(observed.len(), count);
            let qparams = Arc::new(QParams::of(grid, &observed));
            agree(
                std::slice::from_ref(&x),
                &[],
                || fake_quantize(x.clone(), &qparams, channels),
                || fake_quant::fake_quantize(x.clone(), &qparams, channels),
                f32::MIN_POSITIVE,
            );
        }
    }
}

#[test]
fn ranges_are_those_of_rows_columns_and_all_and_tell_of_what_is_not_finite() {
    let values = |bad: f32| {
        let mut values: Vec<f32> = (0..6000).map(|i| (i as f32 * 0.7).sin() * (1.0 + i as f32)).collect();
        values[4321] = bad;
        Tensor::<2>::from_data(TensorData::new(values, [60, 100]), &Device::flex())
    };
    let x = values(0.5);
    let end = |t: Tensor<1>| -> Vec<f32> { t.into_data().try_to_vec().unwrap() };
    let rows = ranges(&x, Channels::Rows);
    assert_eq!(rows.iter().map(|r| r.low).collect::<Vec<_>>(), end(x.clone().min_dim(1).squeeze_dim::<1>(1)));
    let columns = ranges(&x, Channels::Columns);
    assert_eq!(
        columns.iter().map(|r| r.high).collect::<Vec<_>>(),
        end(x.clone().max_dim(0).squeeze_dim::<1>(0))
    );
    let all = ranges(&x, Channels::All)[0];
    assert_eq!((all.low, all.high), (end(x.clone().min())[0], end(x.max())[0]));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let x = values(bad);
        assert!(!ranges(&x, Channels::All)[0].is_finite());
        let broken = |list: Vec<crate::method::qat::Range>| -> Vec<usize> {
            (0..list.len()).filter(|i| !list[*i].is_finite()).collect()
        };
        assert_eq!(broken(ranges(&x, Channels::Rows)), [43]);
        assert_eq!(broken(ranges(&x, Channels::Columns)), [21]);
    }
}

#[test]
fn packed_quantized_attention_agrees_with_padded_and_without_quantizers_with_the_fused_one() {
    let (hidden, heads, none) = (24, 3, PositionTerms::default());
    let quantizer = || {
        let quantizer = Quantizer::new(Grid { bits: 5, symmetric: false }, Channels::All);
        quantizer.set_mode(crate::method::qat::quantizer::Mode::FakeQuantize);
        // Some weights are outside the range and clipped.
        quantizer.observe(&[crate::method::qat::Range { low: 0.0, high: 0.5 }]);
        Arc::new(quantizer)
    };
    for dropout in [Dropout::NONE, Dropout { probability: 0.4, seed: 9 }] {
        let states: Vec<_> = (0..3).map(|_| random(10, hidden)).collect();
        let [q, k, v] = [0, 1, 2].map(|i: usize| states[i].clone());
        let all = || [q.clone(), k.clone(), v.clone()];
        let packed = Sequences::Packed(Arc::from([0, 5, 10]));
        let padded = Sequences::Padded { lengths: [5, 5].into(), length: 5 };
        for phase in [Phase::Evaluating, Phase::Training] {
            let (a, b) = (quantizer(), quantizer());
            agree(
                &states,
                &[],
                || attention_products(all(), heads, &packed, dropout, &none, Some((a.clone(), phase))),
                || attention_products(all(), heads, &padded, dropout, &none, Some((b.clone(), phase))),
                2e-5,
            );
            let ends = |q: &Quantizer| (q.ranges()[0].low, q.ranges()[0].high);
            let ((al, ah), (bl, bh)) = (ends(&a), ends(&b));
            assert!((al - bl).abs() < 1e-6 && (ah - bh).abs() < 1e-6, "observed alike");
            assert_eq!(phase == Phase::Training, ah != 0.5);
        }
        let identity = |device: &Device| Tensor::<2>::eye(hidden, device);
        let project = || (identity(&device()), Tensor::zeros([hidden], &device()));
        let x = random(10, hidden);
        let same = || Projections { query: project(), key: project(), value: project() };
        agree(
            std::slice::from_ref(&x),
            &[],
            || attention_products([x.clone(), x.clone(), x.clone()], heads, &packed, dropout, &none, None),
            || self_attention(x.clone(), same(), heads, &packed, dropout),
            2e-5,
        );
    }
}

#[test]
fn attention_with_a_bias_and_windows_agrees_with_its_plain_form() {
    let (hidden, heads, length) = (24, 3, 90);
    let states: Vec<_> = (0..4).map(|i| random(if i < 3 { 2 * length } else { 7 }, hidden)).collect();
    let [q, k, v, wide] = [0, 1, 2, 3].map(|i: usize| states[i].clone());
    let packed = Sequences::Packed(Arc::from([0, length, 2 * length]));
    let padded = Sequences::Padded { lengths: [length, length].into(), length };
    let buckets = Buckets::new(length, |distance| distance.clamp(-3, 3).wrapping_add(3) as u32);
    for (biased, window) in [(true, None), (false, Some(5)), (true, Some(40)), (false, Some(200))] {
        // Dropout has other masks where windows leave weights out.
        let dropouts = [Dropout::NONE, Dropout { probability: 0.4, seed: 9 }];
        for dropout in dropouts.into_iter().take(if window.is_none() { 2 } else { 1 }) {
            let attend = |sequences: &Sequences| {
                let table = wide.clone().narrow(1, 0, heads);
                let bias = biased.then(|| BucketedBias { table, buckets: buckets.clone() });
                let terms = PositionTerms { bias, pairs: None, window };
                let projected = [q.clone(), k.clone(), v.clone()];
                attention_products(projected, heads, sequences, dropout, &terms, None)
            };
            let leaves = if biased { &states[..] } else { &states[..3] };
            agree(leaves, &[], || attend(&packed), || attend(&padded), 2e-5);
        }
    }
}

#[test]
fn disentangled_attention_agrees_with_its_plain_form() {
    let (hidden, heads, length, count) = (24, 3, 12, 10);
    let states: Vec<_> = (0..5).map(|i| random(if i < 3 { 2 * length } else { count }, hidden)).collect();
    let [q, k, v, position_key, position_query] = [0, 1, 2, 3, 4].map(|i: usize| states[i].clone());
    let packed = Sequences::Packed(Arc::from([0, length, 2 * length]));
    let padded = Sequences::Padded { lengths: [length, length].into(), length };
    let buckets = Buckets::new(length, |distance| (distance.clamp(-5, 4) + 5) as u32);
    for dropout in [Dropout::NONE, Dropout { probability: 0.4, seed: 9 }] {
        let attend = |sequences: &Sequences| {
            let positions = [position_key.clone(), position_query.clone()];
            let contents = [q.clone(), k.clone()];
            let pairs = disentangled_terms(contents, positions, heads, sequences, &buckets);
            let terms = PositionTerms { pairs: Some(pairs), ..PositionTerms::default() };
            attention_products([q.clone(), k.clone(), v.clone()], heads, sequences, dropout, &terms, None)
        };
        agree(&states, &[], || attend(&packed), || attend(&padded), 2e-5);
    }
}

#[test]
fn the_plain_form_of_attention_multiplies_in_bfloat16_where_it_is_told_to() {
    let (hidden, heads) = (24, 3);
    let x = random(10, hidden);
    let project = || (random(hidden, hidden), random_row(hidden));
    let projections = Projections { query: project(), key: project(), value: project() };
    let padded = Sequences::Padded { lengths: vec![5, 5].into(), length: 5 };
    let attended = |casts: bool| {
        let forward = || self_attention(x.clone(), projections.clone(), heads, &padded, Dropout::NONE);
        autocast::with(casts, forward).into_data().try_to_vec::<f32>().unwrap()
    };
    let (rounded, exact) = (attended(true), attended(false));
    let largest = exact.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let error = rounded.iter().zip(&exact).fold(0.0f32, |m, (r, e)| m.max((r - e).abs()));
    assert!((1e-4..0.1).contains(&(error / largest)), "{error} of {largest}");
}
