//! `camembert`: a French RoBERTa with another class name and a SentencePiece vocabulary.

use super::description::Description;

pub(super) const DESCRIPTION: Description =
    Description { model_type: "camembert", class: "Camembert", sizes: &[], ..super::roberta::DESCRIPTION };
