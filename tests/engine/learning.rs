//! What a stage learns from: teachers' outputs and hidden states, softened labels, batches by length. Numbers
//! against recordings (`tests/oracle/{distillation,losses}.py`).

use std::path::Path;

use burn::nn::LinearConfig;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::engine::events::{Event, Observer, Unwatched, Work};
use obert::internals::engine::{EngineError, Interpreter, StageResult, device};
use obert::internals::language::{NoFiles, Options, compile};
use obert::internals::method::distill::{hidden_state_error, kl_divergence};
use obert::internals::params::builtin::Head;
use obert::internals::schedule::Schedule;
use obert::internals::task::classification::{Classification, F1};
use obert::internals::task::data::pairs::Sequence;
use obert::internals::task::loss::{cross_entropy, smoothed_cross_entropy};
use obert::internals::task::metric::language_model::MeanLoss;
use obert::internals::task::model::{BertForSequenceClassification, BertModel, checkpoint};
use obert::internals::task::{HiddenStates, Task, parameters};
use serde_json::Value;

use super::golden::cases;

fn recorded(subject: &str) -> Value {
    cases(subject).into_iter().next().unwrap().1
}

/// Rows of numbers as a tensor.
fn tensor(rows: &Value, device: &Device) -> Tensor<2> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(rows.clone()).unwrap();
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

fn right(list: &Value, device: &Device) -> Tensor<1, Int> {
    let list: Vec<i32> = serde_json::from_value(list.clone()).unwrap();
    let count = list.len();
    Tensor::from_data(TensorData::new(list, [count]), device)
}

/// Compares a loss and its gradient with a recording.
fn equals(case: &Value, x: Tensor<2>, loss: Tensor<1>) {
    let expected = case["loss"].as_f64().unwrap();
    let value = f64::from(loss.clone().into_scalar::<f32>());
    assert!((value - expected).abs() < 2e-5 * expected.abs().max(1.0), "{value} is not {expected}");
    let gradient = x.grad(&loss.backward()).unwrap();
    let difference = (gradient - tensor(&case["gradient"], &Device::flex())).abs();
    let worst = difference.max().into_scalar::<f32>();
    assert!(worst < 2e-5, "gradients differ by {worst}");
}

#[test]
fn divergences_and_errors_of_states_equal_those_of_pytorch_with_their_gradients() {
    let recorded = recorded("distillation");
    let device = Device::flex().autodiff();
    let both = |case: &Value| {
        let student = tensor(&case["student"], &device).require_grad();
        (student, tensor(&case["teacher"], &device))
    };
    for case in recorded["logits"].as_array().unwrap() {
        let (student, teacher) = both(case);
        let loss = kl_divergence(student.clone(), teacher, case["temperature"].as_f64().unwrap());
        equals(case, student, loss);
    }
    for case in recorded["states"].as_array().unwrap() {
        let (student, teacher) = both(case);
        let loss = hidden_state_error(student.clone(), teacher, case["epsilon"].as_f64());
        equals(case, student, loss);
    }
}

#[test]
fn softened_labels_cost_what_pytorch_says_and_absent_choices_have_no_share() {
    let recorded = recorded("losses");
    let device = Device::flex().autodiff();
    for case in recorded["smoothed"].as_array().unwrap() {
        let smoothing = case["smoothing"].as_f64().unwrap();
        let logits = tensor(&case["logits"], &device).require_grad();
        let answers = right(&case["right"], &device);
        let loss = smoothed_cross_entropy(logits.clone(), answers.clone(), smoothing, None);
        equals(case, logits, loss);
        // The same among choices that do not exist, as the places of a window behind a shorter text.
        let logits = tensor(&case["logits"], &device).require_grad();
        let [rows, choices] = logits.dims();
        let padded = Tensor::cat(vec![logits.clone(), Tensor::full([rows, 3], -1e9, &device)], 1);
        let absent: Vec<bool> = (0..rows * (choices + 3)).map(|i| i % (choices + 3) >= choices).collect();
        let absent = Tensor::<2, Bool>::from_data(TensorData::new(absent, [rows, choices + 3]), &device);
        equals(case, logits, smoothed_cross_entropy(padded, answers.clone(), smoothing, Some(absent)));
        if smoothing == 0.0 {
            let logits = tensor(&case["logits"], &device).require_grad();
            equals(case, logits.clone(), cross_entropy(logits, answers));
        }
    }
}

