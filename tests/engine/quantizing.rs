//! Training with rounded values: whole runs, what they save, and who opens it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::engine::events::Unwatched;
use obert::internals::engine::{EngineError, Interpreter};
use obert::internals::infer::simd::Isa;
use obert::internals::infer::{self, Limits, Session};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::method::qat::quantizer::Mode;
use obert::internals::method::qat::{Channels, Grid, Phase, Quantizer};
use obert::internals::params::builtin::Head;
use obert::internals::params::quantization::Quantization;
use obert::internals::params::{BertConfig, BertShape, Family};
use obert::internals::schedule::{Schedule, Time};
use obert::internals::task::data::cache::FeatureCache;
use obert::internals::task::data::splits::{Need, ReadOptions};
use obert::internals::task::model::kernels::Dropout;
use obert::internals::task::model::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertModel, Dropouts, Tokens,
    checkpoint,
};
use obert::internals::task::prepare::{self, PrepareOptions, Prepared};
use obert::internals::task::quantizers::{Quantizers, channels};
use obert::internals::task::question_answering::QuestionAnswering;
use obert::internals::task::{Task, parameters};
use serde_json::Value;

/// Dense, then pruned in blocks of four; rounded without training and with it.
const RECIPE: &str = r#"edition 2026
use std.bert.{encoder_linears, embeddings}
recipe tiny {
  model: bert(layers: 2, hidden: 32, heads: 2)
  data: builtin_reading(train: 96, dev: 24)
  batch: 16
  stage sparse for 2 epochs {
    lr { 0..2 epochs: 1e-3 -> 1e-4 linear }
    prune encoder_linears over 0.5..1 epochs every 0.5 epochs {
      by: magnitude, sparsity: 40% -> 75% linear, pattern: blocks(1, 4)
    }
  }
  branch ptq from sparse {
    quantize [encoder_linears, embeddings] { weights: int8(per: channel), calibrate: 4 }
  }
  stage qat for 3 epochs {
    lr { 0..3 epochs: 5e-4 -> 5e-5 linear }
    hold encoder_linears
    quantize [encoder_linears, embeddings] over 0.5..3 epochs {
      weights: int8(per: channel)
      freeze: after 2 epochs
      calibrate: 3
    }
    distill from sparse { hardness: 0.5, temperature: 2.0 }
    evaluate every 1 epoch { keep: best(f1) }
  }
}
"#;

