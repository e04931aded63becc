//! From the names in a schedule to a model, its data and its teacher: everything is read and checked
//! here, before the first step.
//!
//! What differs from task to task stands behind [`Prepare`]: [`question_answering`],
//! [`classification`] and [`masked_language`] fill it in.

mod classification;
mod label_names;
mod masked_language;
mod question_answering;

use std::path::Path;

use burn::tensor::Device;

use crate::diag::{Code, Diagnostic, Sources};
use crate::params::builtin::Head;
use crate::params::config_file::few;
use crate::params::{BertConfig, BertShape, Settings, cache, folder};
use crate::schedule::ir;
use crate::text::Tokenizer;

use super::Task;
use super::data::cache::FeatureCache;
use super::data::splits::{DataSet, Need, ReadOptions};
use super::model::{BertModel, checkpoint};

/// What a run needs.
#[derive(Debug)]
pub struct Prepared<T: Task> {
    /// The task with its data.
    pub task: T,
    /// The model to start from, without gradients.
    pub model: T::Model,
    /// Its configuration.
    pub config: BertConfig,
    /// Its head.
    pub head: Head,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Parameters of a head that the model's files lack: new, with random weights.
    pub new_head: Vec<String>,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
}

/// A teacher whose outputs have the order of its student's.
#[derive(Debug)]
pub struct FittedTeacher<M> {
    /// The model.
    pub model: M,
    /// What a user should know of how it was matched.
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
    /// The folder of data files, or a file.
    pub data_folder: Option<&'a Path>,
    /// How they are read.
    pub reading: ReadOptions<'a>,
    /// Which halves of the data are needed.
    pub need: Need,
    /// At most so many training and held-out examples.
    pub limit_examples: Option<usize>,
    /// Dropout in place of the model's own.
    pub dropout: Option<f64>,
    /// Whether a model without the task's head may get a new one, which is random until it is trained.
    pub may_have_new_head: bool,
    /// Whether a teacher's outputs are matched.
    pub distills: bool,
    /// The seed of new weights and generated data.
    pub seed: u64,
}

/// A task on a BERT that is made from files.
pub trait Prepare: Task<Model: BertModel> + Sized {
    /// What is read before the model is.
    type Raw;

    /// What a head is for, for messages.
    const TASK: &'static str;

    /// What a teacher must have been trained for, for messages.
    const TRAINED_FOR: &'static str;

    /// What held-out examples are called, for messages.
    const EXAMPLES: &'static str;

    /// Reads the data.
    ///
    /// # Errors
    /// Files that are missing or cannot be read, as diagnostics that point into them.
    fn read(places: &Places, sources: &mut Sources, notes: &mut Vec<String>)
    -> Result<Self::Raw, Diagnostic>;

    /// The head that the data asks for, of a model with this configuration.
    fn head(raw: &Self::Raw, config: Option<&BertConfig>) -> Head;

    /// The vocabulary of a new model.
    fn vocabulary(_: &Places) -> Option<Vec<String>> {
        None
    }

    /// Puts data and model together; the configuration learns what the data says. `new_head` says
    /// that the model's head is new.
    ///
    /// # Errors
    /// Data that does not fit the model.
    fn assemble(
        raw: Self::Raw,
        tokenizer: &Tokenizer,
        config: &mut BertConfig,
        new_head: bool,
        places: &Places,
        feature_cache: &mut FeatureCache,
    ) -> Result<Self, Diagnostic>;

    /// A teacher whose outputs have the order of the student's.
    ///
    /// # Errors
    /// One sentence if they cannot be matched.
    fn fit_teacher(
        &self,
        teacher: Self::Model,
        _: &BertConfig,
    ) -> Result<FittedTeacher<Self::Model>, String> {
        Ok(FittedTeacher { model: teacher, notes: Vec::new() })
    }

    /// Takes over settings that are no part of its features.
    fn apply(&mut self, _: &Settings) {}

    /// The labels in the order of the data, if there are labels.
    fn data_labels(&self) -> Option<&[String]> {
        None
    }

    /// How many examples are held out.
    fn dev_examples(&self) -> usize;
}

