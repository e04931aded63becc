//! `--as sparse-bitmask`: of each pruned matrix one bit for each weight, and the weights that are not zero.
//!
//! The tensors of a matrix `NAME` of shape `[rows, columns]`, as compressed-tensors once named them:
//!
//! | tensor | type and shape | meaning |
//! |---|---|---|
//! | `NAME.compressed` | F32 or I8, `[n]` | the weights that are not zero, row by row |
//! | `NAME.bitmask` | U8, `[rows, ⌈columns / 8⌉]` | bit `c % 8`, from the lowest, of byte `c / 8` says whether weight `c` is kept |
//! | `NAME.row_offsets` | I64, `[rows]` | where each row begins in `compressed` |
//! | `NAME.shape` | I64, `[2]` | rows and columns |
//! | `NAME.scale` | F32, `[1]` or `[rows]` | with I8 only: a weight is its number times the scale of its row |
//!
//! Everything else stands there dense, under its own name. A zero comes back as +0.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::source::{Rounded, Source};
use super::tensors::{self, Raw};
use crate::diag::{Code, Diagnostic};
use crate::params::builtin::{Head, of_family};
use crate::params::{BertConfig, ParameterTable};

/// The weights' file. Not `model.safetensors`: what does not know the layout shall not open it.
pub const FILE: &str = "model.bitmask.safetensors";

/// The key of `config.json` under which the layout is described.
pub const CONFIG: &str = "compression_config";

/// From so many zeros on, a matrix is smaller as a bitmask: one weight of 32.
const FEWEST: f64 = 1.0 / 32.0;

/// The tensors of a model, pruned matrices as bitmasks.
pub fn tensors(source: &Source) -> BTreeMap<String, Raw> {
    let mut all = BTreeMap::new();
    for parameter in source.table.iter() {
        let name = &parameter.name;
        let Some(values) = source.tensors.get(name) else { continue };
        let rounded = source.rounded(name).filter(|r| same(&r.floats(), values));
        match parameter.shape[..] {
            [rows, columns] if rounded.is_some() || zeros(values) >= FEWEST => {
                all.extend(masked(name, rows, columns, values, rounded));
            }
            _ => {
                all.insert(name.clone(), Raw::floats(&parameter.shape, values));
            }
        }
    }
    all
}

/// The parts of one matrix.
pub fn masked(
    name: &str,
    rows: usize,
    columns: usize,
    values: &[f32],
    rounded: Option<Rounded>,
) -> Vec<(String, Raw)> {
    let wide = columns.div_ceil(8);
    let mut bits = vec![0u8; rows * wide];
    let mut offsets = Vec::with_capacity(rows);
    let mut kept: Vec<usize> = Vec::new();
    for row in 0..rows {
        offsets.push(kept.len() as i64);
        for column in 0..columns {
            let at = row * columns + column;
            if values[at] != 0.0 {
                bits[row * wide + column / 8] |= 1 << (column % 8);
                kept.push(at);
            }
        }
    }
    let compressed = match &rounded {
        Some(r) => Raw::signed(&[kept.len()], &kept.iter().map(|at| r.bytes[*at]).collect::<Vec<_>>()),
        None => Raw::floats(&[kept.len()], &kept.iter().map(|at| values[*at]).collect::<Vec<_>>()),
    };
    let mut parts = vec![
        (format!("{name}.compressed"), compressed),
        (format!("{name}.bitmask"), Raw::unsigned(&[rows, wide], &bits)),
        (format!("{name}.row_offsets"), Raw::longs(&[rows], &offsets)),
        (format!("{name}.shape"), Raw::longs(&[2], &[rows as i64, columns as i64])),
    ];
    if let Some(rounded) = rounded {
        parts.push((format!("{name}.scale"), Raw::floats(&[rounded.scales.len()], &rounded.scales)));
    }
    parts
}

