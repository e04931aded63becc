//! Loads the model, the data and the teacher that a schedule names, and checks them before the first step.
//!
//! [`Prepare`] has the steps that differ between tasks; a module of each task implements it. [`label_names`] matches the
//! labels of data and model, [`teacher_labels`] those of teacher and student.

mod classification;
mod embedding;
mod label_names;
mod masked_language;
mod names;
mod question_answering;
mod scoring;
mod teacher_labels;
mod token_classification;

use std::path::Path;

use burn::tensor::Device;

use crate::diag::{Code, Diagnostic, Sources, agreeing, counted};
use crate::params::builtin::Head;
use crate::params::config_file::few;
use crate::params::{BertConfig, BertShape, Settings, cache, folder};
use crate::schedule::ir;
use crate::text::Tokenizer;

use super::Task;
use super::data::cache::FeatureCache;
use super::data::splits::{DataSet, Need, ReadOptions};
use super::model::{BertModel, checkpoint};

/// The task and the model of a run.
#[derive(Debug)]
pub struct Prepared<T: Task> {
    /// The task with its data.
    pub task: T,
    /// The initial model, without autodiff.
    pub model: T::Model,
    /// Its configuration.
    pub config: BertConfig,
    /// Its head.
    pub head: Head,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The randomly initialized parameters of a head that the model's files lack.
    pub new_head: Vec<String>,
    /// Notes for the user on how model and data were read.
    pub notes: Vec<String>,
}

/// A teacher whose logits have the student's order of labels.
#[derive(Debug)]
pub struct FittedTeacher<M> {
    /// The model.
    pub model: M,
    /// Notes for the user on how labels were matched.
    pub notes: Vec<String>,
}

/// The model, the data and the options to prepare a run from.
#[derive(Clone, Copy, Debug)]
pub struct PrepareOptions<'a> {
    /// The schedule's model.
    pub model: &'a ir::Model,
    /// A model folder in place of the schedule's model (`--model`).
    pub model_folder: Option<&'a Path>,
    /// The schedule's data.
    pub data: &'a ir::Data,
    /// The folder of data files, or a file (`--data`).
    pub data_folder: Option<&'a Path>,
    /// How the data files are read.
    pub reading: ReadOptions<'a>,
    /// The splits that are needed.
    pub need: Need,
    /// The maximum number of training and of dev examples.
    pub limit_examples: Option<usize>,
    /// The dropout probability instead of the model's.
    pub dropout: Option<f64>,
    /// Whether a model without the task's head may get a randomly initialized one.
    pub may_have_new_head: bool,
    /// Whether the run distills.
    pub distills: bool,
    /// Whether a stage trains without distillation, and so from the labels alone.
    pub needs_labels: bool,
    /// The seed of new weights and generated data.
    pub seed: u64,
}

/// A task of BERT models that is read from files.
pub trait Prepare: Task<Model: BertModel> + Sized {
    /// The data set before tokenization.
    type Raw;

    /// The task's name in messages about its head.
    const TASK: &'static str;

    /// The task that a teacher must be trained for, in messages.
    const TRAINED_FOR: &'static str;

    /// The unit of dev examples in messages.
    const EXAMPLES: &'static str;

