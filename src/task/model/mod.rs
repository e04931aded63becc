//! BERT with its heads: the encoder ([`bert`]), what stands on it for each task ([`heads`]), new
//! weights ([`init`]), model folders ([`checkpoint`]) and the operations they are computed with
//! ([`kernels`]).

mod bert;
pub mod checkpoint;
mod heads;
mod init;
pub mod kernels;

pub use bert::{Noise, Tokens};
pub use heads::{BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertModel};

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::params::builtin::{Head, bert};
    use crate::params::{BertConfig, BertShape};
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
        let (config, device) = (BertConfig::new(shape), Device::flex());
        fn equal<M: BertModel>(config: &BertConfig, head: Head, device: &Device) {
            let model = M::with_head(config, head, 1, device);
            assert_eq!(parameters::table(&model), bert(&config.shape(), head));
        }
        equal::<BertForQuestionAnswering>(&config, Head::QuestionAnswering, &device);
        equal::<BertForSequenceClassification>(&config, Head::Classification { labels: 3 }, &device);
        equal::<BertForMaskedLM>(&config, Head::MaskedLanguageModel, &device);
    }

    #[test]
    fn kept_layers_stand_in_the_order_asked_for() {
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
