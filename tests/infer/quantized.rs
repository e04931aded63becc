//! Models of bytes against PyTorch's fake quantization (`tests/oracle/quantized.py` records it).

use std::sync::Arc;

use obert::internals::infer::file::Opened;
use obert::internals::infer::file::layout::Form;
use obert::internals::infer::{Model, Precision};

use obert::internals::infer::pack;
use obert::internals::infer::simd::Isa;

use super::golden::{answers, floats, golden, model, recorded, sequences, session};

/// The greatest and the mean deviation of logits from recorded ones.
fn apart(got: &[Vec<[f32; 2]>], expected: &serde_json::Value) -> (f32, f32) {
    let (mut most, mut sum, mut count) = (0.0f32, 0.0, 0);
    for (got, expected) in got.iter().zip(expected.as_array().unwrap()) {
        let expected: Vec<Vec<f32>> = expected.as_array().unwrap().iter().map(floats).collect();
        assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().flatten().zip(expected.iter().flatten()) {
            most = most.max((g - e).abs());
            sum += (g - e).abs();
            count += 1;
        }
    }
    (most, sum / count as f32)
}

#[test]
fn a_trained_model_of_bytes_says_what_its_fake_quantized_self_says() {
    let recorded = recorded("infer/quantized_outputs.json");
    let model = model("infer/quantized", None);
    let sequences = sequences(&recorded);
    let mut all = Vec::new();
    for isa in Isa::available() {
        let got = answers(&mut session(&model, 1, isa), &sequences);
        let (most, mean) = apart(&got, &recorded["logits"]);
        // One step of an activation moves a logit by about 0.02; few are rounded the other way.
        assert!(most < 0.05 && mean < 0.004, "{most} at most, {mean} in the mean on {}", isa.name());
        // Without any rounding it would be further away: the test sees the scales.
        let (most, mean) = apart(&got, &recorded["float_logits"]);
        assert!(most > 0.05 && mean > 0.01, "{most} at most, {mean} in the mean");
        all.push(got);
    }
}

#[test]
fn measured_scales_stay_near_the_float_model() {
    let recorded = recorded("bert/tiny_outputs.json");
    let model = model("bert/tiny", Some(Precision::Int8));
    let sequences = sequences(&recorded);
    for isa in Isa::available() {
        let got = answers(&mut session(&model, 2, isa), &sequences);
        let (most, mean) = apart(&got, &recorded["logits"]);
        assert!(most < 0.12 && mean < 0.04, "{most} at most, {mean} in the mean on {}", isa.name());
        assert!(mean > 1e-4, "the weights were not rounded");
    }
}

#[test]
fn each_layer_has_the_form_that_fits_its_zeros() {
    let image = pack::pack(&golden("infer/quantized"), None, &mut Default::default()).unwrap();
    let opened = Opened::bytes(&image.bytes(), "model").unwrap();
    let form = |name: &str| opened.directory.linears[name].form;
    assert_eq!(form("bert.encoder.layer.0.intermediate.dense"), Form::Blocks);
    assert_eq!(form("bert.encoder.layer.1.intermediate.dense"), Form::Dense);
    assert_eq!(form("qa_outputs"), Form::Float32);
    let image =
        pack::pack(&golden("infer/quantized"), Some(Precision::Float32), &mut Default::default()).unwrap();
    let opened = Opened::bytes(&image.bytes(), "model").unwrap();
    assert!(opened.directory.linears.values().all(|l| l.form == Form::Float32));
}