    /// Reads the data.
    ///
    /// # Errors
    /// Files that are missing or cannot be read.
    fn read(
        options: &PrepareOptions,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<Self::Raw, Diagnostic>;

    /// The head that the data needs on a model with this configuration.
    fn head(raw: &Self::Raw, config: Option<&BertConfig>) -> Head;

    /// The vocabulary of a new model.
    fn vocabulary(_: &PrepareOptions) -> Option<Vec<String>> {
        None
    }

    /// Tokenizes the data and makes the task. Labels are set in the configuration. `new_head` says that the model's head
    /// is randomly initialized.
    ///
    /// # Errors
    /// Data that does not fit the model.
    fn assemble(
        raw: Self::Raw,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        new_head: bool,
        options: &PrepareOptions,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic>;

    /// Reorders the teacher's logits to the student's labels.
    ///
    /// # Errors
    /// A message of one sentence if the labels differ.
    fn fit_teacher(
        &self,
        teacher: Self::Model,
        _: &BertConfig,
    ) -> Result<FittedTeacher<Self::Model>, String> {
        Ok(FittedTeacher { model: teacher, notes: Vec::new() })
    }

    /// Checks settings of the teacher's folder other than the model, such as pooling and normalization of sentence
    /// embeddings.
    ///
    /// # Errors
    /// A message of one sentence if the teacher's outputs mean something else than the student's.
    fn check_teacher(&self, _folder: &Path) -> Result<(), String> {
        Ok(())
    }

    /// Applies settings of evaluation that do not affect features.
    fn apply(&mut self, _: &Settings) {}

    /// Writes files beside the saved model that say how its outputs are used.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn save_modules(&self, _folder: &Path, _: &BertConfig) -> Result<(), Diagnostic> {
        Ok(())
    }

    /// The labels in the order of the data set, if it has labels.
    fn data_labels(&self) -> Option<&[String]> {
        None
    }

    /// The number of dev examples.
    fn dev_examples(&self) -> usize;
}

/// Loads data, model and tokenizer, and computes features or reads them from the cache.
///
/// # Errors
/// Whatever is missing or does not fit.
pub fn prepare<T: Prepare>(
    options: &PrepareOptions,
    device: &Device,
    sources: &mut Sources,
    feature_cache: &mut FeatureCache,
) -> Result<Prepared<T>, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let mut notes = Vec::new();
    let raw = T::read(options, sources, &mut notes).map_err(one)?;
    let ModelParts { model, mut config, tokenizer, head, new_head, random_head } =
        match (options.model_folder, options.model) {
            (Some(folder), _) => read_model::<T>(folder, &raw, options, device, sources, &mut notes)?,
            (None, ir::Model::NewBert(shape)) => new_model::<T>(shape, &raw, options, device).map_err(one)?,
            (None, ir::Model::Named(name)) => {
                let Some(folder) = &cache::local(Path::new(name)) else {
                    return Err(vec![
                        Diagnostic::unlocated(
                            Code::FlagMissing,
                            format!("the model `{name}` is not on this machine"),
                        )
                        .help("download its folder and give it with `--model DIR`"),
                    ]);
                };
                read_model::<T>(folder, &raw, options, device, sources, &mut notes)?
            }
        };
    if tokenizer.vocabulary_size() > config.vocab_size {
        return Err(vec![
            Diagnostic::unlocated(
                Code::VocabularyTooLarge,
                format!(
                    "the tokenizer has {} entries, the model's word embeddings {}",
                    tokenizer.vocabulary_size(),
                    config.vocab_size
                ),
            )
            .help("use the tokenizer that the model was trained with"),
        ]);
    }
    let task = T::assemble(raw, &tokenizer, &mut config, new_head, options, feature_cache).map_err(one)?;
    notes.append(&mut feature_cache.notes);
    Ok(Prepared { task, model, config, head, tokenizer, new_head: random_head, notes })
}

/// Loads a teacher and matches its labels with the student's.
///
/// # Errors
/// A folder that cannot be read, or a teacher of another vocabulary, other labels or another task.
pub fn teacher<T: Prepare>(
    folder: &Path,
    prepared: &Prepared<T>,
    device: &Device,
    sources: &mut Sources,
) -> Result<FittedTeacher<T::Model>, Vec<Diagnostic>> {
    let student = &prepared.config;
    let loaded = checkpoint::load_with_head::<T::Model>(folder, prepared.head, 0, device, sources)?;
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
        return Err(differs(why, &format!("give a model that was fine-tuned for {}", T::TRAINED_FOR)));
    }
    // A vocabulary of the same size can have other words. A folder without a tokenizer is not checked.
    let other = Tokenizer::from_folder(folder, &mut Sources::new())
        .ok()
        .and_then(|own| prepared.tokenizer.differs_from(&own));
    if let Some(token) = other {
        let why = format!("has another vocabulary: `{token}` is not the same token in both");
        return Err(differs(why, "a teacher must read the same tokens as its student"));
    }
    if loaded.config.longest() < student.longest() {
        let why = format!("reads at most {} tokens", loaded.config.longest());
        return Err(differs(why, "shorten the sequences: `data: squad(max_length: …)`"));
    }
    prepared
        .task
        .check_teacher(folder)
        .map_err(|why| differs(why, "the student's `pooling` and `normalize` must be the teacher's"))?;
    // A teacher from quantization-aware training computes quantized, as it was evaluated.
    let model = checkpoint::with_scales(loaded.model, folder).map_err(|d| vec![d])?;
    let fits = prepared.task.fit_teacher(model, &loaded.config);
    fits.map_err(|why| differs(why, "a teacher must know the same labels as its student"))
}