fn obertc(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
    command.args(arguments).env("NO_COLOR", "1").current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A finished run of a recipe in a folder of its own, under `out`.
fn ran(recipe: &str, more: &[&str]) -> (tempfile::TempDir, String) {
    let shop = tempfile::tempdir().unwrap();
    std::fs::write(shop.path().join("r.obert"), recipe).unwrap();
    let output = obertc(shop.path(), &[&["run", "r.obert", "--out", "out"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let said = said(&output);
    (shop, said)
}

fn events(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("run.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn schedule(text: &str) -> Schedule {
    compile("r.obert", text, &NoFiles, Options::default()).schedule.unwrap()
}

/// The task of a recipe with generated data, and its new model or that of a folder.
fn prepared(schedule: &Schedule, model: Option<&Path>) -> Prepared<QuestionAnswering> {
    let places = PrepareOptions {
        model: &schedule.model,
        model_folder: model,
        data: &schedule.data,
        data_folder: None,
        reading: ReadOptions::default(),
        need: Need::Both,
        limit_examples: None,
        dropout: None,
        may_have_new_head: true,
        distills: false,
        needs_labels: false,
        seed: schedule.seed,
    };
    let mut feature_cache = FeatureCache::disabled();
    prepare::prepare(&places, &Device::flex(), &mut Sources::new(), &mut feature_cache).unwrap()
}

#[test]
fn a_pruned_model_is_rounded_and_its_folder_is_what_was_measured_for_everyone_who_opens_it() {
    let (shop, said) = ran(RECIPE, &[]);
    assert!(said.contains("ptq (branch)"), "{said}");
    let out = shop.path().join("out");
    let events = events(&out);
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).collect::<Vec<_>>();
    let quantized = of("quantized");
    // Six matrices in each of two layers and three tables; an input for each matrix, four states for each layer.
    let shown: Vec<_> = quantized
        .iter()
        .map(|e| {
            (e["stage"].as_str().unwrap(), e["step"].as_u64().unwrap(), e["calibrated"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(shown, [("ptq", 0, 4), ("qat", 3, 3)]);
    assert!(
        quantized.iter().all(|e| (e["weights"].as_u64(), e["activations"].as_u64()) == (Some(15), Some(20)))
    );
    let fixed: Vec<_> = of("ranges_fixed").iter().map(|e| e["step"].as_u64().unwrap()).collect();
    assert_eq!(fixed, [15], "two epochs behind the window's start");

    // Everything pruned is exactly zero, and what is saved are whole steps.
    let scales = Quantization::read(&out).unwrap().unwrap();
    let loaded = checkpoint::load(&out, 0, &Device::flex(), &mut Sources::new()).unwrap();
    let values = parameters::read(&loaded.model, |_| true);
    let table = parameters::table(&loaded.model);
    assert_eq!((scales.weights.len(), scales.activations.len()), (15, 20));
    for (name, weight) in &scales.weights {
        let parameter = table.find(name).unwrap();
        assert_eq!(weight.scales.len(), parameter.shape[0], "{name} has a scale for each row");
        for (row, scale) in values[name].chunks(parameter.inputs()).zip(&weight.scales) {
            for w in row {
                let steps = w / scale;
                assert!((steps - steps.round()).abs() < 1e-3 && steps.abs() <= 128.5, "{w} of {name}");
            }
        }
    }
    let pruned = of("pruned");
    let sparse = pruned.last().unwrap()["layers"].as_array().unwrap();
    let mut zero_blocks = 0;
    for layer in sparse {
        let (name, zeros) = (layer["name"].as_str().unwrap(), layer["zeros"].as_u64().unwrap() as usize);
        let blocks = values[name].chunks(4).filter(|block| block.iter().all(|w| *w == 0.0)).count();
        assert!(4 * blocks >= zeros, "{name} has {blocks} blocks of zeros, and {zeros} weights were pruned");
        zero_blocks += blocks;
    }
    let all: usize = sparse.iter().map(|l| l["count"].as_u64().unwrap() as usize).sum();
    assert!((4 * zero_blocks) as f64 / all as f64 >= 0.75);

    // Measured again with the scales of the folder: the figures of the run, to the last bit.
    let schedule = schedule(RECIPE);
    let again = prepared(&schedule, Some(&out));
    let rounded = checkpoint::with_scales(again.model.clone(), &out).unwrap();
    let metrics = again.task.evaluate(&rounded, &Device::flex(), &mut |_, _| ());
    let kept = of("kept")[0].clone();
    assert_eq!(metrics["f1"], kept["value"].as_f64().unwrap());
    let step = kept["step"].as_u64().unwrap();
    assert!(step >= 6, "what was measured before the rounding does not count");

    // The runtime of bytes says what the fake-quantized model says.
    let windows: Vec<(Vec<u32>, Vec<u32>)> =
        again.task.dev.iter().take(8).map(|w| (w.window.ids.clone(), w.window.types.clone())).collect();
    let borrowed: Vec<(&[u32], &[u32])> = windows.iter().map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
    let tokens = Tokens::arrange(&borrowed, &Device::flex());
    let logits = |model: &BertForQuestionAnswering| -> Vec<f32> {
        model.forward(&tokens, Dropouts::NONE).into_data().try_to_vec().unwrap()
    };
    let (fake, plain) = (logits(&rounded), logits(&again.model));
    let model = Arc::new(infer::open(&out, None, &mut Sources::new()).unwrap_or_else(|d| panic!("{d:?}")));
    let limits = Limits { sequences: 8, length: 128, threads: 1, isa: Isa::best() };
    let mut session = Session::new(model, limits).unwrap();
    let sequences: Vec<infer::Sequence> =
        windows.iter().map(|(ids, types)| infer::Sequence { ids, types }).collect();
    let answers = session.run(&sequences).unwrap();
    let bytes: Vec<f32> = (0..windows.len())
        .flat_map(|i| {
            let (start, end) = answers.answer(i);
            start.iter().zip(end).flat_map(|(s, e)| [*s, *e]).collect::<Vec<_>>()
        })
        .collect();
    let apart = |other: &[f32]| {
        assert_eq!(other.len(), fake.len());
        let each: Vec<f32> = other.iter().zip(&fake).map(|(a, b)| (a - b).abs()).collect();
        (each.iter().copied().fold(0.0, f32::max), each.iter().sum::<f32>() / each.len() as f32)
    };
    let ((most, mean), (most_plain, mean_plain)) = (apart(&bytes), apart(&plain));
    // What the head reads moves by a step of the last layer's input at most.
    let last = &scales.activations["bert.encoder.layer.1.output.dense.input"];
    let step = last.scale
        * values["bert.encoder.layer.1.output.dense.weight"].iter().fold(0.0f32, |m, w| m.max(w.abs()));
    let head = values["qa_outputs.weight"].chunks(32).map(|row| row.iter().map(|w| w.abs()).sum::<f32>());
    let bound = step * head.fold(0.0, f32::max);
    assert!(
        most < bound.max(0.02) && mean < mean_plain / 3.0,
        "{most} {mean}, a step is {bound}; without rounding of activations {most_plain} {mean_plain}"
    );
}

#[test]
fn every_matrix_and_activation_of_every_family_and_head_passes_through_the_rounding() {
    fn check<M: BertModel + Module>(family: Family, head: Head, run: impl Fn(&M, &Tokens) -> Tensor<2>) {
        let shape = BertShape {
            vocab: 31,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 12,
            positions: 16,
            types: match family {
                Family::Bert | Family::Electra | Family::Albert => 2,
                Family::Roberta | Family::XlmRoberta | Family::Camembert => 1,
                _ => 0,
            },
        };
        let mut config = BertConfig::new(shape);
        config.model_type = family.model_type().to_owned();
        if matches!(family, Family::Electra | Family::Albert) {
            config.rest.insert("embedding_size".into(), 6.into());
            config.rest.insert("num_hidden_groups".into(), 2.into());
        }
        config.rest.insert("pos_att_type".into(), "p2c|c2p".into());
        config.rest.insert("share_att_key".into(), (head == Head::QuestionAnswering).into());
        let device = Device::flex();
        let plain = M::with_head(&config, head, 3, &device);
        let values = parameters::read(&plain, |_| true);
        let model = parameters::write(plain.clone().fork(&device.clone().autodiff()), values).train();
        let grid = |symmetric| Grid { bits: 4, symmetric };
        let mut quantizers = Quantizers::default();
        let all = parameters::parameters(&model);
        for p in all.iter().filter(|p| p.parameter.shape.len() == 2) {
            quantizers.add(p.parameter.name.clone(), Quantizer::new(grid(true), channels(Some(p), true)));
            if p.transposed {
                let module = p.parameter.name.strip_suffix(".weight").unwrap();
                quantizers.add(format!("{module}.input"), Quantizer::new(grid(false), Channels::All));
            }
        }
        let matmuls = model.activation_matmuls();
        assert_eq!(matmuls.len(), 4, "two in each layer");
        for matmul in matmuls {
            assert!(matmul.weights.iter().all(|w| quantizers.get(w).is_some()), "{matmul:?}");
            quantizers.add(matmul.left, Quantizer::new(grid(false), Channels::All));
            quantizers.add(matmul.right, Quantizer::new(grid(true), Channels::All));
        }
        quantizers.iter().for_each(|(_, q)| q.set_mode(Mode::FakeQuantize));
        let quantizers = Arc::new(quantizers);
        let model = model.with_quantizers(Some(quantizers.clone()));
        let parts: [(Vec<u32>, Vec<u32>); 2] = [9, 5].map(|n: u32| {
            ((0..n).map(|i| (i * 7 + n) % 31).collect(), (0..n).map(|i| u32::from(i > 3)).collect())
        });
        let parts: Vec<(&[u32], &[u32])> = parts.iter().map(|(i, t)| (i.as_slice(), t.as_slice())).collect();
        let tokens = |device: &Device| Tokens::arrange(&parts, device);
        quantizers.set_phase(Phase::Training);
        let logits = run(&model, &tokens(&device.clone().autodiff()));
        quantizers.set_phase(Phase::Evaluating);
        let unseen: Vec<&String> =
            quantizers.iter().filter(|(_, q)| !q.has_scales()).map(|(n, _)| n).collect();
        assert!(unseen.is_empty(), "{family:?} {head:?}: {unseen:?}");
        let gradients = GradientsParams::from_grads(logits.clone().square().sum().backward(), &model);
        assert_eq!(gradients.len(), all.len(), "{family:?} {head:?}: every parameter has a gradient");
        let exact: Vec<f32> = run(&plain, &tokens(&device)).into_data().try_to_vec().unwrap();
        let rounded: Vec<f32> = logits.into_data().try_to_vec().unwrap();
        assert!(exact.iter().zip(&rounded).any(|(a, b)| (a - b).abs() > 1e-4), "nothing was rounded");
    }
    for family in Family::ALL {
        check::<BertForQuestionAnswering>(family, Head::QuestionAnswering, |m, t| {
            m.forward(t, Dropouts::NONE)
        });
        check::<BertForMaskedLM>(family, Head::MaskedLanguageModel, |m, t| {
            let rows = Tensor::<1, Int>::from_data(TensorData::new(vec![1, 3], [2]), &t.ids.device());
            m.forward(t, rows, Dropouts::NONE)
        });
        check::<BertForSequenceClassification>(family, Head::Classification { labels: 3 }, |m, t| {
            let rows = Tensor::<1, Int>::from_data(TensorData::new(vec![0, 9], [2]), &t.ids.device());
            m.forward(t, rows, Dropouts::NONE, Dropout::NONE)
        });
    }
}

/// A run of one stage on a new model.
fn stage(
    statements: &str,
    change: impl FnOnce(&mut Schedule),
) -> Result<BertForQuestionAnswering, EngineError> {
    let mut schedule = schedule(&format!(
        "edition 2026\nuse std.bert.{{encoder_linears}}\nrecipe r {{\n  model: bert(layers: 1, hidden: 32, heads: 2)\n  \
         data: builtin_reading(train: 32, dev: 4)\n  batch: 16\n{statements}\n}}\n"
    ));
    change(&mut schedule);
    let prepared = prepared(&schedule, None);
    let mut model = prepared.model;
    if statements.contains("# infinite") {
        let name = "bert.encoder.layer.0.intermediate.dense.weight";
        let mut values = parameters::read(&model, |n| n == name);
        values.values_mut().for_each(|v| v[7] = f32::INFINITY);
        model = parameters::write(model, values);
    }
    let interpreter = Interpreter::new(&prepared.task, &schedule, Device::flex());
    interpreter.run(model, &mut Unwatched).map(|(model, _)| model)
}

#[test]
fn ranges_that_are_not_finite_and_ranges_fixed_before_anything_was_seen_end_the_run_with_the_tensors_name() {
    let statements =
        "  stage s for 1 epoch {\n    lr { 0..1 epochs: 1e-4 }\n    quantize encoder_linears # infinite\n  }";
    let diagnostic = Diagnostic::from(stage(statements, |_| ()).unwrap_err());
    assert_eq!(diagnostic.code, Code::RangeNotFinite, "{}", diagnostic.message);
    assert!(
        diagnostic.message.contains("bert.encoder.layer.0.intermediate.dense.weight"),
        "{}",
        diagnostic.message
    );
    let statements = "  stage s for 1 epoch {\n    lr { 0..1 epochs: 1e-4 }\n    quantize encoder_linears { freeze: after 1 epoch }\n  }";
    let statements = statements.replace("after 1 epoch }", "after 0.5 epochs }");
    let early = |schedule: &mut Schedule| schedule.stages[0].quantize[0].freeze = Some(Time::ZERO);
    let diagnostic = Diagnostic::from(stage(&statements, early).unwrap_err());
    assert_eq!(diagnostic.code, Code::NeverObserved, "{}", diagnostic.message);
    assert!(stage(&statements, |_| ()).is_ok());
}

#[test]
fn rounding_stays_when_its_window_closes_and_in_later_stages_with_ranges_as_they_were() {
    let statements = "  stage a for 2 epochs {
    lr { 0..2 epochs: 1e-3 }
    quantize encoder_linears over 0..1 epochs
  }
  stage b for 1 epoch { lr { 0..1 epochs: 1e-3 } }";
    let scales = |change: &dyn Fn(&mut Schedule)| {
        let model = stage(statements, change).unwrap();
        let quantizers = model.quantizers().unwrap().clone();
        assert!(quantizers.iter().all(|(_, q)| q.mode() == Mode::Frozen));
        quantizers
            .iter()
            .map(|(name, q)| (name.clone(), q.qparams().unwrap().scales.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let whole = scales(&|_| ());
    let window = scales(&|schedule| {
        schedule.stages.truncate(1);
        let stage = &mut schedule.stages[0];
        (stage.length, stage.lr[0].end) = ("1 epoch".parse().unwrap(), "1 epoch".parse().unwrap());
        stage.quantize[0].end = stage.length;
    });
    assert_eq!(whole, window);
}

#[test]
fn a_recipe_of_table_3_runs_on_a_tiny_model_and_eval_measures_what_the_run_measured() {
    let shop = super::tasks::Workshop::new();
    let deep = "  model: bert(layers: 12, hidden: 16, heads: 2)
  data: builtin_reading(train: 16, dev: 4)
  lr { 0..1 epochs: 1e-4 }";
    shop.succeeds("deep", 1, deep, &["--limit-steps", "1"]);
    shop.write_questions("questions");
    let [deep, data, out] = ["deep", "questions", "out"].map(|name| shop.path(name).display().to_string());
    let recipe = "stdlib_recipes/paper/compound/3layers_4block90_qat_squad.obert";
    let given = ["--data", &data, "--max-seq-len", "64", "--limit-examples", "24"];
    let own =
        ["run", recipe, "--model", &deep, "--teacher", &deep, "--limit-steps", "30", "--out", &out, "-q"];
    let output = super::tasks::obertc(&[&own[..], &given].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let events = events(Path::new(&out));
    let config: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&out).join("config.json")).unwrap()).unwrap();
    assert_eq!(config["num_hidden_layers"], 3);
    let last = |kind: &str| events.iter().rev().find(|e| e["event"] == kind).unwrap();
    let quantized = last("quantized");
    // Eighteen matrices and three tables; an input for each matrix, four states for each layer.
    assert_eq!((quantized["weights"].as_u64(), quantized["activations"].as_u64()), (Some(21), Some(30)));
    assert_eq!(last("ranges_fixed")["stage"], "quantize");
    let sparsity = last("pruned")["sparsity"].as_f64().unwrap();
    assert!((sparsity - 0.9).abs() < 1e-3, "{sparsity}");
    // The head is dense, and nothing has filled what was pruned.
    let end = last("stage_finished");
    assert!(end["sparsity"].as_f64().unwrap() > 0.89, "{end}");
    let dense: u64 = end["layers"].as_array().unwrap().iter().map(|l| 4 * l["count"].as_u64().unwrap()).sum();
    assert!(end["encoder_bytes"].as_u64().unwrap() * 3 < dense, "{end}");
    let loaded = checkpoint::load(Path::new(&out), 0, &Device::flex(), &mut Sources::new()).unwrap();
    let weights = parameters::read(&loaded.model, |n| n.contains(".layer.") && n.ends_with("dense.weight"));
    let (zeros, blocks) = weights
        .values()
        .flat_map(|w| w.chunks(4))
        .fold((0, 0), |(zeros, all), block| (zeros + usize::from(block.iter().all(|w| *w == 0.0)), all + 1));
    assert!(zeros as f64 / blocks as f64 > 0.8, "{zeros} of {blocks} blocks are zero");
    let eval = ["eval", &out, "--task", "squad", "--doc-stride", "32", "--format", "json", "-q"];
    let output = super::tasks::obertc(&[&eval[..], &given].concat());
    let measured: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    for (metric, value) in last("evaluated")["metrics"].as_object().unwrap() {
        assert_eq!(&measured[metric], value, "{metric}");
    }
}