/// Reads data, model and tokenizer; `feature_cache` says where features are kept.
///
/// # Errors
/// Everything that is missing or does not fit.
pub fn prepare<T: Prepare>(
    places: &Places,
    device: &Device,
    sources: &mut Sources,
    feature_cache: &mut FeatureCache,
) -> Result<Prepared<T>, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let mut notes = Vec::new();
    let raw = T::read(places, sources, &mut notes).map_err(one)?;
    let ModelParts { model, mut config, tokenizer, head, new_head, random_head } =
        match (places.model_folder, places.model) {
            (Some(folder), _) => read_model::<T>(folder, &raw, places, device, sources, &mut notes)?,
            (None, ir::Model::NewBert(shape)) => new_model::<T>(shape, &raw, places, device).map_err(one)?,
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
                read_model::<T>(folder, &raw, places, device, sources, &mut notes)?
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
    let task = T::assemble(raw, &tokenizer, &mut config, new_head, places, feature_cache).map_err(one)?;
    notes.append(&mut feature_cache.notes);
    Ok(Prepared { task, model, config, head, tokenizer, new_head: random_head, notes })
}

/// Reads a teacher and checks that its outputs can be matched with the student's.
///
/// # Errors
/// A folder that cannot be read, a teacher with another vocabulary, other labels or for another
/// task.
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
    // A vocabulary of the same size may hold other words. A folder without one is believed.
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
    // A teacher that was trained with rounded values teaches what was measured.
    let model = checkpoint::with_scales(loaded.model, folder).map_err(|d| vec![d])?;
    let fits = prepared.task.fit_teacher(model, &loaded.config);
    fits.map_err(|why| differs(why, "a teacher must know the same labels as its student"))
}

/// A model with what belongs to it.
struct ModelParts<T: Task> {
    model: T::Model,
    config: BertConfig,
    tokenizer: Tokenizer,
    head: Head,
    /// Whether the head, or a part of it, was not in the files.
    new_head: bool,
    /// The parameters of a head that a model's files lack.
    random_head: Vec<String>,
}

fn read_model<T: Prepare>(
    path: &Path,
    raw: &T::Raw,
    places: &Places,
    device: &Device,
    sources: &mut Sources,
    notes: &mut Vec<String>,
) -> Result<ModelParts<T>, Vec<Diagnostic>> {
    let tokenizer = Tokenizer::from_folder(path, sources);
    // A folder without a configuration is reported below, with everything else that is wrong.
    let config = folder::read_config(path, &mut Sources::new()).ok();
    let head = T::head(raw, config.as_ref());
    let loaded = checkpoint::load_with_head::<T::Model>(path, head, places.seed, device, sources)?;
    let new_head = !loaded.new_parameters.is_empty();
    if let (Some(lost), false) = (loaded.new_parameters.first(), places.may_have_new_head) {
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
    places: &Places,
    device: &Device,
) -> Result<ModelParts<T>, Diagnostic> {
    let Some(words) = T::vocabulary(places) else {
        return Err(Diagnostic::unlocated(Code::FlagMissing, "a new model has no vocabulary for this data")
            .help("give a pretrained model with `--model DIR`, or use `data: builtin_reading`"));
    };
    let tokenizer = Tokenizer::from_vocabulary(words, true).map_err(|why| {
        Diagnostic::unlocated(Code::TokenizerNotReadable, why)
            .help("this is a mistake in obert; please report it")
    })?;
    let config = BertConfig::new(BertShape { vocab: tokenizer.vocabulary_size(), ..*shape });
    let head = T::head(raw, Some(&config));
    let model = T::Model::with_head(&config, head, places.seed, device);
    Ok(ModelParts { model, config, tokenizer, head, new_head: true, random_head: Vec::new() })
}

/// The data files, which this data needs.
fn data_set<'a>(places: &Places<'a>, data: &str, files: &str) -> Result<DataSet<'a>, Diagnostic> {
    let path = places.data_folder.ok_or_else(|| {
        Diagnostic::unlocated(Code::FlagMissing, format!("`data: {data}` needs files"))
            .help(format!("give the folder of {files}: `--data DIR`"))
    })?;
    Ok(DataSet { path, need: places.need, options: places.reading })
}

/// Refuses sequences that are longer than the model's.
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
