//! The families by name.

/// A family of encoders, by the `model_type` of `config.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// `bert`: BERT, MiniLM, BGE, E5 and others.
    #[default]
    Bert,
    /// `roberta`: positions begin at `pad_token_id + 1`; one token type.
    Roberta,
    /// `xlm-roberta`: XLM-RoBERTa and multilingual E5.
    XlmRoberta,
    /// `camembert`: a French RoBERTa.
    Camembert,
    /// `distilbert`: no token types.
    DistilBert,
    /// `electra`: embeddings may be narrower than hidden states.
    Electra,
    /// `albert`: layers share their parameters.
    Albert,
    /// `mpnet`: a bias of bucketed distances in attention, and no token types.
    Mpnet,
    /// `modernbert`: pre-normalized layers, rotary positions, local attention and gated feed-forward networks.
    ModernBert,
    /// `deberta-v2`: DeBERTa-v2 and v3, disentangled attention.
    DebertaV2,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 10] = [
        Family::Bert,
        Family::Roberta,
        Family::XlmRoberta,
        Family::Camembert,
        Family::DistilBert,
        Family::Electra,
        Family::Albert,
        Family::Mpnet,
        Family::ModernBert,
        Family::DebertaV2,
    ];
}
