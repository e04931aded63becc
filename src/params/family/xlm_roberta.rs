//! `xlm-roberta`: XLM-RoBERTa, multilingual E5 and BGE-M3. A RoBERTa with another class name and a SentencePiece
//! vocabulary.

use super::description::Description;

pub(super) const DESCRIPTION: Description =
    Description { model_type: "xlm-roberta", class: "XLMRoberta", sizes: &[], ..super::roberta::DESCRIPTION };
