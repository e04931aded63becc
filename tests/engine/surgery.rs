//! Pruning events of whole runs, on a small model of one's own: what a stage asks of its task, and
//! what comes of it.

use std::cell::RefCell;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use obert::internals::diag::Diagnostic;
use obert::internals::engine::events::{Event, Observer, Work};
use obert::internals::engine::{EngineError, Estimates, Interpreter};
use obert::internals::params::Selector;
use obert::internals::ranks::Ranks;
use obert::internals::schedule::ir::{
    Criterion, Data, Model, Obs, Pattern, Prune, Rank, Stage, Targets, Train, Update,
};
use obert::internals::schedule::{Ramp, Schedule, Shape, Window};
use obert::internals::task::metric::Metrics;
use obert::internals::task::parameters::{self, Values};
use obert::internals::task::{Output, Task};

pub const INPUTS: usize = 8;
pub const HIDDEN: usize = 12;
const OUTPUTS: usize = 4;

/// Two linear layers without anything between them.
#[derive(Module, Debug)]
pub struct Toy {
    first: Linear,
    second: Linear,
}

/// Regression on made-up numbers; remembers what it was asked for.
pub struct Regression {
    examples: usize,
    pub asked: RefCell<Vec<Vec<usize>>>,
    dropout: RefCell<Vec<Option<u64>>>,
}

impl Regression {
    pub fn new(examples: usize) -> Self {
        Regression { examples, asked: RefCell::default(), dropout: RefCell::default() }
    }
}

/// The model with weights that are always the same.
pub fn toy(device: &Device) -> Toy {
    let model = Toy {
        first: LinearConfig::new(INPUTS, HIDDEN).init(device),
        second: LinearConfig::new(HIDDEN, OUTPUTS).init(device),
    };
    let mut values = parameters::read(&model, |_| true);
    for (p, (_, values)) in values.iter_mut().enumerate() {
        values.iter_mut().enumerate().for_each(|(i, v)| *v = number(9000 + 1000 * p + i));
    }
    parameters::write(model, values)
}

fn number(i: usize) -> f32 {
    let mut z = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(77);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    (z >> 40) as f32 / (1 << 23) as f32 - 1.0
}

fn example(i: usize) -> (Vec<f32>, Vec<f32>) {
    let x = (0..INPUTS).map(|j| number(i * 100 + j)).collect();
    let y = (0..OUTPUTS).map(|j| number(i * 100 + 50 + j)).collect();
    (x, y)
}

impl Task for Regression {
    type Model = Toy;
    type Batch = (Tensor<2>, Tensor<2>);

    fn examples(&self) -> usize {
        self.examples
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Self::Batch {
        self.asked.borrow_mut().push(examples.to_vec());
        let (x, y): (Vec<_>, Vec<_>) = examples.iter().map(|i| example(*i)).unzip();
        let tensor = |rows: Vec<Vec<f32>>, width| {
            Tensor::<2>::from_data(TensorData::new(rows.concat(), [examples.len(), width]), device)
        };
        (tensor(x, INPUTS), tensor(y, OUTPUTS))
    }

    fn outputs(&self, model: &Toy, batch: &Self::Batch, dropout: Option<u64>) -> Vec<Output> {
        self.dropout.borrow_mut().push(dropout);
        vec![Output { name: "y", logits: model.second.forward(model.first.forward(batch.0.clone())) }]
    }

    fn loss(&self, outputs: &[Output], batch: &Self::Batch) -> Tensor<1> {
        (outputs[0].logits.clone() - batch.1.clone()).square().mean()
    }

    fn evaluate(&self, _: &Toy, _: &Device, _: &mut dyn FnMut(usize, usize)) -> Metrics {
        Metrics::default()
    }
}

/// Keeps the events.
#[derive(Default)]
struct Heard(Vec<Event>);

impl Observer for Heard {
    fn event(&mut self, event: &Event) -> Result<(), Diagnostic> {
        self.0.push(event.clone());
        Ok(())
    }

