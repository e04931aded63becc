//! Loads linear layers and the quantization of products from a packed file.

use super::linear::{BlockRows, Folded, Linear, Scales, Weights};
use crate::diag::Diagnostic;
use crate::infer::file::layout::{self, Form, Input, Scale};
use crate::infer::file::{Opened, Stored};
use crate::infer::kernel::attention::Operands;
use crate::infer::kernel::quantize::{InputQuantization, QParams};

/// Loads a linear layer, with its weights in the format that the directory states.
pub(super) fn linear(file: &Opened, name: &str, rows: usize, columns: usize) -> Result<Linear, Diagnostic> {
    let wrong = |why: String| file.contradiction(format!("the layer `{name}` {why}"));
    let entry = file.directory.linears.get(name);
    let entry = entry.ok_or_else(|| wrong("is missing".into()))?;
    if (entry.rows, entry.columns) != (rows, columns) || rows == 0 {
        return Err(wrong(format!("is {} × {}, not {rows} × {columns}", entry.rows, entry.columns)));
    }
    let steps = columns.div_ceil(4);
    let part = |part: &str| format!("{name}.{part}");
    let scales = || -> Result<Scales, Diagnostic> {
        Ok(Scales {
            scales: file.array(&part("scales"), Some(rows))?,
            sums: file.array(&part("sums"), Some(rows))?,
        })
    };
    let weights = match entry.form {
        Form::Float32 => Weights::Float32(file.array(&part("weight"), Some(rows * columns))?),
        Form::Dense => Weights::Dense(file.array(&part("weight"), Some(rows * steps))?, scales()?),
        Form::Blocks => {
            let pointers: Stored<u32> = file.array(&part("pointers"), Some(rows + 1))?;
            let indices: Stored<u16> = file.array(&part("places"), None)?;
            let words: Stored<[i8; 4]> = file.array(&part("words"), None)?;
            Weights::Blocks(BlockRows::new(pointers, indices, words, steps).map_err(wrong)?, scales()?)
        }
    };
    let input = match entry.input {
        Input::Float32 => None,
        Input::Dynamic => Some(InputQuantization::Dynamic),
        Input::Static(scale) => Some(InputQuantization::Static(
            qparams(scale, 0..=255).map_err(|why| wrong(format!("has an input with {why}")))?,
        )),
    };
    if (entry.form == Form::Float32) != input.is_none() {
        return Err(wrong("mixes floats and bytes".into()));
    }
    let bias: Stored<f32> = file.array(&part("bias"), Some(rows))?;
    let folded = Folded::of(&weights, &bias, input);
    Ok(Linear { rows, columns, weights, bias, input, folded })
}

/// The element type and quantization of a product of attention.
pub(super) fn operands(
    file: &Opened,
    layer: usize,
    stored: layout::Operands,
) -> Result<Operands, Diagnostic> {
    Ok(match stored {
        layout::Operands::Float32 => Operands::Float32,
        layout::Operands::Dynamic => Operands::Dynamic,
        layout::Operands::Static { left, right } => {
            let wrong =
                |why| file.contradiction(format!("the attention of layer {layer} has an operand with {why}"));
            Operands::Static {
                left: qparams(left, 0..=255).map_err(wrong)?,
                right: qparams(right, -128..=127).map_err(wrong)?,
            }
        }
    })
}

/// Validates quantization parameters; `bytes` is the range of the integers.
///
/// # Errors
/// What is wrong with them, in words.
fn qparams(stored: Scale, bytes: std::ops::RangeInclusive<i32>) -> Result<QParams, String> {
    let Scale { scale, zero, low, high } = stored;
    let fits = low < high && [low, high, zero].iter().all(|v| bytes.contains(v));
    let sound = scale.is_normal() && scale > 0.0 && (1.0 / scale).is_finite();
    if !sound {
        return Err(format!("the scale {scale}, which is not a positive, normal float32 number"));
    }
    if !fits {
        let (least, most) = (bytes.start(), bytes.end());
        return Err(format!(
            "the integers {low}..={high} and the zero point {zero}; they must be within {least}..={most}, and \
             the first integer below the last"
        ));
    }
    Ok(QParams { scale, zero, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantization_parameters_are_refused_with_what_is_wrong() {
        let stored = Scale { scale: 0.5, zero: 3, low: 0, high: 255 };
        assert!(qparams(stored, 0..=255).is_ok());
        for scale in [0.0, -1.0, 1e-40, f32::INFINITY, f32::NAN] {
            let why = qparams(Scale { scale, ..stored }, 0..=255).unwrap_err();
            assert!(why.contains("not a positive, normal float32 number"), "{why}");
        }
        for wrong in [Scale { zero: 256, ..stored }, Scale { low: -1, ..stored }, Scale { high: 0, ..stored }]
        {
            let why = qparams(wrong, 0..=255).unwrap_err();
            assert!(why.contains("must be within 0..=255"), "{why}");
        }
    }
}
