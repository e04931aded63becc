//! One head of attention against the same in doubles: in bytes, with bytes at both ends of their ranges, and with embeddings
//! of distances.

use obert::internals::infer::kernel::attention::distances::Rows;
use obert::internals::infer::kernel::attention::{Distances, Head, Operands, Terms, Workspace, attend};
use obert::internals::infer::kernel::quantize::QParams;
use obert::internals::infer::simd::{Floats, Isa, LANES, Simd, Work};

const FEATURES: usize = 6;
const TOKENS: usize = 20;
const GROUPS: usize = 2;

struct Attend<'a>(Head, Option<Terms<'a>>, &'a mut Workspace, &'a mut [Floats]);

impl Work for Attend<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        attend(simd, self.0, self.1, self.2, self.3);
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
        isa.run(Attend(head, None, &mut space, &mut out));
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

/// Reproducible numbers around 0.
fn number(salt: usize, a: usize, b: usize) -> f64 {
    let mixed = (a * 7919 + b * 104_729 + salt * 31_337) % 2003;
    f64::from(((mixed as f64 / 2003.0 - 0.5) * 3.0) as f32)
}

/// `[features][groups]` with the columns in the lanes.
fn lanes(columns: usize, groups: usize, at: impl Fn(usize, usize) -> f64) -> Vec<Floats> {
    let mut out = vec![Floats::default(); FEATURES * groups];
    for feature in 0..FEATURES {
        for column in 0..columns {
            out[feature * groups + column / LANES].0[column % LANES] = at(feature, column) as f32;
        }
    }
    out
}

#[test]
fn terms_of_distances_are_those_of_the_rows_of_each_pair_on_every_instruction_set() {
    // Rows for each near distance, shared rows for far ones, and rows in no order.
    let ordered = |distance: i64| match distance.abs() {
        0..=20 => distance + 40,
        far => distance.signum() * (20 + (far - 20) / 7) + 40,
    };
    let scattered = |distance: i64| (distance * 37).rem_euclid(81);
    let (longest, tokens, groups, rows) = (170, 150, 10, 81);
    let row_groups = 6;
    let of = |salt: usize| move |feature: usize, token: usize| number(salt, feature, token);
    for row in [&ordered as &dyn Fn(i64) -> i64, &scattered] {
        let table: Vec<u32> = (1 - longest..longest).map(|d: i64| row(d) as u32).collect();
        let table = Rows::new(&table);
        for (has_keys, has_queries) in [(true, true), (true, false), (false, true)] {
            let terms = 1 + usize::from(has_keys) + usize::from(has_queries);
            let dot = |a: (usize, usize), b: (usize, usize)| {
                (0..FEATURES).map(|f| number(a.0, f, a.1) * number(b.0, f, b.1)).sum::<f64>()
            };
            let mut expected = vec![vec![0.0; tokens]; FEATURES];
            for query in 0..tokens {
                let score = |key: usize| {
                    let row = row(query as i64 - key as i64) as usize;
                    let of_query = if has_keys { dot((1, query), (4, row)) } else { 0.0 };
                    let of_key = if has_queries { dot((2, key), (5, row)) } else { 0.0 };
                    (dot((1, query), (2, key)) + of_query + of_key) / ((FEATURES * terms) as f64).sqrt()
                };
                let parts: Vec<f64> = (0..tokens).map(|key| score(key).exp()).collect();
                let total: f64 = parts.iter().sum();
                for (feature, row) in expected.iter_mut().enumerate() {
                    let values = (0..tokens).map(|key| parts[key] * number(3, feature, key));
                    row[query] = values.sum::<f64>() / total;
                }
            }
            let keys = if has_keys { lanes(rows, row_groups, of(4)) } else { Vec::new() };
            let queries = if has_queries { lanes(rows, row_groups, of(5)) } else { Vec::new() };
            let distances = Distances { keys: &keys, queries: &queries, groups: row_groups, rows: &table };
            let terms = Terms { bias: None, window: None, distances: Some(distances) };
            let head = Head {
                features: FEATURES,
                tokens,
                groups,
                scores: Operands::Float32,
                context: Operands::Float32,
            };
            for isa in Isa::available() {
                let mut space = Workspace::new(FEATURES, groups).with_distances(row_groups);
                space.queries = lanes(tokens, groups, of(1));
                space.keys = lanes(tokens, groups, of(2));
                space.values = lanes(tokens, groups, of(3));
                let mut out = vec![Floats::default(); FEATURES * groups];
                isa.run(Attend(head, Some(terms), &mut space, &mut out));
                for (feature, row) in expected.iter().enumerate() {
                    for (token, expected) in row.iter().enumerate() {
                        let got = f64::from(out[feature * groups + token / LANES].0[token % LANES]);
                        assert!((got - expected).abs() < 1e-4, "{got} is not {expected} on {}", isa.name());
                    }
                }
            }
        }
    }
}