    fn progress(&mut self, _: Work, done: u64, total: u64) {
        assert!(done <= total);
    }
}

pub fn obs() -> Obs {
    Obs { gradients: 24, block: 8, damp: 1e-4, batch: 2, ..Obs::default() }
}

pub fn prune(by: Criterion, pattern: Pattern, rank: Rank, sparsity: f64) -> Prune {
    Prune {
        targets: Targets { selector: Selector::Glob("*.weight".into()), expect: None },
        window: Window::once("0 epochs".parse().unwrap()),
        sparsity: Ramp { from: sparsity, to: sparsity, shape: Shape::Constant },
        exceptions: vec![],
        pattern,
        rank,
        at_most: None,
        reconstruct: None,
        by,
    }
}

/// A run of one stage; its learning rate is zero, so that weights stand still but for pruning.
pub struct Came {
    before: Values,
    pub after: Values,
    pub events: Vec<Event>,
    asked: Vec<Vec<usize>>,
    dropout: Vec<Option<u64>>,
}

/// The seed of every run.
pub const SEED: u64 = 5;

pub fn run(prune: Prune, length: &str, examples: usize) -> Came {
    run_on(prune, length, examples, &Device::flex(), Estimates::default())
}

/// The same on a device, with estimates as they are asked for.
pub fn run_on(prune: Prune, length: &str, examples: usize, device: &Device, estimates: Estimates) -> Came {
    try_run_on(prune, length, examples, device, estimates).unwrap()
}

fn try_run_on(
    prune: Prune,
    length: &str,
    examples: usize,
    device: &Device,
    estimates: Estimates,
) -> Result<Came, EngineError> {
    let task = Regression::new(examples);
    let stage = Stage {
        name: "only".into(),
        doc: String::new(),
        branch_from: None,
        length: length.parse().unwrap(),
        train: Train {
            batch: 4,
            accumulate: 1,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip: 0.0,
            dropout: None,
            label_smoothing: 0.0,
            batches: Default::default(),
            precision: Default::default(),
        },
        layers: None,
        lr: vec![],
        lr_factors: vec![],
        prune: vec![prune],
        hold: vec![],
        freeze: vec![],
        quantize: vec![],
        distill: None,
        evaluate_every: None,
        keep_best: None,
    };
    let schedule = Schedule {
        format: obert::internals::schedule::ir::FORMAT,
        name: "toy".into(),
        doc: String::new(),
        seed: SEED,
        model: Model::Named("toy".into()),
        data: Data::Own,
        stages: vec![stage],
        expect: vec![],
        parameters: vec![],
    };
    let model = toy(device);
    let before = parameters::read(&model, |_| true);
    let interpreter = Interpreter {
        task: &task,
        schedule: &schedule,
        device: device.clone(),
        teacher: None,
        named_teachers: Default::default(),
        limit_steps: None,
        estimates,
        ranks: Ranks::alone(),
    };
    let mut heard = Heard::default();
    let (model, _) = interpreter.run(model, &mut heard)?;
    let after = parameters::read(&model, |_| true);
    let (asked, dropout) = (task.asked.into_inner(), task.dropout.into_inner());
    Ok(Came { before, after, events: heard.0, asked, dropout })
}

pub fn pruned(came: &Came) -> (f64, Vec<f64>) {
    let found = came.events.iter().find_map(|e| match e {
        Event::Pruned(pruned) => Some((pruned.sparsity, pruned.step_sizes.clone())),
        _ => None,
    });
    found.unwrap()
}

pub fn zeros(values: &[f32]) -> Vec<bool> {
    values.iter().map(|w| *w == 0.0).collect()
}

pub const MATRICES: [&str; 2] = ["first.weight", "second.weight"];

#[test]
fn gradients_are_of_batches_that_do_not_repeat_without_dropout_in_an_order_of_their_own() {
    // Forty-eight examples for 24 gradients of two: all of them, and the calibration begins anew.
    let statement = |recompute| {
        let obs = Obs { recompute, ..obs() };
        prune(Criterion::Obs(obs), Pattern::Unstructured, Rank::Global, 0.5)
    };
    let came = run(statement(2), "1 epochs", 48);
    let drawn: Vec<usize> = came.asked[..24].concat();
    let mut sorted = drawn.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..48).collect::<Vec<_>>(), "every example once");
    assert!(came.dropout[..24].iter().all(Option::is_none), "no dropout in gradients");
    assert!(came.dropout.iter().any(Option::is_some), "training has it");
    let trained: Vec<usize> = came.asked.iter().filter(|b| b.len() == 4).flatten().copied().collect();
    assert_eq!(trained.len(), 48);
    assert_ne!(drawn, trained, "another order than training's");
    // The second estimate draws afresh: after the first's calibration, on four batches.
    let second: Vec<usize> = came.asked[28..52].concat();
    assert_ne!(drawn, second);
    let again = run(statement(2), "1 epochs", 48);
    assert_eq!(came.asked, again.asked, "one seed, one order");
    assert_eq!(pruned(&came).1.len(), 2, "one length for each estimate");
}

