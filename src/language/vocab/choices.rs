//! Choices with their arguments, as written in a recipe. Those that the schedule has too are declared in
//! [`crate::schedule::ir`].

use crate::language::syntax::ast::Spanned;
use crate::schedule::ir::{EmbeddingLoss, Pooling};
use crate::settings::{Type, choices, settings};

choices! {
    /// The value of `distill { hidden: … }`.
    #[derive(Clone, Debug)]
    pub enum Hidden {
        /// The mean squared error between hidden states of student and teacher.
        States(States) = "states",
    }
}

settings! {
    /// Arguments of `states`.
    #[derive(Clone, Debug)]
    pub struct States {
        /// A pattern of the student's modules, such as `bert.encoder.layer.*`.
        of: String = Type::Text, required formerly ["student_layer_names"];
        /// A pattern of the teacher's modules, in the same order; the same pattern if left out.
        teacher: Option<String> = Type::Text, optional formerly ["teacher_layer_names"];
        /// The factor of this loss, the sum of the mean squared errors of all matched hidden states.
        gain: f64 = Type::Number, default "1.5";
        /// Whether each error is divided by the mean square of the teacher's hidden states.
        normalize: bool = Type::Bool, default "true";
        /// The ε that is added to this mean square.
        epsilon: f64 = Type::Rate, default "1e-6";
    }
}

choices! {
    /// The weights with which a stage ends.
    #[derive(Clone, Debug)]
    pub enum FinalWeights {
        /// The weights after the last step.
        Last = "last",
        /// The weights of the best evaluation after the last pruning event, as `best(f1)`.
        Best(Best) = "best",
    }
}

settings! {
    /// Arguments of `best`.
    #[derive(Clone, Debug)]
    pub struct Best {
        /// The metric, such as `f1`; `loss` and `perplexity` are best when lowest.
        metric: Spanned<String> = Type::NewName, required;
    }
}

choices! {
    /// The floating-point format of matrix products during training.
    #[derive(Clone, Copy, Debug)]
    pub enum MatmulPrecision {
        /// float32.
        F32 = "f32",
        /// bfloat16 mixed precision on devices that have it, such as GPUs; weights stay in float32.
        Bf16 = "bf16",
    }
}

choices! {
    /// Which weights are pruned together.
    #[derive(Clone, Debug)]
    pub enum Patterns {
        /// Every weight alone.
        Unstructured = "unstructured",
        /// Blocks of consecutive inputs of one output, as `blocks(1, 4)`.
        Blocks(BlockShape) = "blocks",
        /// N:M sparsity: N of every M consecutive inputs of one output are not pruned, as `n_of_m(2, 4)`.
        NofM(NofMShape) = "n_of_m",
        /// Whole outputs.
        Rows = "rows",
        /// Whole inputs.
        Columns = "columns",
    }
}

settings! {
    /// Arguments of `blocks`.
    #[derive(Clone, Debug)]
    pub struct BlockShape {
        /// Outputs of a block; only 1 is supported.
        outputs: Spanned<usize> = Type::Count, required;
        /// Consecutive inputs of a block.
        inputs: usize = Type::Count, required;
    }
}

settings! {
    /// Arguments of `n_of_m`.
    #[derive(Clone, Debug)]
    pub struct NofMShape {
        /// N: weights of a group that are not pruned.
        keep: usize = Type::Count, required;
        /// M: weights in a group.
        of: usize = Type::Count, required;
    }
}

choices! {
    /// The zero point of a quantized range.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ZeroPoint {
        /// Zero point 0: the range is symmetric around zero, which is represented exactly.
        Symmetric = "symmetric",
        /// A zero point for the observed range (affine quantization), which need not be symmetric around zero.
        Asymmetric = "asymmetric",
    }
}

choices! {
    /// The granularity of scales.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Granularity {
        /// One scale for the tensor.
        Tensor = "tensor",
        /// One scale for the weights of each output.
        Channel = "channel",
    }
}

settings! {
    /// Arguments of a quantization scheme.
    #[derive(Clone, Copy, Debug)]
    pub struct SchemeArguments {
        /// The zero point.
        zero: ZeroPoint = Type::Choice(ZeroPoint::CHOICES), default "symmetric";
        /// The granularity of scales.
        per: Granularity = Type::Choice(Granularity::CHOICES), default "tensor";
    }
}

