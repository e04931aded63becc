//! One head of attention in bytes against the same in doubles, with bytes at both ends of their ranges.

use obert::internals::infer::kernel::attention::{Head, Operands, Workspace, attend};
use obert::internals::infer::kernel::quantize::QParams;
use obert::internals::infer::simd::{Floats, Isa, LANES, Simd, Work};

const FEATURES: usize = 6;
const TOKENS: usize = 20;
const GROUPS: usize = 2;

struct Attend<'a>(Head, &'a mut Workspace, &'a mut [Floats]);

impl Work for Attend<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        attend(simd, self.0, None, self.1, self.2);
    }
}

const QUERY: QParams = QParams { scale: 0.03, zero: 128, low: 0, high: 255 };
const KEY: QParams = QParams { scale: 0.01, zero: 5, low: -128, high: 127 };
const SHARE: QParams = QParams { scale: 1.0 / 255.0, zero: 0, low: 0, high: 255 };
const VALUE: QParams = QParams { scale: 0.05, zero: -7, low: -128, high: 127 };

/// Bytes of which many lie at an end of the range.
fn bytes(affine: QParams, salt: usize) -> Vec<Vec<i32>> {
    let byte = |i: usize| match (i * 7919 + salt) % 11 {
        0..=2 => affine.low,
        3 | 4 => affine.high,
        _ => affine.low + ((i * 104_729 + salt * 31) % 256) as i32,
    };
    (0..FEATURES).map(|f| (0..TOKENS).map(|t| byte(f * TOKENS + t)).collect()).collect()
}

/// What the bytes stand for; those at an end stand for something beyond it, which is cut.
fn floats(affine: QParams, bytes: &[Vec<i32>]) -> Vec<Floats> {
    let mut out = vec![Floats::default(); FEATURES * GROUPS];
    for (feature, row) in bytes.iter().enumerate() {
        for (token, byte) in row.iter().enumerate() {
            let beyond = i32::from(*byte == affine.high) * 9 - i32::from(*byte == affine.low) * 9;
            out[feature * GROUPS + token / LANES].0[token % LANES] =
                affine.scale * (byte - affine.zero + beyond) as f32;
        }
    }
    out
}

#[test]
fn attention_in_bytes_is_right_at_both_ends_of_their_ranges_on_every_instruction_set() {
    let (queries, keys, values) = (bytes(QUERY, 1), bytes(KEY, 2), bytes(VALUE, 3));
    assert!(keys.iter().chain(&values).filter(|row| row.contains(&-128)).count() > FEATURES);
    let real = |affine: QParams, byte: i32| f64::from(affine.scale) * f64::from(byte - affine.zero);
    let mut expected = vec![vec![0.0; TOKENS]; FEATURES];
    for query in 0..TOKENS {
        let score = |key: usize| {
            let product = |f: usize| real(QUERY, queries[f][query]) * real(KEY, keys[f][key]);
            (0..FEATURES).map(product).sum::<f64>() / (FEATURES as f64).sqrt()
        };
        let scores: Vec<f64> = (0..TOKENS).map(score).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let parts: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let total: f64 = parts.iter().sum();
        for (feature, row) in values.iter().enumerate() {
            let share = |key: usize| (parts[key] / total * 255.0).round_ties_even() / 255.0;
            expected[feature][query] = (0..TOKENS).map(|key| share(key) * real(VALUE, row[key])).sum();
        }
    }
    let scores = Operands::Static { left: QUERY, right: KEY };
    let context = Operands::Static { left: SHARE, right: VALUE };
    let head = Head { features: FEATURES, tokens: TOKENS, groups: GROUPS, scores, context };
    for isa in Isa::available() {
        let mut space = Workspace::new(FEATURES, GROUPS);
        space.queries = floats(QUERY, &queries);
        space.keys = floats(KEY, &keys);
        space.values = floats(VALUE, &values);
        let mut out = vec![Floats::default(); FEATURES * GROUPS];
        isa.run(Attend(head, &mut space, &mut out));
        for (feature, row) in expected.iter().enumerate() {
            for (token, expected) in row.iter().enumerate() {
                let got = f64::from(out[feature * GROUPS + token / LANES].0[token % LANES]);
                // A share on the edge between two bytes may fall to either side.
                let step = f64::from(SHARE.scale) * 6.75;
                assert!((got - expected).abs() < step, "{got} is not {expected} on {}", isa.name());
            }
        }
    }
}
