//! Choices with their arguments, as they are written. What the schedule knows by the same name is declared
//! there, in [`crate::schedule::ir`].

use crate::language::syntax::ast::Spanned;
use crate::settings::{Type, choices, settings};

choices! {
    /// What `distill { hidden: … }` may be.
    #[derive(Clone, Debug)]
    pub enum Hidden {
        /// The mean squared error of modules' outputs.
        States(States) = "states",
    }
}

settings! {
    /// Arguments of `states`.
    #[derive(Clone, Debug)]
    pub struct States {
        /// The student's modules, such as `bert.encoder.layer.*`.
        of: String = Type::Text, required formerly ["student_layer_names"];
        /// The teacher's, in the same order; the same if left out.
        teacher: Option<String> = Type::Text, optional formerly ["teacher_layer_names"];
        /// What the sum of the errors is multiplied by.
        gain: f64 = Type::Number, default "1.5";
        /// Whether each error is divided by the mean square of the teacher's.
        normalize: bool = Type::Bool, default "true";
        /// Added to that mean square.
        epsilon: f64 = Type::Rate, default "1e-6";
    }
}

choices! {
    /// Which weights a stage ends with.
    #[derive(Clone, Debug)]
    pub enum Kept {
        /// Those of its last step.
        Last = "last",
        /// Those of the best evaluation since the last pruning instant, as `best(f1)`.
        Best(Best) = "best",
    }
}

settings! {
    /// Arguments of `best`.
    #[derive(Clone, Debug)]
    pub struct Best {
        /// The metric, such as `f1`; of `loss` and `perplexity` the least is best.
        metric: Spanned<String> = Type::NewName, required;
    }
}

choices! {
    /// In how many bits products are computed while a stage trains.
    #[derive(Clone, Copy, Debug)]
    pub enum Products {
        /// 32 bits.
        F32 = "f32",
        /// 16 bits where the device has them, as graphics processors do; weights stay in 32.
        Bf16 = "bf16",
    }
}

choices! {
    /// Which weights go together.
    #[derive(Clone, Debug)]
    pub enum Patterns {
        /// Every weight by itself.
        Unstructured = "unstructured",
        /// Runs of consecutive inputs of one output, as `blocks(1, 4)`.
        Blocks(BlockShape) = "blocks",
        /// Of each run of consecutive inputs so many stay, as `n_of_m(2, 4)`.
        NofM(RunShape) = "n_of_m",
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
        /// Outputs of a block; only 1 is known.
        outputs: Spanned<usize> = Type::Count, required;
        /// Consecutive inputs of one output.
        inputs: usize = Type::Count, required;
    }
}

settings! {
    /// Arguments of `n_of_m`.
    #[derive(Clone, Debug)]
    pub struct RunShape {
        /// Weights of a run that stay.
        keep: usize = Type::Count, required;
        /// Weights in a run.
        of: usize = Type::Count, required;
    }
}

choices! {
    /// Where zero lies in a range of integers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Zero {
        /// In the middle: zero stays exactly zero.
        Symmetric = "symmetric",
        /// Anywhere: the range is used up.
        Asymmetric = "asymmetric",
    }
}

choices! {
    /// What shares a scale.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Scales {
        /// All values together.
        Tensor = "tensor",
        /// The weights of each output.
        Channel = "channel",
    }
}

settings! {
    /// Arguments of a quantization scheme.
    #[derive(Clone, Copy, Debug)]
    pub struct Integers {
        /// Where zero lies in the range.
        zero: Zero = Type::Choice(Zero::CHOICES), default "symmetric";
        /// What shares a scale.
        per: Scales = Type::Choice(Scales::CHOICES), default "tensor";
    }
}

choices! {
    /// How values are quantized.
    #[derive(Clone, Copy, Debug)]
    pub enum Schemes {
        /// Eight bits, from -128 to 127.
        Int8(Integers) = "int8",
        /// Eight bits, from 0 to 255.
        Uint8(Integers) = "uint8",
        /// Four bits, from -8 to 7.
        Int4(Integers) = "int4",
        /// Not quantized.
        None = "none",
    }
}