#[test]
fn little_memory_asks_for_passes_and_changes_no_mask() {
    for (rank, pattern) in [
        (Rank::Global, Pattern::Unstructured),
        (Rank::Layer, Pattern::Unstructured),
        (Rank::Global, Pattern::Blocks(4)),
        (Rank::Global, Pattern::NofM { keep: 2, of: 4 }),
    ] {
        let with =
            |memory| run(prune(Criterion::Obs(Obs { memory, ..obs() }), pattern, rank, 0.5), "0 epochs", 100);
        let counts = [INPUTS * HIDDEN, HIDDEN * OUTPUTS];
        let least = obs().least_bytes(counts[0]);
        let limited = Obs { memory: Some(least), ..obs() };
        let passes = limited.passes(&counts).unwrap().len();
        assert_eq!(passes, 2);
        let (free, tight) = (with(None), with(Some(least)));
        let sweeps = prune(Criterion::Obs(limited), pattern, rank, 0.5).sweeps(passes);
        // Five step sizes on eight batches.
        let evaluated = 5 * 8;
        assert_eq!(tight.asked.len() - evaluated, 24 * sweeps, "as many gradients as planned");
        assert_eq!(free.asked.len() - evaluated, 24);
        for name in MATRICES {
            assert_eq!(zeros(&free.after[name]), zeros(&tight.after[name]), "{name}");
            for (a, b) in free.after[name].iter().zip(&tight.after[name]) {
                assert!((a - b).abs() < 1e-4);
            }
        }
        assert!((pruned(&tight).0 - 0.5).abs() < 1e-9);
    }
}

/// The mean loss over some examples.
fn loss(values: &Values, examples: &[usize]) -> f64 {
    let mut sum = 0.0;
    for i in examples {
        let (x, y) = example(*i);
        let forward = |input: &[f64], weight: &[f32], bias: &[f32]| -> Vec<f64> {
            let rows = weight.chunks(input.len()).zip(bias);
            rows.map(|(row, b)| {
                f64::from(*b) + row.iter().zip(input).map(|(w, x)| f64::from(*w) * x).sum::<f64>()
            })
            .collect()
        };
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let hidden = forward(&x, &values["first.weight"], &values["first.bias"]);
        let out = forward(&hidden, &values["second.weight"], &values["second.bias"]);
        sum += out.iter().zip(&y).map(|(o, y)| (o - f64::from(*y)).powi(2)).sum::<f64>();
    }
    sum / (examples.len() * OUTPUTS) as f64
}

#[test]
fn the_length_of_the_compensation_is_never_worse_than_plain_zeroing_on_what_it_was_chosen_by() {
    // With so small a damp and so few gradients the joint update alone leads far astray.
    let wild = Obs { damp: 1e-9, gradients: 9, ..obs() };
    let with = |update| {
        let obs = Obs { update, ..wild.clone() };
        run(prune(Criterion::Obs(obs), Pattern::Unstructured, Rank::Global, 0.6), "0 epochs", 40)
    };
    let guarded = with(Update::Exact);
    let [length] = pruned(&guarded).1[..] else { panic!("one estimate") };
    assert!((0.0..=1.0).contains(&length));
    let chosen_by: Vec<usize> = guarded.asked[guarded.asked.len() - 8..].concat();
    assert_eq!(chosen_by.len(), 16, "eight batches");
    assert!(chosen_by.iter().all(|e| !guarded.asked[..9].concat().contains(e)), "that no gradient saw");
    let mut zeroed = guarded.before.clone();
    for name in MATRICES {
        let kept = &guarded.after[name];
        let both = zeroed.get_mut(name).unwrap().iter_mut().zip(kept);
        both.filter(|(_, k)| **k == 0.0).for_each(|(w, _)| *w = 0.0);
    }
    assert!(loss(&guarded.after, &chosen_by) <= loss(&zeroed, &chosen_by) + 1e-6);
    assert!(pruned(&with(Update::Independent)).1.is_empty(), "the paper's update is left alone");
}

