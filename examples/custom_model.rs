//! Prunes a custom model, a small convolutional network: a [`Task`] defines batches, loss and metrics, a recipe defines
//! training and pruning. Run it with `cargo run --example custom_model`.
#![allow(clippy::print_stdout, missing_docs)]

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, loss::CrossEntropyLoss};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use obert::custom::{self, Metrics, Output, Task, Teachers};
use obert::{Recipe, StageResult, Unwatched};

const RECIPE: &str = r#"edition 2026
recipe stripes {
  model: "a small convolutional network"
  data: own
  batch: 16
  stage dense for 6 epochs { lr { 0..6 epochs: 1e-2 -> 1e-3 linear } }
  stage sparse for 6 epochs {
    lr { 0..6 epochs: 5e-3 -> 5e-4 linear }
    prune params("{first,second,head}.weight") expect 3 over 0..2 epochs every 1 epoch {
      by: obs(gradients: 64, block: 18, batch: 4)
      sparsity: 40% -> 75% cubic
    }
    distill from dense { hardness: 0.5, temperature: 2.0 }
  }
  expect { accuracy: 90 .. 100 }
}
"#;

/// Two convolutions, global average pooling and a linear layer.
#[derive(Module, Debug)]
pub struct Network {
    first: Conv2d,
    second: Conv2d,
    head: Linear,
}

impl Network {
    /// A network with random weights.
    pub fn new(device: &Device) -> Self {
        Network {
            first: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            second: Conv2dConfig::new([8, 16], [3, 3]).init(device),
            head: LinearConfig::new(16, 4).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = activation::relu(self.first.forward(images));
        let x = activation::relu(self.second.forward(x)); // [batch, 16, 6, 6]
        let x: Tensor<2> = x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2);
        self.head.forward(x)
    }
}

/// Images of stripes in four directions, shifted and with noise; the direction is the label.
pub struct Stripes;

const SIZE: usize = 10;
const TRAIN: usize = 256;

/// A pixel of an image; the first [`TRAIN`] images are the training set.
fn pixel(image: usize, place: usize) -> f32 {
    let (x, y, shift) = (place % SIZE, place / SIZE, image / 4 % 4);
    let along = [x, y, x + y, x + 3 * SIZE - y][image % 4] + shift;
    let noise = (image * 7919 + place * 104_729) % 997;
    f32::from(u8::from(along % 4 < 2)) + noise as f32 / 997.0 - 1.0
}

impl Task for Stripes {
    type Model = Network;
    type Batch = (Tensor<4>, Tensor<1, Int>);

    fn examples(&self) -> usize {
        TRAIN
    }

    fn batch(&self, examples: &[usize], device: &Device) -> Self::Batch {
        let pixels: Vec<f32> =
            examples.iter().flat_map(|i| (0..SIZE * SIZE).map(move |p| pixel(*i, p))).collect();
        let labels: Vec<i32> = examples.iter().map(|i| (i % 4) as i32).collect();
        let images = Tensor::from_data(TensorData::new(pixels, [examples.len(), 1, SIZE, SIZE]), device);
        (images, Tensor::from_data(TensorData::new(labels, [examples.len()]), device))
    }

    fn outputs(&self, model: &Network, (images, _): &Self::Batch, _: Option<u64>) -> Vec<Output> {
        vec![Output { name: "logits", logits: model.forward(images.clone()) }]
    }

    fn loss(&self, outputs: &[Output], (images, labels): &Self::Batch) -> Tensor<1> {
        let loss = CrossEntropyLoss::new(None, &images.device());
        loss.forward(outputs[0].logits.clone(), labels.clone())
    }

    fn evaluate(&self, model: &Network, device: &Device, _: &mut dyn FnMut(usize, usize)) -> Metrics {
        let (images, labels) = self.batch(&(TRAIN..TRAIN + 64).collect::<Vec<_>>(), device);
        let right = model.forward(images).argmax(1).squeeze_dim::<1>(1).equal(labels).int().sum();
        Metrics::from([("accuracy".to_owned(), f64::from(right.into_scalar::<i32>()) * 100.0 / 64.0)])
    }
}

/// Trains and prunes; returns the model and the result of each stage.
pub fn run() -> (Network, Vec<StageResult>) {
    let device = Device::flex();
    device.seed(3);
    let model = Network::new(&device);
    let recipe = Recipe::text("stripes", RECIPE);
    custom::run(&Stripes, model, &recipe, device, Teachers::default(), &mut Unwatched)
        .unwrap_or_else(|e| panic!("{}", e.render(false)))
}

#[allow(dead_code)] // A test runs it as a module.
fn main() {
    for stage in run().1 {
        println!("{}: {:?}\n{:#?}", stage.name, stage.metrics, stage.sparsity);
    }
}