settings! {
    /// How long texts are cut into windows.
    #[derive(Clone, Copy, Debug)]
    pub struct Windows {
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "384" formerly ["max_seq_length"];
        /// Overlap of windows of a long text, in tokens.
        doc_stride: usize = Type::Count, default "128";
        /// The longest answer that is predicted, in tokens.
        max_answer_length: usize = Type::Count, default "30";
    }
}

settings! {
    /// How long the sequences of a classifier are.
    #[derive(Clone, Copy, Debug)]
    pub struct Sentences {
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// Columns of a table with labelled texts.
    #[derive(Clone, Debug)]
    pub struct Table {
        /// The column of the text.
        text: String = Type::Text, required;
        /// The column of a second text.
        pair: Option<String> = Type::Text, optional;
        /// The column of the label.
        label: String = Type::Text, default "\"label\"";
        /// The labels in the order of the model's outputs; those of the training data if left out.
        labels: Option<Vec<String>> = Type::Names, optional;
        /// The label whose F1 is `f1`; the second of two, the mean over more, if left out.
        positive: Option<String> = Type::Text, optional;
        /// The longest sequence, in tokens.
        max_length: usize = Type::Count, default "128" formerly ["max_seq_length"];
    }
}

settings! {
    /// How texts are cut for masked-language modelling.
    #[derive(Clone, Copy, Debug)]
    pub struct Texts {
        /// The length of a sequence, in tokens.
        max_length: usize = Type::Count, default "512" formerly ["max_seq_length"];
    }
}

settings! {
    /// How much is generated.
    #[derive(Clone, Copy, Debug)]
    pub struct Generated {
        /// Questions to train on.
        train: usize = Type::Count, default "4000";
        /// Questions of the dev set.
        dev: usize = Type::Count, default "400";
    }
}

choices! {
    /// The task's data.
    #[derive(Clone, Debug)]
    pub enum DataSets {
        /// Question answering: SQuAD v1.1 in `--data`: `train*` and `dev*` files (json, jsonl, parquet).
        Squad(Windows) = "squad",
        /// The same with questions that have no answer: SQuAD v2.0.
        SquadV2(Windows) = "squad_v2",
        /// Sentence pairs of MNLI: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Mnli(Sentences) = "mnli",
        /// Question pairs of QQP: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Qqp(Sentences) = "qqp",
        /// Texts or pairs of texts with a label each: `train*` and `dev*` tables (tsv, csv, jsonl, json, parquet) in `--data`.
        Classify(Table) = "classify",
        /// Masked-language modelling: `train*` and `dev*` texts (txt, jsonl, json, parquet) in `--data`.
        MaskedText(Texts) = "masked_text",
        /// Whatever the program brings that runs the recipe; not for `obertc run`.
        Own = "own",
        /// Generated reading comprehension in SQuAD's shape; needs no download.
        BuiltinReading(Generated) = "builtin_reading",
    }
}

settings! {
    /// The shape of a new BERT.
    #[derive(Clone, Copy, Debug)]
    pub struct NewBert {
        /// Encoder layers.
        layers: usize = Type::Count, required;
        /// Width of the hidden states.
        hidden: usize = Type::Count, required;
        /// Attention heads in a layer.
        heads: usize = Type::Count, required;
        /// Width of the feed-forward layer; 4 × hidden if left out.
        intermediate: Option<usize> = Type::Count, optional;
        /// The longest sequence, in tokens.
        positions: usize = Type::Count, default "512";
    }
}

choices! {
    /// New models.
    #[derive(Clone, Copy, Debug)]
    pub enum Models {
        /// A new BERT with random weights; its vocabulary is the data's.
        Bert(NewBert) = "bert",
    }
}

choices! {
    /// Words for a teacher that are no stage.
    #[derive(Clone, Copy, Debug)]
    pub enum Teachers {
        /// The model given by `--teacher`.
        Teacher = "teacher",
        /// The model as it was when the stage began.
        Itself = "self",
    }
}
