//! The encoders of all families as Burn modules.
//!
//! - [`bert`]: the encoder of [`layers`] or of [`pre_norm`] layers, which all families share ([`family`]); [`heads`]: one model class per task;
//! - [`tokens`], [`dropouts`]: the inputs of a forward pass; [`named_quantizers`]: fake quantization in it;
//! - [`init`]: random initialization; [`checkpoint`]: model folders; [`hub`]: models by name;
//! - [`kernels`]: the fused operations of the CPU.

mod bert;
pub mod checkpoint;
mod dropouts;
pub mod family;
mod heads;
pub mod hub;
mod init;
pub mod kernels;
mod layers;
mod named_quantizers;
mod pre_norm;
mod tokens;

pub use dropouts::Dropouts;
pub use heads::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification,
    BertModel, SentenceEncoder,
};
pub use tokens::{Tokens, int_tensor};

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::params::builtin::{self, Head};
    use crate::params::{BertConfig, BertShape, Family};
    use crate::task::parameters;

    #[test]
    fn the_modules_have_the_hugging_face_names_and_shapes_in_order() {
        let shape = BertShape {
            vocab: 11,
            hidden: 8,
            layers: 2,
            heads: 2,
            intermediate: 12,
            positions: 16,
            types: 2,
        };
        fn equal<M: BertModel>(config: &BertConfig, head: Head, device: &Device) {
            let model = M::with_head(config, head, 1, device);
            let table = parameters::table(&model);
            assert_eq!(table, builtin::table(&config.architecture(), head));
            // `write` and `read` use the same names.
            let values = parameters::read(&model, |_| true);
            let shifted = values.iter().map(|(n, v)| (n.clone(), v.iter().map(|x| x + 1.0).collect()));
            let shifted: parameters::Values = shifted.collect();
            assert_eq!(parameters::read(&parameters::write(model, shifted.clone()), |_| true), shifted);
        }
        let device = Device::flex();
        for family in Family::ALL {
            let types = if matches!(
                family,
                Family::DistilBert | Family::Mpnet | Family::ModernBert | Family::DebertaV2
            ) {
                0
            } else {
                2
            };
            let mut config = BertConfig::new(BertShape { types, ..shape });
            config.model_type = family.model_type().to_owned();
            let width = if family == Family::DebertaV2 { 8 } else { 6 };
            config.rest.insert("embedding_size".to_owned(), width.into());
            config.rest.insert("num_hidden_groups".to_owned(), 2.into());
            config.rest.insert("pos_att_type".to_owned(), "c2p|p2c".into());
            config.rest.insert("norm_rel_ebd".to_owned(), "layer_norm".into());
            equal::<BertForQuestionAnswering>(&config, Head::QuestionAnswering, &device);
            equal::<BertForSequenceClassification>(&config, Head::Classification { labels: 3 }, &device);
            equal::<BertForTokenClassification>(&config, Head::TokenClassification { labels: 3 }, &device);
            equal::<SentenceEncoder>(&config, Head::Embedding, &device);
            equal::<BertForMaskedLM>(&config, Head::MaskedLanguageModel, &device);
        }
    }

    #[test]
    fn kept_layers_have_the_order_asked_for() {
        let shape = BertShape {
            vocab: 11,
            hidden: 8,
            layers: 3,
            heads: 2,
            intermediate: 12,
            positions: 16,
            types: 2,
        };
        let model = BertForMaskedLM::with_head(
            &BertConfig::new(shape),
            Head::MaskedLanguageModel,
            1,
            &Device::flex(),
        );
        let before = parameters::read(&model, |_| true);
        let model = model.keep_layers(&[2, 0]);
        assert_eq!(model.layers(), 2);
        let after = parameters::read(&model, |_| true);
        let name = |layer: usize| format!("bert.encoder.layer.{layer}.intermediate.dense.weight");
        assert_eq!(after[&name(0)], before[&name(2)]);
        assert_eq!(after[&name(1)], before[&name(0)]);
        assert_eq!(after.len(), before.len() - 16, "a layer has sixteen parameters");
    }
}
