//! A training step on 8 windows of 128 tokens, of a MiniLM-sized BERT (6 layers, 384 wide), of BERT-base (12 layers, 768
//! wide) and of DeBERTa-v3-small, and on 4 windows of 512 tokens of ModernBERT-base: obert against PyTorch on the same
//! machine, in turn. Run it as `cargo bench --profile dev --bench train_step`, with names of models to measure only
//! these; `OBERT_PYTHON` names a Python with torch and transformers (default `python3`). A ratio is printed for each
//! model; the last line is `step time ratio ours/torch: N`, the largest.

#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use burn::optim::GradientsParams;
use burn::tensor::Device;
use obert::internals::engine::optimizer::AdamW;
use obert::internals::params::BertConfig;
use obert::internals::schedule::ir::Train;
use obert::internals::task::Task;
use obert::internals::task::data::features::Feature;
use obert::internals::task::model::BertForQuestionAnswering;
use obert::internals::task::question_answering::QuestionAnswering;
use obert::internals::text::windows::Window;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A model, the batch `[batch, length]`, and the number of measurements.
struct Size {
    name: &'static str,
    /// Its `config.json`, which both programs read.
    config: &'static str,
    batch: usize,
    length: usize,
    rounds: usize,
    steps: usize,
}

const SIZES: [Size; 4] = [
    Size {
        name: "MiniLM",
        config: r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
            "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512}"#,
        batch: 8,
        length: 128,
        rounds: 5,
        steps: 8,
    },
    Size {
        name: "BERT-base",
        config: r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512}"#,
        batch: 8,
        length: 128,
        rounds: 5,
        steps: 2,
    },
    Size {
        name: "DeBERTa-v3-small",
        config: r#"{"model_type": "deberta-v2", "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 6,
            "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512,
            "relative_attention": true, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
            "share_att_key": true, "pos_att_type": ["p2c", "c2p"], "position_biased_input": false,
            "max_relative_positions": -1, "type_vocab_size": 0}"#,
        batch: 8,
        length: 128,
        rounds: 5,
        steps: 2,
    },
    Size {
        name: "ModernBERT-base",
        config: r#"{"model_type": "modernbert", "vocab_size": 50368, "hidden_size": 768, "num_hidden_layers": 22,
            "num_attention_heads": 12, "intermediate_size": 1152, "max_position_embeddings": 8192}"#,
        batch: 4,
        length: 512,
        rounds: 5,
        steps: 1,
    },
];

fn main() {
    obert::internals::engine::machine::keep_freed_memory();
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let wanted = |size: &&Size| named.is_empty() || named.iter().any(|name| name == size.name);
    let ratios: Vec<f64> = SIZES.iter().filter(wanted).filter_map(measure).collect();
    match ratios.iter().copied().reduce(f64::max) {
        Some(ratio) => println!("step time ratio ours/torch: {ratio:.2}"),
        None => println!("step time ratio ours/torch: not measured (no Python with torch and transformers)"),
    }
}

/// The median ratio of a size; `None` without PyTorch.
fn measure(size: &Size) -> Option<f64> {
    let config: BertConfig = serde_json::from_str(size.config).expect("a configuration");
    let (layers, hidden) = (config.num_hidden_layers, config.hidden_size);
    println!("{}: {layers} layers, {hidden} wide, {} × {} tokens", size.name, size.batch, size.length);
    let mut ours = Ours::new(&config, size);
    let mut torch = Torch::start(size);
    ours.steps(size.steps.min(3));
    let mut ratios = Vec::new();
    for round in 0..size.rounds {
        let own = ours.steps(size.steps);
        let total = own.iter().sum::<Duration>().as_secs_f64() * 1e3;
        print!(
            "round {round}: ours {total:.0} ms a step (forward {:.0}, backward {:.0}, optimizer {:.0})",
            own[0].as_secs_f64() * 1e3,
            own[1].as_secs_f64() * 1e3,
            own[2].as_secs_f64() * 1e3,
        );
        match torch.as_mut().and_then(|t| t.steps(size.steps)) {
            Some(theirs) => {
                println!(", torch {theirs:.0} ms");
                ratios.push(total / theirs);
            }
            None => println!(),
        }
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied()?;
    println!("{}: step time ratio ours/torch: {ratio:.2}", size.name);
    Some(ratio)
}

struct Ours {
    task: QuestionAnswering,
    model: Option<BertForQuestionAnswering>,
    optimizer: AdamW,
    device: Device,
    batch: usize,
    step: u64,
}

impl Ours {
    fn new(config: &BertConfig, size: &Size) -> Self {
        let (batch, length) = (size.batch, size.length);
        let device = Device::flex().autodiff();
        let model = BertForQuestionAnswering::new(config, 1, &device);
        let train = (0..batch)
            .map(|i| Feature {
                question: 0,
                window: Window {
                    ids: (0..length).map(|t| ((i * 977 + t * 131) % 30000) as u32 + 100).collect(),
                    types: (0..length).map(|t| u32::from(t > 20)).collect(),
                    context_start: 21,
                    offsets: vec![(0, 0); length - 22],
                },
                answer: (30 + i, 32 + i),
            })
            .collect();
        let task = QuestionAnswering {
            train,
            dev_questions: vec![],
            dev: vec![],
            max_answer_length: 30,
            hidden_dropout: config.hidden_dropout_prob,
            attention_dropout: config.attention_probs_dropout_prob,
            head_dropout: config.answer_dropout(),
        };
        let settings = Train {
            accumulate: 1,
            batch,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip: 1.0,
            dropout: None,
            label_smoothing: 0.0,
            batches: Default::default(),
            precision: Default::default(),
        };
        let optimizer = AdamW::new(&settings, &model);
        Ours { task, model: Some(model), optimizer, device, batch, step: 0 }
    }

    /// The mean times of forward pass, backward pass and optimizer step.
    fn steps(&mut self, count: usize) -> [Duration; 3] {
        let mut times = [Duration::ZERO; 3];
        let examples: Vec<usize> = (0..self.batch).collect();
        for _ in 0..count {
            self.step += 1;
            let model = self.model.take().expect("the model of the step before");
            let start = Instant::now();
            let batch = self.task.batch(&examples, &self.device);
            let outputs = self.task.outputs(&model, &batch, Some(self.step));
            let loss = self.task.loss(&outputs, &batch);
            let value = loss.clone().into_scalar::<f32>();
            assert!(value.is_finite());
            times[0] += start.elapsed();
            let start = Instant::now();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            times[1] += start.elapsed();
            let start = Instant::now();
            let (model, _) = self.optimizer.step(model, gradients, 1e-5);
            self.model = Some(model);
            times[2] += start.elapsed();
        }
        times.map(|t| t / count as u32)
    }
}

/// The Python process, which keeps running so that both are measured in turn.
struct Torch {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Torch {
    fn start(size: &Size) -> Option<Self> {
        let python = std::env::var("OBERT_PYTHON").unwrap_or("python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/train_step.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([size.batch.to_string(), size.length.to_string(), size.config.to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut output = BufReader::new(child.stdout.take()?);
        let mut line = String::new();
        output.read_line(&mut line).ok()?;
        println!("{}", line.trim());
        line.starts_with("torch").then_some(Torch { child, output })
    }

    /// The mean time of a step in milliseconds.
    fn steps(&mut self, count: usize) -> Option<f64> {
        writeln!(self.child.stdin.as_mut()?, "{count}").ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
