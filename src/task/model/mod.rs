//! BERT with its heads: the encoder ([`bert`]) and the families that share it ([`family`]), what
//! stands on it for each task ([`heads`]), new weights ([`init`]), model folders ([`checkpoint`]),
//! folders fetched by name ([`hub`]) and the operations they are computed with ([`kernels`]).

mod bert;
pub mod checkpoint;
pub mod family;
mod heads;
pub mod hub;
mod init;
pub mod kernels;

pub use bert::{Noise, Tokens};
pub use heads::{BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification, BertModel};

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::params::builtin::{Head, of_family};
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
            assert_eq!(table, of_family(config.family(), &config.shape(), head));
            // Whoever writes goes by the same names as whoever reads.
            let values = parameters::read(&model, |_| true);
            let shifted = values.iter().map(|(n, v)| (n.clone(), v.iter().map(|x| x + 1.0).collect()));
            let shifted: parameters::Values = shifted.collect();
            assert_eq!(parameters::read(&parameters::write(model, shifted.clone()), |_| true), shifted);
        }
        let device = Device::flex();
        for (family, types) in [(Family::Bert, 2), (Family::Roberta, 1), (Family::DistilBert, 0)] {
            let mut config = BertConfig::new(BertShape { types, ..shape });
            config.model_type = family.model_type().to_owned();
            equal::<BertForQuestionAnswering>(&config, Head::QuestionAnswering, &device);
            equal::<BertForSequenceClassification>(&config, Head::Classification { labels: 3 }, &device);
            equal::<BertForMaskedLM>(&config, Head::MaskedLanguageModel, &device);
        }
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
