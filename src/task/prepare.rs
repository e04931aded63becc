//! From the names in a schedule to a model, its data and its teacher: everything is read and checked
//! here, before the first step.

use std::path::Path;

use burn::tensor::Device;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::{BertConfig, BertShape};
use crate::schedule::ir;

use super::data::builtin;
use super::data::features::{Windows, features};
use super::data::squad::{self, Need, Split};
use super::data::tokenize::Tokenizer;
use super::model::{BertForQuestionAnswering, checkpoint};
use super::question_answering::QuestionAnswering;

/// What a run needs.
#[derive(Debug)]
pub struct Prepared {
    /// The task with its data.
    pub task: QuestionAnswering,
    /// The model to start from, without gradients.
    pub model: BertForQuestionAnswering,
    /// Its configuration.
    pub config: BertConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
}

/// Where the parts come from.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The schedule's model.
    pub model: &'a ir::Model,
    /// A model folder in its place.
    pub model_folder: Option<&'a Path>,
    /// The schedule's data.
    pub data: &'a ir::Data,
    /// The folder of data files.
    pub data_folder: Option<&'a Path>,
    /// Which halves of the data are needed.
    pub need: Need,
    /// At most so many training and held-out questions.
    pub limit_examples: Option<usize>,
    /// Dropout in place of the model's own.
    pub dropout: Option<f64>,
    /// The seed of new weights and generated data.
    pub seed: u64,
}

/// Reads model, tokenizer and data.
///
/// # Errors
/// Everything that is missing or does not fit.
pub fn prepare(places: &Places, device: &Device, sources: &mut Sources) -> Result<Prepared, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let mut notes = Vec::new();
    let mut split = read_data(places, sources).map_err(one)?;
    if let Some(limit) = places.limit_examples {
        split.train.truncate(limit);
        split.dev.truncate(limit);
    }
    let (model, config, tokenizer) = match (places.model_folder, places.model) {
        (Some(folder), _) => read_model(folder, places.seed, device, sources, &mut notes)?,
        (None, ir::Model::NewBert(shape)) => new_model(shape, places, device).map_err(one)?,
        (None, ir::Model::Named(name)) => {
            let folder = Path::new(name);
            if !folder.is_dir() {
                return Err(vec![
                    Diagnostic::unlocated(
                        Code::FlagMissing,
                        format!("the model `{name}` is not on this machine"),
                    )
                    .help("download its folder and give it with `--model DIR`"),
                ]);
            }
            read_model(folder, places.seed, device, sources, &mut notes)?
        }
    };
    let windows = windows(places.data, &config).map_err(one)?;
    if tokenizer.vocabulary_size() > config.vocab_size {
        return Err(vec![
            Diagnostic::unlocated(
                Code::TokenizerNotReadable,
                format!(
                    "the tokenizer has {} entries, the model's table {}",
                    tokenizer.vocabulary_size(),
                    config.vocab_size
                ),
            )
            .help("use the tokenizer that the model was trained with"),
        ]);
    }
    let train = features(&split.train, &tokenizer, windows).map_err(one)?;
    let dev = features(&split.dev, &tokenizer, windows).map_err(one)?;
    let task = QuestionAnswering {
        train,
        dev_questions: split.dev,
        dev,
        hidden_dropout: places.dropout.unwrap_or(config.hidden_dropout_prob),
        attention_dropout: places.dropout.unwrap_or(config.attention_probs_dropout_prob),
    };
    Ok(Prepared { task, model, config, tokenizer, notes })
}

