//! Models of every family: in float32 against transformers (`tests/oracle/families.py` and `encoders.py`), and in INT8
//! against PyTorch's fake quantization (`tests/oracle/quantized_families.py`).

use std::sync::Arc;

use obert::internals::infer::file::Opened;
use obert::internals::infer::file::layout::Form;
use obert::internals::infer::pack::random::Random;
use obert::internals::infer::simd::Isa;
use obert::internals::infer::{Model, Precision, Sequence, pack};
use obert::internals::output::export::random::float_folder;
use obert::internals::params::builtin::well_known_config;
use serde_json::Value;

use super::golden::{floats, golden, model, recorded, session};

const FAMILIES: [&str; 2] = ["roberta", "distilbert"];

/// Families with a recording of their own, and BERTs with each activation.
const ENCODERS: [&str; 13] = [
    "albert",
    "xlm-roberta",
    "camembert",
    "electra",
    "mpnet",
    "modernbert",
    "modernbert-biased",
    "deberta-v2",
    "deberta-v2-unshared",
    "bert-gelu_new",
    "bert-relu",
    "bert-silu",
    "bert-tanh",
];

/// A family's recorded outputs, and the folder of its models.
fn recordings() -> Vec<(&'static str, Value, &'static str)> {
    let first = recorded("families/outputs.json");
    let first = FAMILIES.map(|family| (family, first[family].clone(), "families"));
    let more = ENCODERS.map(|family| (family, recorded(&format!("encoders/{family}.json")), "encoders"));
    first.into_iter().chain(more).collect()
}

/// The recorded sequences. Families without token types do not read the ones that are given here.
fn sequences(recorded: &Value, family: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
    let ids = |v: &Value| v.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect();
    let all = recorded["ids"].as_array().unwrap().iter().map(ids);
    let typed = family.starts_with("bert") || family.starts_with("electra") || family == "albert";
    let kind = |i: usize, n: usize| u32::from(!typed || 2 * i > n);
    all.map(|ids: Vec<u32>| {
        let types = (0..ids.len()).map(|i| kind(i, ids.len())).collect();
        (ids, types)
    })
    .collect()
}

/// All logits of each sequence: start, then end logits, or those of the labels.
fn logits(model: &Arc<Model>, threads: usize, isa: Isa, sequences: &[(Vec<u32>, Vec<u32>)]) -> Vec<Vec<f32>> {
    let borrowed: Vec<Sequence<'_>> = sequences.iter().map(|(ids, types)| Sequence { ids, types }).collect();
    let mut session = session(model, threads, isa);
    let found = session.run(&borrowed).unwrap();
    (0..sequences.len())
        .map(|i| match model.labels() {
            Some(_) => found.labels(i).collect(),
            None => [found.answer(i).0, found.answer(i).1].concat(),
        })
        .collect()
}

/// The maximum and the mean absolute difference.
fn apart(got: &[Vec<f32>], expected: &[Vec<f32>]) -> (f32, f32) {
    let lengths = |all: &[Vec<f32>]| all.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths(got), lengths(expected));
    let pairs = || got.iter().flatten().zip(expected.iter().flatten());
    let most = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    (most, pairs().map(|(a, b)| (a - b).abs()).sum::<f32>() / pairs().count() as f32)
}

/// The recorded logits of a float32 model, in the order of [`logits`].
fn expected(recorded: &Value, head: &str) -> Vec<Vec<f32>> {
    let columns = |rows: &Value| -> Vec<f32> {
        let rows: Vec<Vec<f32>> = rows.as_array().unwrap().iter().map(floats).collect();
        (0..2).flat_map(|column| rows.iter().map(move |row| row[column]).collect::<Vec<_>>()).collect()
    };
    let each = if head == "answering" { columns } else { floats };
    recorded[head].as_array().unwrap().iter().map(each).collect()
}

#[test]
fn float_logits_equal_those_of_transformers_on_every_instruction_set() {
    for (family, recorded, folder) in recordings() {
        let sequences = sequences(&recorded, family);
        for head in ["answering", "classifier"] {
            let expected = expected(&recorded, head);
            let model = model(&format!("{folder}/{family}_{head}"), None);
            for isa in Isa::available() {
                let (most, _) = apart(&logits(&model, 2, isa, &sequences), &expected);
                assert!(most < 1e-4, "{family} {head}: {most} on {}", isa.name());
            }
        }
    }
}