#[test]
fn the_loss_and_perplexity_of_predictions_are_those_of_scikit_learn() {
    for case in recorded("losses")["measured"].as_array().unwrap() {
        let logits: Vec<Vec<f32>> = serde_json::from_value(case["logits"].clone()).unwrap();
        let right: Vec<usize> = serde_json::from_value(case["right"].clone()).unwrap();
        let mut mean = MeanLoss::default();
        logits.iter().zip(right).for_each(|(row, right)| mean.add(row, right));
        for (value, name) in [(mean.loss(), "loss"), (mean.perplexity(), "perplexity")] {
            let expected = case[name].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-5 * expected, "{name}: {value} is not {expected}");
        }
    }
}

/// Keeps all events.
#[derive(Default)]
pub struct Everything(pub Vec<Event>);

impl Observer for Everything {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.0.push(event.clone());
        Ok(())
    }

    fn progress(&mut self, _: Work, _: u64, _: u64) {}
}

/// A schedule out of the statements of a recipe for own data.
pub fn schedule(length: &str, statements: &str) -> Schedule {
    let text = format!(
        "edition 2026\nrecipe r {length} {{\n  model: \"own\"\n  data: own\n  batch: 2\n{statements}\n}}\n"
    );
    let compiled = compile("r", &text, &NoFiles, Options::default());
    compiled.schedule.unwrap_or_else(|| panic!("{text}\n{:?}", compiled.diagnostics))
}

#[allow(clippy::type_complexity)]
pub fn run<T: Task>(
    task: &T,
    schedule: &Schedule,
    model: T::Model,
) -> Result<(T::Model, Vec<StageResult>, Vec<Event>), EngineError> {
    let mut events = Everything::default();
    let (model, results) = Interpreter::new(task, schedule, Device::flex()).run(model, &mut events)?;
    Ok((model, results, events.0))
}