/// Reads a teacher and checks that its outputs can be matched with the student's.
///
/// # Errors
/// A folder that cannot be read, or a teacher with another vocabulary.
pub fn teacher(
    folder: &Path,
    student: &BertConfig,
    device: &Device,
    sources: &mut Sources,
) -> Result<BertForQuestionAnswering, Vec<Diagnostic>> {
    let loaded = checkpoint::load(folder, 0, device, sources)?;
    let shown = folder.display();
    let differs = |why: String, help: &str| {
        vec![Diagnostic::unlocated(Code::TeacherDiffers, format!("the teacher `{shown}` {why}")).help(help)]
    };
    if loaded.config.vocab_size != student.vocab_size {
        let why = format!(
            "has {} vocabulary entries, the student {}",
            loaded.config.vocab_size, student.vocab_size
        );
        return Err(differs(why, "a teacher must read the same tokens as its student"));
    }
    if let Some(first) = loaded.new_parameters.first() {
        let why = format!("lacks `{first}`: it was never trained for this task");
        return Err(differs(why, "give a model that was fine-tuned for question answering"));
    }
    if loaded.config.max_position_embeddings < student.max_position_embeddings {
        let why = format!("reads at most {} tokens", loaded.config.max_position_embeddings);
        return Err(differs(why, "shorten the sequences: `data: squad(max_length: …)`"));
    }
    Ok(loaded.model)
}

type ModelParts = (BertForQuestionAnswering, BertConfig, Tokenizer);

fn read_model(
    folder: &Path,
    seed: u64,
    device: &Device,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<ModelParts, Vec<Diagnostic>> {
    let tokenizer = Tokenizer::from_folder(folder);
    let loaded = checkpoint::load(folder, seed, device, sources)?;
    if !loaded.new_parameters.is_empty() {
        notes.push(format!("new, with random weights: {}", loaded.new_parameters.join(", ")));
    }
    if !loaded.unused.is_empty() {
        notes.push(format!("not used: {}", loaded.unused.join(", ")));
    }
    Ok((loaded.model, loaded.config, tokenizer.map_err(|d| vec![d])?))
}

fn new_model(shape: &BertShape, places: &Places, device: &Device) -> Result<ModelParts, Diagnostic> {
    let words = match places.data {
        ir::Data::BuiltinReading { .. } => builtin::vocabulary(),
        _ => {
            return Err(Diagnostic::unlocated(
                Code::FlagMissing,
                "a new model has no vocabulary for this data",
            )
            .help("give a pretrained model with `--model DIR`, or use `data: builtin_reading`"));
        }
    };
    let tokenizer = Tokenizer::from_vocabulary(words, true).map_err(|why| {
        Diagnostic::unlocated(Code::TokenizerNotReadable, why)
            .help("this is a mistake in obert; please report it")
    })?;
    let config = BertConfig::new(BertShape { vocab: tokenizer.vocabulary_size(), ..*shape });
    let model = BertForQuestionAnswering::new(&config, places.seed, device);
    Ok((model, config, tokenizer))
}

fn read_data(places: &Places, sources: &mut Sources) -> Result<Split, Diagnostic> {
    match places.data {
        ir::Data::BuiltinReading { train, dev } => Ok(builtin::generate(*train, *dev, places.seed)),
        ir::Data::Squad { .. } => match places.data_folder {
            Some(folder) => squad::read_folder(folder, places.need, sources),
            None => Err(Diagnostic::unlocated(Code::FlagMissing, "`data: squad` needs files")
                .help("give the folder of train*.json and dev*.json: `--data DIR`")),
        },
        other => {
            let name = match other {
                ir::Data::Mnli => "mnli",
                ir::Data::Qqp => "qqp",
                _ => "masked_text",
            };
            Err(Diagnostic::unlocated(Code::NotYet, format!("the engine cannot train on `data: {name}` yet"))
                .help("question answering works: `data: squad`"))
        }
    }
}

fn windows(data: &ir::Data, config: &BertConfig) -> Result<Windows, Diagnostic> {
    let windows = match data {
        ir::Data::Squad { max_length, doc_stride } => {
            Windows { max_length: *max_length, doc_stride: *doc_stride }
        }
        _ => Windows { max_length: 128.min(config.max_position_embeddings), doc_stride: 32 },
    };
    if windows.max_length > config.max_position_embeddings {
        return Err(Diagnostic::unlocated(
            Code::FlagValue,
            format!(
                "sequences of {} tokens are longer than the model's {}",
                windows.max_length, config.max_position_embeddings
            ),
        )
        .help(format!("use `--max-seq-len {}`", config.max_position_embeddings)));
    }
    Ok(windows)
}