/// What `config.json` says of the layout.
pub fn described(source: &Source) -> Value {
    let weights: Vec<&Vec<f32>> = source.tensors.values().collect();
    let count: usize = weights.iter().map(|w| w.len()).sum();
    let zero: usize = weights.iter().map(|w| w.iter().filter(|v| **v == 0.0).count()).sum();
    json!({ "sparsity_config": {
        "format": "sparse-bitmask",
        "global_sparsity": zero as f64 / count.max(1) as f64,
        "sparsity_structure": "unstructured",
        "file": FILE,
    }})
}

/// Reads the weights of a folder in this layout. Nothing in the file is trusted.
///
/// # Errors
/// A file that is truncated, or whose parts do not fit each other or the configuration.
pub fn read(
    folder: &Path,
    config: &BertConfig,
) -> Result<(ParameterTable, BTreeMap<String, Vec<f32>>), Diagnostic> {
    let path = folder.join(FILE);
    let all = tensors::read(&path)?;
    let wrong = |why: String| {
        Diagnostic::unlocated(Code::ExportNotReadable, format!("cannot use `{}`: {why}", path.display()))
            .help("write it anew: `obertc pack MODEL --as sparse-bitmask`")
    };
    let family = config.family();
    let shape_of = |bert: &str| {
        let name = family.name(bert);
        let dense = all.get(&name).and_then(|raw| raw.shape.first().copied());
        let masked = || all.get(&format!("{name}.row_offsets")).and_then(|raw| raw.shape.first().copied());
        dense.or_else(masked)
    };
    let head = match (shape_of("qa_outputs.weight"), shape_of("classifier.weight")) {
        (Some(_), _) => Head::QuestionAnswering,
        (None, Some(labels)) => Head::Classification { labels },
        _ if all.contains_key(&family.name("cls.predictions.bias")) => Head::MaskedLanguageModel,
        _ => return Err(wrong("it has no head".into())),
    };
    let table = of_family(family, &config.shape(), head);
    let mut values = BTreeMap::new();
    for parameter in table.iter() {
        let name = &parameter.name;
        let read = match all.get(name) {
            Some(raw) if raw.shape == parameter.shape => {
                raw.as_floats().ok_or_else(|| wrong(format!("`{name}` holds no 32-bit floats")))?
            }
            Some(raw) => {
                let why = format!("`{name}` is {:?}, not {:?}", raw.shape, parameter.shape);
                return Err(wrong(why));
            }
            None => match parameter.shape[..] {
                [rows, columns] => unmasked(&all, name, rows, columns)
                    .map_err(|why| wrong(format!("the bitmask of `{name}` {why}")))?,
                _ => return Err(wrong(format!("`{name}` is missing"))),
            },
        };
        if let Some(bad) = read.iter().find(|v| !v.is_finite()) {
            return Err(wrong(format!("`{name}` holds {bad}")));
        }
        values.insert(name.clone(), read);
    }
    Ok((table, values))
}

