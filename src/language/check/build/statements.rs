//! Conversion of statements from the structs of the vocabulary to those of the typed recipe. Each struct is
//! destructured completely, so that a setting that is declared but not used does not compile.

use crate::diag::Span;
use crate::language::check::recipe::{Hold, Prune, Quantize, SparsityException, TimeRange};
use crate::language::syntax::ast::Spanned;
use crate::language::vocab::Placed;
use crate::language::vocab::choices::{
    BlockShape, DataSets, GeneratedQuestions, Granularity, MaskedTexts, MatmulPrecision, Models, NewBert,
    NofMShape, Patterns, QueriesWithPassages, QuestionAnswering, SchemeArguments, Schemes, ScoredTexts,
    SentenceEmbeddings, SentencePairs, TableColumns, TaggedWords, TextsWithLabels, ZeroPoint,
};
use crate::language::vocab::verbs::{self, ModelValue};
use crate::params::BertShape;
use crate::schedule::ir::{
    Columns, Data, EmbeddingSettings, Model, MultiLabelColumns, ObsEach, Pattern, Precision, Scheme,
    ScoreColumns, TaggedColumns,
};

pub(super) fn prune(
    read: verbs::Prune,
    pattern: Spanned<Pattern>,
    exceptions: Vec<SparsityException>,
    head: Span,
) -> Prune {
    let verbs::Prune { params, over, every, by, sparsity, pattern: _, rank, at_most, reconstruct } = read;
    let Placed { choice: by, arguments } = by;
    let obs = ObsEach::from_names(|name| arguments.get(name).copied().or(Some(by.span)));
    Prune {
        targets: params,
        over,
        every,
        sparsity,
        exceptions,
        pattern,
        rank,
        at_most,
        reconstruct,
        by,
        obs,
        head,
    }
}

pub(super) fn hold(read: verbs::Hold, whole: TimeRange, head: Span) -> Hold {
    let verbs::Hold { params, over } = read;
    Hold { targets: params, over: over.unwrap_or(Spanned::new(whole, head)), head }
}

pub(super) fn freeze(read: verbs::Freeze, whole: TimeRange, head: Span) -> Hold {
    let verbs::Freeze { params, over } = read;
    Hold { targets: params, over: over.unwrap_or(Spanned::new(whole, head)), head }
}

pub(super) fn quantize(read: verbs::Quantize, whole: TimeRange, head: Span) -> Quantize {
    let verbs::Quantize { params, over, weights, activations, freeze, calibrate, attention } = read;
    Quantize {
        targets: params,
        over: over.unwrap_or(Spanned::new(whole, head)),
        weights: weights.map(scheme),
        activations: activations.map(scheme),
        freeze,
        calibrate,
        attention,
        head,
    }
}

/// Converts a quantization scheme of the recipe to that of the schedule; `none` to `None`.
fn scheme(scheme: Schemes) -> Option<Scheme> {
    let (bits, signed, SchemeArguments { zero, per }) = match scheme {
        Schemes::Int8(arguments) => (8, true, arguments),
        Schemes::Uint8(arguments) => (8, false, arguments),
        Schemes::Int4(arguments) => (4, true, arguments),
        Schemes::None => return None,
    };
    let (symmetric, per_channel) = (zero == ZeroPoint::Symmetric, per == Granularity::Channel);
    Some(Scheme { bits, signed, symmetric, per_channel })
}

pub(super) fn model(model: ModelValue) -> Model {
    match model {
        ModelValue::Named(name) => Model::Named(name),
        ModelValue::New(Models::Bert(NewBert { layers, hidden, heads, intermediate, positions })) => {
            Model::NewBert(BertShape {
                // The size of the vocabulary comes from the data.
                vocab: 0,
                hidden,
                layers,
                heads,
                intermediate: intermediate.unwrap_or(4 * hidden),
                positions,
                types: 2,
            })
        }
    }
}

pub(super) fn data(data: DataSets) -> Data {
    match data {
        DataSets::Squad(QuestionAnswering { max_length, doc_stride, max_answer_length }) => {
            Data::Squad { max_length, doc_stride, max_answer_length }
        }
        DataSets::SquadV2(QuestionAnswering { max_length, doc_stride, max_answer_length }) => {
            Data::SquadV2 { max_length, doc_stride, max_answer_length }
        }
        DataSets::Mnli(SentencePairs { max_length }) => Data::Mnli { max_length },
        DataSets::Qqp(SentencePairs { max_length }) => Data::Qqp { max_length },
        DataSets::Classify(TableColumns { text, pair, label, labels, positive, max_length }) => {
            let labels = labels.unwrap_or_default();
            Data::Classify(Columns { text, pair, label, labels, positive, max_length })
        }
        DataSets::ClassifyTokens(TaggedWords { tokens, tags, labels, max_length, doc_stride }) => {
            let labels = labels.unwrap_or_default();
            Data::ClassifyTokens(TaggedColumns { tokens, tags, labels, max_length, doc_stride })
        }
        DataSets::Regression(ScoredTexts { text, pair, score, max_length }) => {
            Data::Regression(ScoreColumns { text, pair, score, max_length })
        }
        DataSets::Rerank(QueriesWithPassages { query, passage, label, max_length }) => {
            Data::Rerank(ScoreColumns { text: query, pair: Some(passage), score: label, max_length })
        }
        DataSets::MultiLabel(TextsWithLabels { text, pair, label, columns, labels, max_length }) => {
            let (columns, labels) = (columns.unwrap_or_default(), labels.unwrap_or_default());
            Data::MultiLabel(MultiLabelColumns { text, pair, label, columns, labels, max_length })
        }
        DataSets::Embeddings(SentenceEmbeddings { loss, scale, pooling, normalize, max_length }) => {
            Data::Embeddings(EmbeddingSettings { loss, scale, pooling, normalize, max_length })
        }
        DataSets::MaskedText(MaskedTexts { max_length }) => Data::MaskedText { max_length },
        DataSets::Own => Data::Own,
        DataSets::BuiltinReading(GeneratedQuestions { train, dev }) => Data::BuiltinReading { train, dev },
    }
}

/// The pattern of the schedule.
///
/// # Errors
/// The span of a block's number of outputs, if it is not 1.
pub(super) fn pattern(pattern: &Patterns) -> Result<Pattern, Span> {
    Ok(match pattern {
        Patterns::Unstructured => Pattern::Unstructured,
        Patterns::Blocks(BlockShape { outputs, .. }) if outputs.value != 1 => return Err(outputs.span),
        Patterns::Blocks(BlockShape { outputs: _, inputs }) => Pattern::Blocks(*inputs),
        Patterns::NofM(NofMShape { keep, of }) => Pattern::NofM { keep: *keep, of: *of },
        Patterns::Rows => Pattern::Rows,
        Patterns::Columns => Pattern::Columns,
    })
}

pub(super) fn precision(products: MatmulPrecision) -> Precision {
    match products {
        MatmulPrecision::F32 => Precision::F32,
        MatmulPrecision::Bf16 => Precision::Bf16,
    }
}
