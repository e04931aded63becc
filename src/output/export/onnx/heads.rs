//! The nodes of the heads.

use super::graph::Set;
use super::proto::kind;
use super::writer::Writer;
use crate::infer::file::encoder::{Pooling, Transform};
use crate::infer::file::layout::{Head, HeadShape};

impl Writer<'_> {
    /// The head on the last hidden states `[batch, length, hidden]`, and the outputs of the graph.
    pub(super) fn head(&mut self, shape: &HeadShape, x: String) {
        let mut x = match (shape.head.is_per_token(), shape.pooling) {
            (true, _) => x,
            (false, Pooling::First) => {
                let first = self.builder.longs("place_0", &[], &[0]);
                self.builder.op("Gather", &[&x, &first], &[Set::Int("axis", 1)])
            }
            (false, Pooling::Mean) => self.mean(&x),
            (false, Pooling::Max) => self.maximum(&x),
            (false, Pooling::Last) => self.last(&x),
        };
        if let Some(Transform { activation, norm }) = shape.transform {
            x = self.linear("bert.pooler.dense", &x);
            x = self.activation(activation, &x);
            if norm {
                x = self.norm("bert.pooler.LayerNorm", &x, self.encoder.hidden);
            }
        }
        let Some((module, outputs)) = shape.head.output() else {
            let normalize = matches!(shape.head, Head::Embedding { normalize: true, .. });
            let x = if normalize { self.normalized(&x) } else { self.builder.op("Identity", &[&x], &[]) };
            let width = self.encoder.hidden.to_string();
            return self.builder.output(&x, "embeddings", &["batch", &width]);
        };
        let logits = self.linear(module, &x);
        match shape.head {
            Head::Answers => {
                for (i, name) in ["start_logits", "end_logits"].into_iter().enumerate() {
                    let at = self.builder.longs(&format!("place_{i}"), &[], &[i as i64]);
                    let one = self.builder.op("Gather", &[&logits, &at], &[Set::Int("axis", 2)]);
                    self.builder.output(&one, name, &["batch", "length"]);
                }
            }
            Head::Tokens(_) => {
                self.builder.output(&logits, "logits", &["batch", "length", &outputs.to_string()]);
            }
            _ => self.builder.output(&logits, "logits", &["batch", &outputs.to_string()]),
        }
    }

    /// 1 for tokens and 0 for padding, `[batch, length, 1]`, and the number of tokens, `[batch, 1]`.
    fn kept(&mut self) -> [String; 2] {
        let tokens = self.builder.longs("tokens", &[1], &[1]);
        let features = self.builder.longs("features", &[1], &[2]);
        let kept = self.builder.op("Cast", &["attention_mask"], &[Set::Int("to", kind::FLOAT.into())]);
        let kept = self.builder.op("Unsqueeze", &[&kept, &features], &[]);
        let count = self.builder.op("ReduceSum", &[&kept, &tokens], &[Set::Int("keepdims", 0)]);
        [kept, count]
    }

    /// The sum over the tokens with a weight for each, `[batch, length, 1]`.
    fn weighted(&mut self, x: &str, weights: &str) -> String {
        let tokens = self.builder.longs("tokens", &[1], &[1]);
        let weighted = self.builder.op("Mul", &[x, weights], &[]);
        self.builder.op("ReduceSum", &[&weighted, &tokens], &[Set::Int("keepdims", 0)])
    }

    fn mean(&mut self, x: &str) -> String {
        let [kept, count] = self.kept();
        let sum = self.weighted(x, &kept);
        self.builder.op("Div", &[&sum, &count], &[])
    }

    /// The maximum over the tokens of each sequence.
    fn maximum(&mut self, x: &str) -> String {
        let [kept, _] = self.kept();
        let far = self.builder.floats("hidden", &[], &[f32::MIN]);
        let is_token = self.builder.op("Cast", &[&kept], &[Set::Int("to", kind::BOOL.into())]);
        let tokens = self.builder.op("Where", &[&is_token, x, &far], &[]);
        self.builder.op("ReduceMax", &[&tokens], &[Set::Ints("axes", &[1]), Set::Int("keepdims", 0)])
    }

    /// The last token of each sequence.
    fn last(&mut self, x: &str) -> String {
        let [kept, count] = self.kept();
        let tokens = self.builder.longs("token_axis", &[], &[1]);
        let features = self.builder.longs("features", &[1], &[2]);
        // The number of tokens up to each one.
        let number = self.builder.op("CumSum", &[&kept, &tokens], &[]);
        let count = self.builder.op("Unsqueeze", &[&count, &features], &[]);
        let is_last = self.builder.op("Equal", &[&number, &count], &[]);
        let is_last = self.builder.op("Cast", &[&is_last], &[Set::Int("to", kind::FLOAT.into())]);
        let weights = self.builder.op("Mul", &[&is_last, &kept], &[]);
        self.weighted(x, &weights)
    }

    /// Embeddings divided by their Euclidean norms.
    fn normalized(&mut self, x: &str) -> String {
        let least = self.builder.floats("least_norm", &[], &[1e-12]);
        let norm = self.builder.op("ReduceL2", &[x], &[Set::Ints("axes", &[1]), Set::Int("keepdims", 1)]);
        let norm = self.builder.op("Max", &[&norm, &least], &[]);
        self.builder.op("Div", &[x, &norm], &[])
    }
}