choices! {
    /// Quantization schemes.
    #[derive(Clone, Copy, Debug)]
    pub enum Schemes {
        /// 8-bit integers from -128 to 127.
        Int8(SchemeArguments) = "int8",
        /// 8-bit integers from 0 to 255.
        Uint8(SchemeArguments) = "uint8",
        /// 4-bit integers from -8 to 7.
        Int4(SchemeArguments) = "int4",
        /// Not quantized.
        None = "none",
    }
}

settings! {
    /// Sequence lengths of question answering.
    #[derive(Clone, Copy, Debug)]
    pub struct QuestionAnswering {
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "384" formerly ["max_seq_length"];
        /// Overlap of neighbouring windows of a long text, in tokens.
        doc_stride: usize = Type::Count, default "128";
        /// The longest answer that is predicted, in tokens.
        max_answer_length: usize = Type::Count, default "30";
    }
}

settings! {
    /// The sequence length of a classifier.
    #[derive(Clone, Copy, Debug)]
    pub struct SentencePairs {
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// The columns of a table of labelled texts.
    #[derive(Clone, Debug)]
    pub struct TableColumns {
        /// The column of the text.
        text: String = Type::Text, required;
        /// The column of the second text of a pair.
        pair: Option<String> = Type::Text, optional;
        /// The column of the label.
        label: String = Type::Text, default "\"label\"";
        /// The labels in the order of the model's outputs; those of the training data if left out.
        labels: Option<Vec<String>> = Type::Names, optional;
        /// The positive class of `f1`; if left out, the second of two labels, the mean over all of more.
        positive: Option<String> = Type::Text, optional;
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// The columns of a table of words with a tag each; CoNLL files need none.
    #[derive(Clone, Debug)]
    pub struct TaggedWords {
        /// The column with the list of words.
        tokens: String = Type::Text, default "\"tokens\"";
        /// The column with the list of tags: names, or class indices.
        tags: String = Type::Text, default "\"ner_tags\"";
        /// The tags in the order of the model's outputs; those of the training data if left out.
        labels: Option<Vec<String>> = Type::Names, optional formerly ["label_list"];
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
        /// Overlap of neighbouring windows of a long sentence, in tokens.
        doc_stride: usize = Type::Count, default "32";
    }
}

settings! {
    /// The columns of a table of texts with scores.
    #[derive(Clone, Debug)]
    pub struct ScoredTexts {
        /// The column of the text.
        text: String = Type::Text, required;
        /// The column of the second text of a pair.
        pair: Option<String> = Type::Text, optional;
        /// The column of the score.
        score: String = Type::Text, default "\"score\"";
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// The columns of a table of queries with candidate passages.
    #[derive(Clone, Debug)]
    pub struct QueriesWithPassages {
        /// The column of the query.
        query: String = Type::Text, default "\"query\"";
        /// The column of the passage.
        passage: String = Type::Text, default "\"passage\"";
        /// The column of the label: 1 for a relevant passage, 0 for another, or a probability.
        label: String = Type::Text, default "\"label\"";
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "256" formerly ["max_seq_length"];
    }
}

settings! {
    /// The columns of a table of texts with any number of labels.
    #[derive(Clone, Debug)]
    pub struct TextsWithLabels {
        /// The column of the text.
        text: String = Type::Text, required;
        /// The column of the second text of a pair.
        pair: Option<String> = Type::Text, optional;
        /// The column with the list of labels.
        label: String = Type::Text, default "\"labels\"";
        /// The columns of single labels, with 1 or `true` where a text has the label; in place of a list.
        columns: Option<Vec<String>> = Type::Names, optional;
        /// The labels in the order of the model's outputs; those of the training data if left out.
        labels: Option<Vec<String>> = Type::Names, optional;
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// The settings of sentence embeddings.
    #[derive(Clone, Debug)]
    pub struct SentenceEmbeddings {
        /// The loss; if left out, `cosent` of scored pairs and `in_batch` of pairs and triplets.
        loss: Option<EmbeddingLoss> = Type::Choice(EmbeddingLoss::CHOICES), optional;
        /// The factor of cosines in the loss, 1 / temperature.
        scale: f64 = Type::Number, default "20";
        /// The pooling; if left out, that of the model's folder, else the mean.
        pooling: Option<Pooling> = Type::Choice(Pooling::CHOICES), optional formerly ["pooling_mode"];
        /// Whether embeddings are divided by their norm; if left out, as in the model's folder, else they are.
        normalize: Option<bool> = Type::Bool, optional formerly ["normalize_embeddings"];
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// The sequence length of masked-language modelling.
    #[derive(Clone, Copy, Debug)]
    pub struct MaskedTexts {
        /// The length of a sequence, in tokens.
        max_length: usize = Type::Count, default "512" formerly ["max_seq_length"];
    }
}

settings! {
    /// The number of generated examples.
    #[derive(Clone, Copy, Debug)]
    pub struct GeneratedQuestions {
        /// Training questions.
        train: usize = Type::Count, default "4000";
        /// Questions of the dev set.
        dev: usize = Type::Count, default "400";
    }
}

choices! {
    /// The task and its data.
    #[derive(Clone, Debug)]
    pub enum DataSets {
        /// Extractive question answering on SQuAD v1.1: `train*` and `dev*` files (json, jsonl, parquet) in `--data`.
        Squad(QuestionAnswering) = "squad",
        /// Extractive question answering on SQuAD v2.0, where some questions have no answer.
        SquadV2(QuestionAnswering) = "squad_v2",
        /// Natural language inference on MNLI: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Mnli(SentencePairs) = "mnli",
        /// Paraphrase detection on QQP: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Qqp(SentencePairs) = "qqp",
        /// Classification of texts or pairs of texts: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Classify(TableColumns) = "classify",
        /// Token classification, such as named entities: `train*` and `dev*` CoNLL files (txt, conll, bio, iob) or tables with lists (jsonl, json, parquet) in `--data`.
        ClassifyTokens(TaggedWords) = "classify_tokens",
        /// Regression on scores of texts or pairs, such as STS-B: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Regression(ScoredTexts) = "regression",
        /// Reranking of passages by a cross-encoder: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Rerank(QueriesWithPassages) = "rerank",
        /// Multi-label classification: `train*` and `dev*` tables (jsonl, json and parquet with lists; all kinds with a column of each label) in `--data`.
        MultiLabel(TextsWithLabels) = "multi_label",
        /// Sentence embeddings from scored pairs, pairs, triplets or plain texts: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) or texts (txt) in `--data`.
        Embeddings(SentenceEmbeddings) = "embeddings",
        /// Masked-language modelling: `train*` and `dev*` texts (txt, jsonl, json, parquet) in `--data`.
        MaskedText(MaskedTexts) = "masked_text",
        /// Data supplied by a program that uses obert as a library; not for `obertc run`.
        Own = "own",
        /// Generated extractive question answering; needs no download.
        BuiltinReading(GeneratedQuestions) = "builtin_reading",
    }
}

settings! {
    /// The shape of a new BERT.
    #[derive(Clone, Copy, Debug)]
    pub struct NewBert {
        /// Encoder layers.
        layers: usize = Type::Count, required;
        /// The hidden size.
        hidden: usize = Type::Count, required;
        /// Attention heads in a layer.
        heads: usize = Type::Count, required;
        /// The intermediate size of the feed-forward layers; 4 × hidden if left out.
        intermediate: Option<usize> = Type::Count, optional;
        /// Position embeddings: the longest sequence, in tokens.
        positions: usize = Type::Count, default "512";
    }
}

choices! {
    /// New models.
    #[derive(Clone, Copy, Debug)]
    pub enum Models {
        /// A new BERT with random weights; the size of its vocabulary comes from the data.
        Bert(NewBert) = "bert",
    }
}

choices! {
    /// Words for teachers that are not stages.
    #[derive(Clone, Copy, Debug)]
    pub enum Teachers {
        /// The model given by `--teacher`.
        Teacher = "teacher",
        /// Self-distillation: the model as it was when the stage began.
        Itself = "self",
    }
}