#[test]
fn dynamic_int8_logits_are_near_those_of_transformers() {
    for (family, recorded, folder) in recordings() {
        let sequences = sequences(&recorded, family);
        for head in ["answering", "classifier"] {
            let expected = expected(&recorded, head);
            let model = model(&format!("{folder}/{family}_{head}"), Some(Precision::Int8));
            let (most, mean) = apart(&logits(&model, 1, Isa::best(), &sequences), &expected);
            assert!(most < 0.2 && mean < 0.07, "{family} {head}: {most} at most, {mean} in the mean");
            assert!(mean > 1e-4, "{family} {head}: it was not quantized");
        }
    }
}

#[test]
fn static_int8_logits_are_those_of_the_fake_quantized_model() {
    let recorded = recorded("infer/families/outputs.json");
    for (name, recorded) in recorded.as_object().unwrap() {
        let mut sequences = sequences(recorded, name);
        sequences.iter_mut().for_each(|(_, types)| types.fill(0));
        let all = |key: &str| recorded[key].as_array().unwrap().iter().map(floats).collect::<Vec<_>>();
        let (expected, unquantized) = (all("logits"), all("float_logits"));
        let model = model(&format!("infer/families/{name}"), None);
        for isa in Isa::available() {
            let got = logits(&model, 1, isa, &sequences);
            let (most, mean) = apart(&got, &expected);
            let (_, far) = apart(&got, &unquantized);
            // A few values are rounded to the neighbouring step; without quantization all logits would differ.
            assert!(
                most < 0.08 && mean < 0.012 && 2.0 * mean < far,
                "{name}: {most} at most, {mean} in the mean, {far} from float32 on {}",
                isa.name()
            );
        }
    }
}

#[test]
fn sparse_layers_of_every_family_are_stored_as_blocks() {
    for family in FAMILIES {
        let folder = golden(&format!("infer/families/{family}_classifier"));
        let image = pack::pack(&folder, None, &mut Default::default()).unwrap();
        let opened = Opened::bytes(&image.bytes(), "model").unwrap();
        let form =
            |layer: usize| opened.directory.linears[&format!("bert.encoder.layer.{layer}.output.dense")].form;
        assert_eq!((form(0), form(1)), (Form::Blocks, Form::Dense));
        assert_eq!(opened.directory.linears["classifier"].form, Form::Dense, "the head was quantized");
    }
}

#[test]
fn random_models_have_the_architecture_of_their_family() {
    let names = [
        "bert-tiny",
        "roberta-base",
        "camembert-base",
        "xlm-roberta-base",
        "distilbert-base-uncased",
        "electra-small-discriminator",
        "albert-base-v2",
        "mpnet-base",
        "ModernBERT-base",
        "deberta-v3-small",
    ];
    for name in names {
        let mut config = well_known_config(name).unwrap();
        (config.vocab_size, config.hidden_size, config.intermediate_size) = (60, 24, 40);
        (config.num_hidden_layers, config.num_attention_heads) = (2, 3);
        let random = Random { config, sparsity: 0.5, seed: 1 };
        let folder = tempfile::tempdir().unwrap();
        float_folder(&random, folder.path()).unwrap();
        let read = pack::pack(folder.path(), Some(Precision::Float32), &mut Default::default());
        let read = read.unwrap_or_else(|d| panic!("{name}: {d:?}"));
        let made = random.pack(false).unwrap();
        assert_eq!(read.directory().encoder, made.directory().encoder, "{name}");
        assert_eq!(read.directory().sections, made.directory().sections, "{name}");
        let packed = random.pack(true).unwrap();
        assert!(packed.directory().linears.values().any(|layer| layer.form == Form::Dense), "{name}");
        let model = Model::from_bytes(&packed.bytes(), name).unwrap_or_else(|d| panic!("{name}: {d:?}"));
        let mut session = session(&Arc::new(model), 1, Isa::best());
        let found = session.run(&[Sequence { ids: &[2, 9, 8, 3], types: &[0; 4] }]).unwrap();
        let (start, end) = found.answer(0);
        assert!(start.iter().chain(end).all(|logit| logit.is_finite()), "{name}");
    }
}
