//! The tokenizer classes of `transformers`.

/// Classes of WordPiece with `BertNormalizer`, built from `do_lower_case`, `strip_accents` and
/// `tokenize_chinese_chars`.
const BERT: &[&str] = &[
    "BertTokenizer",
    "ConvBertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
];

/// Classes of byte-level BPE, built from `add_prefix_space` and `trim_offsets`.
const ROBERTA: &[&str] = &["BartTokenizer", "LongformerTokenizer", "RobertaTokenizer"];

/// Classes of SentencePiece Unigram models with RoBERTa's special tokens and no token types.
const XLM_ROBERTA: &[&str] = &["CamembertTokenizer", "XLMRobertaTokenizer"];

/// Classes that follow tokenizer.json alone.
const GENERIC: &[&str] =
    &["AlbertTokenizer", "DebertaV2Tokenizer", "MPNetTokenizer", "PreTrainedTokenizer", "TokenizersBackend"];

/// Classes with Python code that tokenizer.json cannot express.
const PYTHON: &[&str] = &[
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "ByT5Tokenizer",
    "CanineTokenizer",
    "FlaubertTokenizer",
    "PhobertTokenizer",
    "TapasTokenizer",
    "XLMTokenizer",
];

/// The kind of tokenizer that `transformers` builds from the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// WordPiece with `BertNormalizer`.
    Bert,
    /// Byte-level BPE.
    Roberta,
    /// Unigram with RoBERTa's special tokens.
    XlmRoberta,
    /// As tokenizer.json says.
    Generic,
}

impl Class {
    /// The default special tokens of the class, by role.
    pub(super) fn special(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Class::Bert => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
            Class::Roberta | Class::XlmRoberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
                ("mask_token", "<mask>"),
            ],
            Class::Generic => &[],
        }
    }

    /// Whether the class has no token types.
    pub fn has_no_types(self) -> bool {
        matches!(self, Class::Roberta | Class::XlmRoberta)
    }
}

impl Class {
    /// The class of a name of `transformers`, with or without `Fast`; `None` if it runs Python code.
    pub(super) fn of_name(name: &str) -> Option<Class> {
        let name = name.strip_suffix("Fast").unwrap_or(name);
        if PYTHON.contains(&name) {
            return None;
        }
        let known = [(BERT, Class::Bert), (ROBERTA, Class::Roberta), (XLM_ROBERTA, Class::XlmRoberta)];
        let found = known.iter().find(|(names, _)| names.contains(&name));
        Some(found.map_or(Class::Generic, |(_, class)| *class))
    }

    /// Whether a class is known by name; [`Class::Generic`] is read for any other.
    pub(super) fn is_known(name: &str) -> bool {
        let name = name.strip_suffix("Fast").unwrap_or(name);
        [BERT, ROBERTA, XLM_ROBERTA, GENERIC].iter().any(|names| names.contains(&name))
    }

    /// The class of a model type, where no file names one.
    pub(super) fn of_model_type(model_type: Option<&str>) -> Class {
        match model_type {
            Some("roberta" | "bart" | "longformer") => Class::Roberta,
            Some("xlm-roberta" | "camembert") => Class::XlmRoberta,
            Some("albert" | "mpnet" | "modernbert" | "deberta-v2") => Class::Generic,
            _ => Class::Bert,
        }
    }
}