/// The golden model with the word embeddings quantized to `bits`, with the scale `max|w| / 7` for all rows.
fn with_embeddings_of(bits: u32) -> (Vec<Vec<[f32; 2]>>, usize) {
    let words = "bert.embeddings.word_embeddings.weight";
    let image =
        pack::pack(&golden("infer/quantized"), Some(Precision::Float32), &mut Default::default()).unwrap();
    let opened = Opened::bytes(&image.bytes(), "model").unwrap();
    let largest = opened.array::<f32>(words, None).unwrap().iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        std::fs::copy(golden("infer/quantized").join(name), folder.path().join(name)).unwrap();
    }
    let mut quantization = recorded("infer/quantized/quantization.json");
    quantization["weights"][words]["bits"] = bits.into();
    quantization["weights"][words]["scales"] = vec![largest / 7.0].into();
    std::fs::write(folder.path().join("quantization.json"), quantization.to_string()).unwrap();
    let image = pack::pack(folder.path(), None, &mut Default::default()).unwrap();
    let model = Arc::new(Model::from_bytes(&image.bytes(), "model").unwrap());
    let sequences = sequences(&recorded("infer/quantized_outputs.json"));
    let got = answers(&mut session(&model, 1, Isa::available()[0]), &sequences);
    let opened = Opened::bytes(&image.bytes(), "model").unwrap();
    (got, opened.directory.sections[words].length as usize)
}

#[test]
fn embeddings_of_four_bits_are_stored_in_four_and_give_the_logits_of_eight() {
    let (in_eight, bytes_of_eight) = with_embeddings_of(8);
    let (in_four, bytes_of_four) = with_embeddings_of(4);
    assert_eq!(in_four, in_eight);
    assert_eq!(2 * bytes_of_four, bytes_of_eight);
}

#[test]
fn scales_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "vocab.txt"] {
        std::fs::copy(golden("infer/quantized").join(name), folder.path().join(name)).unwrap();
    }
    let original = std::fs::read_to_string(golden("infer/quantized/quantization.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&original).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = value.clone();
        change(&mut changed);
        std::fs::write(folder.path().join("quantization.json"), changed.to_string()).unwrap();
        let diagnostics = pack::pack(folder.path(), None, &mut Default::default()).unwrap_err();
        format!("{} {}", diagnostics[0].code, diagnostics[0].message)
    };
    let query = "bert.encoder.layer.0.attention.self.query";
    let message = refused(&|v| v["version"] = 2.into());
    assert!(message.starts_with("OB0965") && message.contains("version 2"), "{message}");
    let message = refused(&|v| v["weights"][format!("{query}.weight")]["scales"] = vec![1.0, 2.0].into());
    assert!(message.starts_with("OB0965") && message.contains("24 rows and 2 scales"), "{message}");
    let message = refused(&|v| v["activations"][format!("{query}.input")]["scale"] = 0.0.into());
    assert!(
        message.starts_with("OB0965")
            && message.contains("the scale 0, which is not a positive, normal float32 number"),
        "{message}"
    );
    let message = refused(&|v| v["activations"][format!("{query}.input")]["zero_point"] = 256.into());
    assert!(
        message.starts_with("OB0965") && message.contains("zero point 256; it must be in 0..=255"),
        "{message}"
    );
    let message = refused(&|v| v["weights"][format!("{query}.weight")]["bits"] = 9.into());
    assert!(message.starts_with("OB0965") && message.contains("9 bits; they must be in 2..=8"), "{message}");
    let message = refused(&|v| v["weights"][format!("{query}.weight")]["scheme"] = "asymmetric".into());
    assert!(message.starts_with("OB0964") && message.contains("zero point"), "{message}");
    let message = refused(&|v| {
        v["activations"].as_object_mut().unwrap().remove(&format!("{query}_states"));
    });
    assert!(message.starts_with("OB0964") && message.contains("only"), "{message}");
    let message =
        refused(&|v| v["weights"]["other.weight"] = v["weights"][format!("{query}.weight")].clone());
    assert!(message.starts_with("OB0965") && message.contains("other.weight"), "{message}");
    std::fs::write(folder.path().join("quantization.json"), "{").unwrap();
    let diagnostics = pack::pack(folder.path(), None, &mut Default::default()).unwrap_err();
    assert_eq!(diagnostics[0].code.to_string(), "OB0965");
}
