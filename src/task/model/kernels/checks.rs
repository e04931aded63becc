//! Every fused operation against its plain form: values and gradients.

use std::sync::Arc;

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation, module};

use super::attention::{Projections, Sequences, self_attention};
use super::dropout::Dropout;
use super::gelu::gelu;
use super::linear::linear;
use super::norm::{NormParams, add_norm, plain_add_norm};

fn device() -> Device {
    Device::flex().autodiff()
}

fn random(rows: usize, columns: usize) -> Tensor<2> {
    Tensor::random([rows, columns], Distribution::Normal(0.0, 1.0), &device()).require_grad()
}

fn random_row(width: usize) -> Tensor<1> {
    Tensor::random([width], Distribution::Normal(0.5, 0.5), &device()).require_grad()
}

fn close(a: TensorData, b: TensorData, tolerance: f32, what: &str) {
    let (a, b): (Vec<f32>, Vec<f32>) = (a.try_to_vec().unwrap(), b.try_to_vec().unwrap());
    assert_eq!(a.len(), b.len(), "{what}");
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < tolerance, "{what}: differs by {worst}");
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
    let weights = Tensor::random(a.dims(), Distribution::Normal(0.0, 1.0), &device());
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
        2e-4,
    );
}

#[test]
fn gelu_agrees_with_burns() {
    let x = random(19, 37) * 3.0;
    let x = Tensor::from_inner(x.inner()).require_grad();
    agree(std::slice::from_ref(&x), &[], || gelu(x.clone()), || activation::gelu(x.clone()), 2e-6);
}

#[test]
fn add_norm_agrees_with_the_plain_form_with_and_without_dropout() {
    for dropout in [Dropout::NONE, Dropout { share: 0.3, seed: 5 }] {
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
        [(vec![5usize, 5], Dropout::NONE), (vec![5, 5], Dropout { share: 0.4, seed: 9 })]
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
