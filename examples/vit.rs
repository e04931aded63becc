//! Prunes a tiny vision transformer and drops one of its layers: `cargo run --example vit`.
#![allow(clippy::print_stdout, missing_docs)]

use burn::module::{Module, Param};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig, loss::CrossEntropyLoss};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use obert::custom::{self, Metrics, Output, Task, Teachers};
use obert::{Recipe, StageResult, Unwatched};

const RECIPE: &str = r#"edition 2026
recipe squares {
  model: "a tiny vision transformer"
  data: own
  batch: 16
  stage dense for 6 epochs { lr { 0..6 epochs: 3e-3 -> 3e-4 linear } }
  stage sparse for 8 epochs {
    keep layers [0, 2]
    lr { 0..8 epochs: 2e-3 -> 2e-4 linear }
    prune params("encoder.layers.*.{mha,pwff}.*.weight") expect 12 over 2..4 epochs every 1 epoch {
      by: obs(gradients: 64, block: 16, batch: 4)
      sparsity: 40% -> 70% cubic, pattern: blocks(1, 4)
    }
  }
}
"#;

/// Patch and position embeddings, three encoder layers, mean pooling and a linear layer.
#[derive(Module, Debug)]
pub struct Vit {
    patches: Linear,
    places: Param<Tensor<2>>,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Vit {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(32, 64, 4, 3).with_dropout(0.0);
        Vit {
            patches: LinearConfig::new(9, 32).init(device),
            places: Param::from_tensor(Tensor::random([16, 32], Distribution::Normal(0.0, 0.1), device)),
            encoder: encoder.init(device),
            head: LinearConfig::new(32, 4).init(device),
        }
    }

    /// `[batch, patches, pixels]` to `[batch, 4]`.
    fn forward(&self, patches: Tensor<3>) -> Tensor<2> {
        let x = self.patches.forward(patches) + self.places.val().unsqueeze();
        self.head.forward(self.encoder.forward(TransformerEncoderInput::new(x)).mean_dim(1).squeeze_dim(1))
    }
}

/// Images with a bright square; the label is the quadrant that it is in.
pub struct Squares;

/// The pixels of a 12 × 12 image, patch by patch of 3 × 3.
fn pixels(image: usize) -> impl Iterator<Item = f32> {
    let (x, y) = (image % 2 * 6 + image / 4 % 4, image / 2 % 2 * 6 + image / 16 % 4);
    (0..144).map(move |i| {
        let (px, py) = (i / 9 % 4 * 3 + i % 3, i / 36 * 3 + i % 9 / 3);
        let bright = (x..x + 3).contains(&px) && (y..y + 3).contains(&py);
        f32::from(u8::from(bright)) + ((image * 7919 + i * 104_729) % 997) as f32 / 997.0 - 0.5
    })
}

impl Task for Squares {
    type Model = Vit;
    type Batch = (Tensor<3>, Tensor<1, Int>);

    fn examples(&self) -> usize {
        256
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Self::Batch {
        let images: Vec<f32> = examples.iter().copied().flat_map(pixels).collect();
        let labels: Vec<i32> = examples.iter().map(|i| (i % 4) as i32).collect();
        let images = Tensor::from_data(TensorData::new(images, [examples.len(), 16, 9]), device);
        (images, Tensor::from_data(TensorData::new(labels, [examples.len()]), device))
    }

    fn outputs(&self, model: &Vit, (images, _): &Self::Batch, _: Option<u64>) -> Vec<Output> {
        vec![Output { name: "logits", logits: model.forward(images.clone()) }]
    }

    fn loss(&self, outputs: &[Output], (images, labels): &Self::Batch) -> Tensor<1> {
        let loss = CrossEntropyLoss::new(None, &images.device());
        loss.forward(outputs[0].logits.clone(), labels.clone())
    }

    fn keep_layers(&self, mut model: Vit, kept: &[usize]) -> Option<Vit> {
        model.encoder.layers = kept.iter().map(|i| model.encoder.layers[*i].clone()).collect();
        Some(model)
    }

    fn evaluate(&self, model: &Vit, device: &Device, _: &mut dyn FnMut(usize, usize)) -> Metrics {
        let (images, labels) = self.batch(&(256..320).collect::<Vec<_>>(), device);
        let right = model.forward(images).argmax(1).squeeze_dim::<1>(1).equal(labels).int().sum();
        Metrics::from([("accuracy".to_owned(), f64::from(right.into_scalar::<i32>()) * 100.0 / 64.0)])
    }
}

/// Trains, drops a layer and prunes; returns the model and the result of each stage.
pub fn run() -> (Vit, Vec<StageResult>) {
    let device = Device::flex();
    device.seed(5);
    let model = Vit::new(&device);
    let recipe = Recipe::text("squares", RECIPE);
    custom::run(&Squares, model, &recipe, device, Teachers::default(), &mut Unwatched)
        .unwrap_or_else(|e| panic!("{}", e.render(false)))
}

#[allow(dead_code)] // A test runs it as a module.
fn main() {
    run().1.iter().for_each(|stage| println!("{}: {:?}", stage.name, stage.metrics));
}