/// One matrix from its parts.
///
/// # Errors
/// How its parts contradict each other, in a few words.
pub fn unmasked(
    all: &BTreeMap<String, Raw>,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Vec<f32>, String> {
    let part = |part: &str| all.get(&format!("{name}.{part}")).ok_or_else(|| format!("lacks its {part}"));
    let longs = |what: &str| part(what)?.as_longs().ok_or_else(|| format!("has a {what} of another type"));
    if longs("shape")? != [rows as i64, columns as i64] {
        return Err(format!("is not {rows} × {columns}"));
    }
    let wide = columns.div_ceil(8);
    let bits = part("bitmask")?;
    if bits.shape != [rows, wide] || bits.bytes.len() != rows * wide {
        return Err(format!("is {:?}, not [{rows}, {wide}]", bits.shape));
    }
    let compressed = part("compressed")?;
    let scales = match all.get(&format!("{name}.scale")) {
        None => None,
        Some(raw) => {
            let scales = raw.as_floats().filter(|s| s.len() == 1 || s.len() == rows);
            Some(scales.ok_or_else(|| "has other scales than rows".to_owned())?)
        }
    };
    let scale = |row: usize| scales.as_ref().map_or(1.0, |s| s[if s.len() == 1 { 0 } else { row }]);
    let kept: Vec<f32> = match &scales {
        None => compressed.as_floats().ok_or("has no 32-bit floats")?,
        Some(_) => compressed.as_signed().ok_or("has no bytes")?.into_iter().map(f32::from).collect(),
    };
    let offsets = longs("row_offsets")?;
    if offsets.len() != rows {
        return Err(format!("has {} rows, not {rows}", offsets.len()));
    }
    let mut values = vec![0.0; rows * columns];
    let mut taken = 0usize;
    for row in 0..rows {
        if offsets[row] != taken as i64 {
            return Err(format!(
                "has {taken} weights in front of row {row}, and its offset says {}",
                offsets[row]
            ));
        }
        for column in 0..8 * wide {
            if bits.bytes[row * wide + column / 8] >> (column % 8) & 1 == 0 {
                continue;
            }
            if column >= columns {
                return Err(format!("has a bit behind the end of row {row}"));
            }
            let value = kept
                .get(taken)
                .ok_or_else(|| format!("says more weights than the {} there are", kept.len()))?;
            values[row * columns + column] = if scales.is_some() { value * scale(row) } else { *value };
            taken += 1;
        }
    }
    if taken != kept.len() {
        return Err(format!("says {taken} weights, and there are {}", kept.len()));
    }
    Ok(values)
}

fn zeros(values: &[f32]) -> f64 {
    values.iter().filter(|v| **v == 0.0).count() as f64 / values.len().max(1) as f64
}

/// Whether floats are the same, but for the sign of zeros.
pub fn same(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::params::quantization::{Scheme, WeightScales};

    fn back(parts: Vec<(String, Raw)>, rows: usize, columns: usize) -> Result<Vec<f32>, String> {
        unmasked(&parts.into_iter().collect(), "w", rows, columns)
    }

    /// Matrices with any share of zeros, and whether they are pruned at all.
    fn matrix() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
        (0usize..7, 1usize..40).prop_flat_map(|(rows, columns)| {
            let weight = prop_oneof![3 => Just(0.0f32), 1 => Just(-0.0f32), 3 => -1e3f32..1e3];
            (Just(rows), Just(columns), prop::collection::vec(weight, rows * columns))
        })
    }

    proptest! {
        #[test]
        fn what_is_masked_comes_back_bit_for_bit_but_for_the_sign_of_zeros((rows, columns, values) in matrix()) {
            let again = back(masked("w", rows, columns, &values, None), rows, columns).unwrap();
            prop_assert!(again.iter().all(|v| v.to_bits() != (-0.0f32).to_bits()));
            let bits = |v: &f32| if *v == 0.0 { 0 } else { v.to_bits() };
            prop_assert_eq!(again.iter().map(bits).collect::<Vec<_>>(), values.iter().map(bits).collect::<Vec<_>>());
        }

        #[test]
        fn rounded_weights_come_back_as_they_were_rounded((rows, columns, values) in matrix()) {
            let scales = WeightScales { bits: 8, scheme: Scheme::Symmetric, scales: vec![7.3; rows.max(1)] };
            let rounded = Rounded::of(&values, columns, &scales);
            let seen = rounded.floats();
            let again = back(masked("w", rows, columns, &seen, Some(rounded)), rows, columns).unwrap();
            prop_assert!(same(&again, &seen));
        }

        #[test]
        fn damaged_parts_are_refused_and_never_panic((rows, columns, values) in matrix(), which in 0usize..5, at in 0usize..64, bit in 0u8..8) {
            let mut parts = masked("w", rows, columns, &values, None);
            let index = which % parts.len();
            let bytes = &mut parts[index].1.bytes;
            if !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] ^= 1 << bit;
                let damaged = back(parts, rows, columns);
                // A changed weight is a weight; anything else contradicts the rest.
                prop_assert!(index == 0 || damaged.is_err(), "part {} of {}", index, rows * columns);
            }
        }
    }
}
