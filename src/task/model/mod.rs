//! BERT with its heads: the modules ([`bert`]), new weights ([`init`]), model folders
//! ([`checkpoint`]) and the operations they are computed with ([`kernels`]).

mod bert;
pub mod checkpoint;
mod init;
pub mod kernels;

pub use bert::{BertForQuestionAnswering, Noise, Tokens};

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
        let model = BertForQuestionAnswering::new(&BertConfig::new(shape), 1, &Device::flex());
        assert_eq!(parameters::table(&model), bert(&shape, Head::QuestionAnswering));
    }
}