/// A model with its configuration and tokenizer.
struct ModelParts<T: Task> {
    model: T::Model,
    config: BertConfig,
    tokenizer: Tokenizer,
    head: Head,
    /// Whether parameters of the head are randomly initialized.
    new_head: bool,
    /// The parameters of the head that the model's files lack.
    random_head: Vec<String>,
}

fn read_model<T: Prepare>(
    path: &Path,
    raw: &T::Raw,
    options: &PrepareOptions,
    device: &Device,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<ModelParts<T>, Vec<Diagnostic>> {
    let tokenizer = Tokenizer::from_folder(path, sources);
    // A missing configuration is reported by `load_with_head`, with all other errors of the folder.
    let config = folder::read_config(path, &mut Sources::new()).ok();
    let head = T::head(raw, config.as_ref());
    let loaded = checkpoint::load_with_head::<T::Model>(path, head, options.seed, device, sources)?;
    let new_head = !loaded.new_parameters.is_empty();
    if let (Some(lost), false) = (loaded.new_parameters.first(), options.may_have_new_head) {
        return Err(vec![
            Diagnostic::unlocated(
                Code::HeadMissing,
                format!("the model `{}` has no head for {}: it lacks `{lost}`", path.display(), T::TASK),
            )
            .help("train it first: `obertc run` gives it a head"),
        ]);
    }
    notes.extend(loaded.notes);
    if !loaded.unused.is_empty() {
        notes.push(format!("not used: {}", few(&loaded.unused)));
    }
    let tokenizer = tokenizer.map_err(|d| vec![d])?;
    notes.extend(tokenizer.notes().iter().cloned());
    let (config, random_head) = (loaded.config, loaded.new_parameters);
    Ok(ModelParts { model: loaded.model, config, tokenizer, head, new_head, random_head })
}

fn new_model<T: Prepare>(
    shape: &BertShape,
    raw: &T::Raw,
    options: &PrepareOptions,
    device: &Device,
) -> Result<ModelParts<T>, Diagnostic> {
    let Some(words) = T::vocabulary(options) else {
        return Err(Diagnostic::unlocated(Code::FlagMissing, "a new model has no vocabulary for this data")
            .help("give a pretrained model with `--model DIR`, or use `data: builtin_reading`"));
    };
    let tokenizer = Tokenizer::from_vocabulary(words, true).map_err(|why| {
        Diagnostic::unlocated(Code::TokenizerNotReadable, why)
            .help("this is a mistake in obert; please report it")
    })?;
    let config = BertConfig::new(BertShape { vocab: tokenizer.vocabulary_size(), ..*shape });
    let head = T::head(raw, Some(&config));
    let model = T::Model::with_head(&config, head, options.seed, device);
    Ok(ModelParts { model, config, tokenizer, head, new_head: true, random_head: Vec::new() })
}

/// The data set at `data_folder`. Without a folder an error: `data` is the recipe's value, `files` describes the files
/// that it needs.
fn data_set<'a>(options: &PrepareOptions<'a>, data: &str, files: &str) -> Result<DataSet<'a>, Diagnostic> {
    let path = options.data_folder.ok_or_else(|| {
        Diagnostic::unlocated(Code::FlagMissing, format!("`data: {data}` needs files"))
            .help(format!("give the folder of {files}: `--data DIR`"))
    })?;
    Ok(DataSet { path, need: options.need, options: options.reading })
}

/// The note on texts that were truncated, of `all`.
fn truncated_note(truncated: usize, all: usize, max_length: usize) -> String {
    let texts = counted(all, "text", "texts");
    let (are, them) = (agreeing(&truncated, "is", "are"), agreeing(&truncated, "it", "them"));
    format!(
        "{truncated} of {texts} {are} longer than {max_length} tokens and {are} truncated, as transformers \
         does with `truncation=True`; `--max-length N` reads more of {them}",
    )
}

/// Checks that sequences are no longer than the model's position embeddings allow.
fn check_length(max_length: usize, config: &BertConfig) -> Result<(), Diagnostic> {
    if max_length <= config.longest() {
        return Ok(());
    }
    Err(Diagnostic::unlocated(
        Code::FlagValue,
        format!("sequences of {max_length} tokens are longer than the model's {}", config.longest()),
    )
    .help(format!("use `--max-length {}`", config.longest())))
}