/// The recorded classifier and its two sequences of different lengths, without dropout.
pub fn classifier() -> (Classification, BertForSequenceClassification) {
    let recorded = recorded("heads");
    let ids = |rows: &Value| serde_json::from_value::<Vec<u32>>(rows.clone()).unwrap();
    let sequence = |i: usize, label: usize| Sequence {
        ids: ids(&recorded["ids"][i]),
        types: ids(&recorded["types"][i]),
        label,
        truncated: false,
    };
    let task = Classification {
        train: vec![sequence(0, 2), sequence(1, 0)],
        dev: vec![("", vec![sequence(0, 2), sequence(1, 0)]), ("_mm", vec![sequence(1, 0), sequence(1, 1)])],
        labels: ["entailment", "neutral", "contradiction"].map(str::to_owned).to_vec(),
        data_labels: Vec::new(),
        f1: F1::Unmeasured,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        pooled_dropout: 0.0,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heads/classifier");
    let head = Head::Classification { labels: 3 };
    let loaded = checkpoint::load_with_head(&folder, head, 1, &Device::flex(), &mut Sources::new());
    (task, loaded.unwrap_or_else(|d| panic!("{d:?}")).model)
}

#[test]
fn a_student_of_two_layers_learns_from_three_as_recorded() {
    let step = recorded("distillation")["step"].clone();
    let (task, model) = classifier();
    let schedule = schedule(
        "for 1 epoch",
        "  keep layers [0, 2]
  lr { 0..1 epochs: 1e-3 }
  distill from self {
    hardness: 25%, temperature: 2.0, hidden: states(\"bert.encoder.layer.*\", gain: 1.5)
  }",
    );
    let (.., events) = run(&task, &schedule, model).unwrap();
    let first = events.iter().find_map(|e| match e {
        Event::Step(step) => {
            Some([step.loss, step.task_loss, step.distill_loss, step.hidden_loss].map(Option::unwrap))
        }
        _ => None,
    });
    let [loss, of_task, divergence, hidden] = first.unwrap();
    let recorded = |name: &str| step[name].as_f64().unwrap();
    for (value, name) in [(of_task, "task"), (divergence, "divergence"), (hidden, "hidden")] {
        assert!((value - recorded(name)).abs() < 3e-5, "{name}: {value} is not {}", recorded(name));
    }
    let expected = 0.75 * recorded("task") + 0.25 * recorded("divergence") + recorded("hidden");
    assert!((loss - expected).abs() < 1e-4, "{loss} is not {expected}");
}

#[test]
fn a_teacher_may_be_given_an_earlier_stage_or_the_model_itself_and_its_states_are_matched() {
    let (task, model) = classifier();
    let hidden = "hidden: states(\"{bert.embeddings,bert.encoder.layer.2}\")";
    let stages = format!(
        "  stage first for 2 epochs {{ lr {{ 0..2 epochs: 5e-3 }} }}
  stage again for 2 epochs {{
    lr {{ 0..2 epochs: 1e-3 }}
    distill from first {{ {hidden} }}
  }}
  stage itself for 2 epochs {{
    lr {{ 0..2 epochs: 1e-3 }}
    distill from self {{ {hidden} }}
  }}
  stage given for 2 epochs {{
    lr {{ 0..2 epochs: 1e-3 }}
    distill from teacher {{ {hidden} }}
  }}"
    );
    let schedule = schedule("", &stages);
    let mut events = Everything::default();
    let interpreter =
        Interpreter { teacher: Some(model.clone()), ..Interpreter::new(&task, &schedule, Device::flex()) };
    interpreter.run(model, &mut events).unwrap();
    let losses = |wanted: &str| -> Vec<f64> {
        let of_stage = events.0.iter().filter_map(|e| match e {
            Event::Step(step) if step.stage == wanted => step.hidden_loss,
            _ => None,
        });
        of_stage.collect()
    };
    assert!(losses("first").is_empty());
    for stage in ["again", "itself"] {
        let [before, after] = losses(stage)[..] else { panic!("two steps") };
        assert!(before < 1e-10, "{stage}: the student is its teacher, and not {before} away");
        assert!(before <= after);
    }
    let [before, after] = losses("given")[..] else { panic!("two steps") };
    assert!(before > after && after > 0.0, "{before} and {after}: the student comes nearer");
}

#[test]
fn hidden_states_that_cannot_be_matched_are_refused_before_the_first_step() {
    let (task, model) = classifier();
    let fails = |statements: &str, teacher: Option<BertForSequenceClassification>, expected: &str| {
        let statements = format!("  lr {{ 0..1 epochs: 1e-3 }}\n{statements}");
        let schedule = schedule("for 1 epoch", &statements);
        let mut events = Everything::default();
        let interpreter = Interpreter { teacher, ..Interpreter::new(&task, &schedule, Device::flex()) };
        let error = interpreter.run(model.clone(), &mut events).unwrap_err();
        let diagnostic = Diagnostic::from(error);
        assert_eq!(diagnostic.code, Code::TeacherDiffers);
        assert!(diagnostic.message.contains(expected), "{}", diagnostic.message);
        assert!(events.0.iter().all(|e| matches!(e, Event::RunStarted(_))));
    };
    let states = |of: &str| format!("  distill from self {{ hidden: states({of}) }}");
    fails(&states("\"bert.encoder.layers.*\""), None, "there are bert.embeddings, bert.encoder.layer.0");
    let fewer = states("\"bert.encoder.layer.*\", teacher: \"bert.encoder.layer.1\"");
    fails(&fewer, None, "are 3 modules of the student");
    // A teacher of another width.
    let mut config = obert::internals::params::BertConfig::new(obert::internals::params::BertShape {
        vocab: 40,
        hidden: 12,
        layers: 3,
        heads: 3,
        intermediate: 16,
        positions: 20,
        types: 2,
    });
    config.set_labels(&task.labels);
    let head = Head::Classification { labels: 3 };
    let narrow = BertForSequenceClassification::with_head(&config, head, 1, &Device::flex());
    let wide = "  distill from teacher { hidden: states(\"bert.encoder.layer.*\") }";
    fails(wide, Some(narrow), "are 24 wide, those of the teacher's `bert.encoder.layer.0` 12");
}

#[test]
fn a_stage_that_softens_its_labels_minimises_the_softened_loss() {
    let (task, model) = classifier();
    let first = |statements: &str| {
        let statements = format!("  lr {{ 0..1 epochs: 1e-3 }}\n{statements}");
        let (.., events) = run(&task, &schedule("for 1 epoch", &statements), model.clone()).unwrap();
        let mut losses = events.iter().filter_map(|e| match e {
            Event::Step(step) => step.loss,
            _ => None,
        });
        losses.next().unwrap()
    };
    let device = Device::flex();
    let batch = task.batch(&[0, 1], &device);
    let outputs = task.outputs(&model, &batch, None);
    let softened = task.smoothed_loss(&outputs, &batch, 0.2).unwrap().into_scalar::<f32>();
    let plain = task.loss(&outputs, &batch).into_scalar::<f32>();
    assert!((first("  train { label_smoothing: 20% }") - f64::from(softened)).abs() < 1e-5);
    assert!((first("") - f64::from(plain)).abs() < 1e-5, "off if nothing is said");
    assert!((softened - plain).abs() > 1e-3);
}

#[test]
fn frozen_embeddings_stay_and_everything_else_learns() {
    let (task, model) = classifier();
    let before = parameters::read(&model, |_| true);
    let statements = "  lr { 0..2 epochs: 1e-2 }\n  freeze params(\"bert.embeddings.**\")";
    let (model, ..) = run(&task, &schedule("for 2 epochs", statements), model).unwrap();
    // The bias of keys changes nothing: it has no gradient but rounding.
    for (name, values) in parameters::read(&model, |name| !name.ends_with("key.bias")) {
        assert_eq!(values == before[&name], name.starts_with("bert.embeddings."), "{name}");
    }
}

#[test]
fn batches_by_length_train_on_every_example_of_an_epoch_and_repeat_with_the_seed() {
    let (mut task, model) = classifier();
    let long = task.train[1].clone();
    task.train = (0..12)
        .map(|i| {
            let length = 4 + (i * 5) % 11;
            let (ids, types) = (long.ids[..length].to_vec(), long.types[..length].to_vec());
            Sequence { ids, types, label: i % 3, truncated: false }
        })
        .collect();
    let weights = |batches: &str| {
        let statements = format!("  lr {{ 0..2 epochs: 1e-3 }}\n  train {{ batches: {batches} }}");
        let schedule = schedule("for 2 epochs", &statements);
        let interpreter = Interpreter::new(&task, &schedule, Device::flex());
        let (model, _) = interpreter.run(model.clone(), &mut Unwatched).unwrap();
        parameters::read(&model, |_| true)
    };
    let bucketed = weights("bucketed");
    assert_eq!(bucketed, weights("bucketed"));
    assert_ne!(bucketed, weights("shuffled"));
}

#[test]
fn measuring_does_not_depend_on_the_order_of_what_is_held_out() {
    let (mut task, model) = classifier();
    let device = Device::flex();
    let mut sequences = Vec::new();
    for i in 0..70usize {
        let own = task.train[i % 2].clone();
        let length = 5 + i * 7 % 9;
        let ids: Vec<u32> = own.ids.iter().map(|id| (id + i as u32) % 40).take(length).collect();
        let types = own.types[..ids.len()].to_vec();
        sequences.push(Sequence { types, ids, label: i % 3, truncated: false });
    }
    // A bias that makes each label the best of some.
    task.train = sequences.clone();
    let batch = task.batch(&(0..70).collect::<Vec<_>>(), &device);
    let logits = task.outputs(&model, &batch, None).remove(0).logits;
    let means: Vec<f32> = logits.mean_dim(0).into_data().try_to_vec().unwrap();
    let mut values = parameters::read(&model, |name| name == "classifier.bias");
    values.values_mut().flatten().zip(means).for_each(|(bias, mean)| *bias -= mean);
    let model = parameters::write(model, values);
    let one_by_one: Vec<usize> = sequences
        .iter()
        .map(|s| task.predict(&model, std::slice::from_ref(s), &device, &mut |_| {})[0])
        .collect();
    assert!(one_by_one.iter().any(|l| *l != one_by_one[0]), "{one_by_one:?}");
    assert_eq!(task.predict(&model, &sequences, &device, &mut |_| {}), one_by_one);
    // Both dev sets of MNLI are evaluated separately.
    let right = |list: &[Sequence], labels: &[usize]| {
        let right = list.iter().zip(labels).filter(|(s, l)| s.label == **l).count();
        100.0 * right as f64 / list.len() as f64
    };
    let (own, other) = sequences.split_at(30);
    let expected = [right(own, &one_by_one[..30]), right(other, &one_by_one[30..])];
    task.dev = vec![("", own.to_vec()), ("_mm", other.to_vec())];
    let metrics = task.evaluate(&model, &device, &mut |_, _| {});
    assert_eq!([metrics["accuracy"], metrics["accuracy_mm"]], expected);
}

#[test]
fn a_model_of_ones_own_shows_what_it_names() {
    let model = LinearConfig::new(3, 2).init(&Device::flex());
    let x = Tensor::<2>::ones([4, 3], &Device::flex());
    let wanted = |name: &str| name == "hidden";
    let mut states = HiddenStates::of(&wanted);
    states.add("other", x.clone());
    states.add("hidden", model.forward(x.clone()));
    let list = states.into_list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].module.as_str(), list[0].values.dims()), ("hidden", [4, 2]));
    let mut nothing = HiddenStates::none();
    nothing.add("hidden", x);
    assert!(nothing.into_list().is_empty());
}

#[test]
fn where_the_device_has_no_bfloat16_a_stage_trains_in_32_bits_and_it_is_said() {
    let (task, model) = classifier();
    let trained = |statements: &str| {
        let schedule = schedule("for 1 epoch", &format!("  lr {{ 0..1 epochs: 1e-3 }}\n{statements}"));
        let note = device::full_precision(&schedule, &Device::flex());
        let (model, ..) = run(&task, &schedule, model.clone()).unwrap();
        (parameters::read(&model, |_| true), note)
    };
    let (rounded, note) = trained("  train { precision: bf16 }");
    let (plain, silence) = trained("");
    assert!(note.is_some_and(|n| n.contains("trains in 32 bits")) && silence.is_none());
    assert_eq!(rounded, plain);
}