#[test]
fn whole_rows_and_columns_go_by_magnitude_and_by_the_surgeon() {
    for by in [Criterion::Magnitude, Criterion::Obs(obs())] {
        for (pattern, rank) in
            [(Pattern::Rows, Rank::Layer), (Pattern::Columns, Rank::Layer), (Pattern::Rows, Rank::Global)]
        {
            let came = run(prune(by.clone(), pattern, rank, 0.25), "0 epochs", 100);
            for (name, columns) in MATRICES.into_iter().zip([INPUTS, HIDDEN]) {
                let zeros = zeros(&came.after[name]);
                let rows = zeros.len() / columns;
                let (lines, across) =
                    if pattern == Pattern::Rows { (rows, columns) } else { (columns, rows) };
                let at = |line: usize, k: usize| match pattern {
                    Pattern::Rows => zeros[line * columns + k],
                    _ => zeros[k * columns + line],
                };
                let gone = (0..lines)
                    .filter(|line| {
                        let count = (0..across).filter(|k| at(*line, *k)).count();
                        assert!(count == 0 || count == across, "{name}: a line goes whole or not at all");
                        count > 0
                    })
                    .count();
                if rank == Rank::Layer {
                    assert_eq!(gone, lines / 4, "{name}");
                }
            }
            let sparsity = pruned(&came).0;
            assert!((sparsity - 0.25).abs() < 0.05, "{sparsity}");
        }
    }
}

#[test]
fn movement_prunes_what_moved_towards_zero_over_all_steps_so_far() {
    // The learning rate is zero: scores are -0.01 Σ w g over the batches drawn.
    for (length, at, steps) in [("2 epochs", "2 epochs", 20), ("1 epochs", "0 epochs", 1)] {
        let mut statement = prune(Criterion::Movement, Pattern::Unstructured, Rank::Layer, 0.5);
        statement.window = Window::once(at.parse().unwrap());
        let came = run(statement, length, 40);
        let mut scores: Vec<Vec<f64>> = MATRICES.iter().map(|n| vec![0.0; came.before[*n].len()]).collect();
        for batch in &came.asked[..steps] {
            for (sum, g) in scores.iter_mut().zip(gradients(&came.before, batch)) {
                sum.iter_mut().zip(g).for_each(|(s, g)| *s += g);
            }
        }
        for (name, sums) in MATRICES.into_iter().zip(scores) {
            let weights = &came.before[name];
            let scores: Vec<f64> = sums.iter().zip(weights).map(|(g, w)| -0.01 * g * f64::from(*w)).collect();
            let mut sorted = scores.clone();
            sorted.sort_by(f64::total_cmp);
            let threshold = sorted[weights.len() / 2];
            for ((score, before), after) in scores.iter().zip(weights).zip(&came.after[name]) {
                if (score - threshold).abs() > 1e-7 {
                    let expected = if *score < threshold { 0.0 } else { *before };
                    assert_eq!(*after, expected, "{name}: {score} against {threshold}");
                }
            }
            assert_eq!(zeros(&came.after[name]).iter().filter(|z| **z).count(), weights.len() / 2);
        }
    }
}

/// The gradients of both matrices for a batch, in double precision.
fn gradients(values: &Values, batch: &[usize]) -> [Vec<f64>; 2] {
    let wide = |name: &str| -> Vec<f64> { values[name].iter().map(|v| f64::from(*v)).collect() };
    let (a, b, w, c) = (wide("first.weight"), wide("first.bias"), wide("second.weight"), wide("second.bias"));
    let mut first = vec![0.0; a.len()];
    let mut second = vec![0.0; w.len()];
    for i in batch {
        let (x, y) = example(*i);
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        let hidden: Vec<f64> =
            (0..HIDDEN).map(|h| b[h] + (0..INPUTS).map(|j| a[h * INPUTS + j] * x[j]).sum::<f64>()).collect();
        let error: Vec<f64> = (0..OUTPUTS)
            .map(|o| {
                let out = c[o] + (0..HIDDEN).map(|h| w[o * HIDDEN + h] * hidden[h]).sum::<f64>();
                2.0 * (out - f64::from(y[o])) / (batch.len() * OUTPUTS) as f64
            })
            .collect();
        for h in 0..HIDDEN {
            let back: f64 = (0..OUTPUTS).map(|o| error[o] * w[o * HIDDEN + h]).sum();
            for j in 0..INPUTS {
                first[h * INPUTS + j] += back * x[j];
            }
            for o in 0..OUTPUTS {
                second[o * HIDDEN + h] += error[o] * hidden[h];
            }
        }
    }
    [first, second]
}

#[test]
fn a_layer_whose_inputs_the_model_does_not_record_is_not_reconstructed() {
    let prune = Prune {
        reconstruct: Some(8),
        ..prune(Criterion::Magnitude, Pattern::Unstructured, Rank::Layer, 0.5)
    };
    let failed = try_run_on(prune, "0 epochs", 30, &Device::flex(), Estimates::default()).err().unwrap();
    let EngineError::NotReconstructable { parameter, step: 0, .. } = &failed else { panic!("{failed}") };
    assert_eq!(parameter, "first.weight");
}
