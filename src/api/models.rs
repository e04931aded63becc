//! Finding a model by its folder or its name on the hub, for every entry point.

use std::path::Path;
#[cfg(feature = "infer")]
use std::path::PathBuf;
#[cfg(feature = "engine")]
use std::sync::Mutex;

use crate::diag::{Code, Diagnostic, Sources, nearest};
#[cfg(feature = "engine")]
use crate::engine::events::{Observer, Work};
use crate::params::builtin::{Head, WELL_KNOWN, well_known_table};
use crate::params::{ParameterTable, cache, folder};
#[cfg(feature = "engine")]
use crate::task::data::cache::FeatureCache;

/// The names and shapes of a model's parameters, without the network: of a folder, a cached model, or a well-known one.
///
/// # Errors
/// A model that is in none of these places; everything that is wrong with its folder.
pub(crate) fn table(path: &Path, sources: &mut Sources) -> Result<ParameterTable, Vec<Diagnostic>> {
    let name = path.to_string_lossy();
    let of_folder = |sources: &mut Sources| folder::read(path, sources).map(|folder| folder.table);
    if path.exists() || !cache::is_hub_name(&name) {
        return of_folder(sources);
    }
    if let Some(folder) = cache::find(&name) {
        return folder::cached(&folder, sources);
    }
    // The head is replaced by that of the recipe's task.
    if let Some(table) = well_known_table(&name, Head::QuestionAnswering) {
        return Ok(table);
    }
    // A name such as `org/model` is a path if the folder `org` exists.
    let is_path = path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
    let mut wrong = match is_path {
        true => of_folder(sources).err().unwrap_or_default(),
        false => vec![
            Diagnostic::unlocated(
                Code::ModelOffline,
                format!("the model `{name}` is neither a folder nor in the cache"),
            )
            .help("`obertc run` fetches it; `check` and `plan` never use the network"),
        ],
    };
    if let (Some(near), Some(first)) = (nearest(&name, WELL_KNOWN.iter().copied()), wrong.first_mut()) {
        first.help = Some(format!("did you mean the well-known model `{near}`?"));
    }
    Err(wrong)
}

/// The names and shapes of the parameters of a model that a recipe names, if it is on this machine.
pub(crate) fn local_table(name: &str) -> Option<ParameterTable> {
    let sources = &mut Sources::new();
    match Path::new(name).is_dir() {
        true => folder::read(Path::new(name), sources).ok().map(|folder| folder.table),
        false => folder::cached(&cache::find(name)?, sources).ok(),
    }
}

/// Finds a model on this machine. This build has no network.
///
/// # Errors
/// A model that is neither a folder nor in the cache.
#[cfg(all(feature = "infer", not(feature = "engine")))]
pub(crate) fn find(
    name: &Path,
    _offline: bool,
    _progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<PathBuf, Diagnostic> {
    if name.exists() {
        return Ok(name.to_owned());
    }
    let hub_name = cache::hub_name(name)?;
    cache::local(name).ok_or_else(|| {
        let message = format!("the model `{hub_name}` is neither a folder nor in the cache");
        Diagnostic::unlocated(Code::ModelOffline, message)
            .help("give its folder; a build with the default features fetches models by name")
    })
}

/// Finds a model on this machine, or fetches it from the hub; `progress` receives a file's name, its bytes so far and
/// all its bytes.
///
/// # Errors
/// A model that does not exist, or cannot be fetched.
#[cfg(feature = "engine")]
pub(crate) fn find(
    name: &Path,
    offline: bool,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<PathBuf, Diagnostic> {
    crate::task::model::hub::resolve(name, offline, progress)
}

/// The same with the progress reported to an observer.
#[cfg(feature = "engine")]
pub(super) fn find_model(
    name: &Path,
    offline: bool,
    observer: &mut dyn Observer,
) -> Result<PathBuf, Diagnostic> {
    let model = name.display().to_string();
    find(name, offline, &mut |file, done, all| {
        observer.progress(Work::Fetching { file, model: &model }, done, all);
    })
}

/// Tokenizes data (`make`) with the progress reported to an observer; `cache` is the folder of the cache.
#[cfg(feature = "engine")]
pub(crate) fn with_features<R>(
    cache: Option<PathBuf>,
    observer: &mut (impl Observer + Send),
    make: impl FnOnce(&mut FeatureCache) -> R,
) -> R {
    let shared = Mutex::new(observer);
    let progress = |done: usize, total: usize| {
        // Several threads report; one that finds the observer in use skips its report.
        if let Ok(mut observer) = shared.try_lock() {
            observer.progress(Work::Features, done as u64, total as u64);
        }
    };
    make(&mut FeatureCache::new(cache, &progress))
}
