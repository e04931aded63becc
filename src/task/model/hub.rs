//! Resolves a model's name: a folder, a model in the Hugging Face cache, or one to download from the hub.
//!
//! Only the files that a model needs are downloaded, and only if the cache lacks them. `HF_HOME`, `HF_HUB_CACHE`,
//! `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` have their meaning of `huggingface_hub`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo};

use crate::diag::{Code, Diagnostic, nearest};
use crate::params::builtin::WELL_KNOWN;
use crate::params::{cache, files, sentence_modules};
use crate::text::FILES;

/// Receives the progress of a download: the file, its bytes downloaded, and its size in bytes.
pub type Watch<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// The default of `HF_ENDPOINT`.
const HUB: &str = "https://huggingface.co";

/// The end of the name of a sharded model's index.
const INDEX: &str = ".index.json";

/// The number of times an interrupted download is resumed.
const RETRIES: usize = 2;

/// Returns the folder of a model, downloading it if necessary and neither `offline` nor `HF_HUB_OFFLINE` is set.
///
/// # Errors
/// A name that is neither a folder nor a model's, or a model that is not in the cache and cannot be downloaded.
pub fn resolve(name: &Path, offline: bool, watch: &mut Watch) -> Result<PathBuf, Diagnostic> {
    if name.exists() {
        return Ok(name.to_owned());
    }
    let name = cache::hub_name(name)?;
    let cached = cache::find(name);
    let lacks = match &cached {
        Some(folder) => match cache::lacks(folder) {
            None => return Ok(folder.clone()),
            Some(file) => format!("the cache holds `{name}` without {file}"),
        },
        None => format!("the model `{name}` is not on this machine"),
    };
    if offline || cache::is_offline() {
        let who = if offline { "`--offline`" } else { "`HF_HUB_OFFLINE`" };
        return Err(Diagnostic::unlocated(
            Code::ModelOffline,
            format!("{lacks}, and {who} forbids the network"),
        )
        .help("fetch it once with the network, or give its folder with `--model DIR`"));
    }
    let Some(root) = cache::root() else {
        return Err(Diagnostic::unlocated(
            Code::ModelOffline,
            format!("{lacks}, and there is no cache folder"),
        )
        .help("set `HF_HOME` to a folder"));
    };
    fetch(name, root, watch)
}

/// Downloads the files of a model that the cache lacks.
fn fetch(name: &str, root: PathBuf, watch: &mut Watch) -> Result<PathBuf, Diagnostic> {
    let endpoint = cache::variable("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let shown = endpoint.clone();
    let failed = |file: &str, e: &ApiError| refused(name, file, &shown, e);
    let api = ApiBuilder::from_cache(Cache::new(root.clone()))
        .with_endpoint(endpoint)
        .with_token(token())
        .with_progress(false)
        .with_retries(RETRIES)
        .build()
        .map_err(|e| failed("", &e))?;
    let repository = api.repo(Repo::model(name.to_owned()));
    let info = repository.info().map_err(|e| failed("", &e))?;
    let there: BTreeSet<&str> = info.siblings.iter().map(|file| file.rfilename.as_str()).collect();
    for file in needed(name, &there)? {
        let path = get(&repository, &root, name, file, &failed, watch)?;
        if !file.ends_with(INDEX) {
            continue;
        }
        // A sharded model's index lists its files.
        for part in parts(&path) {
            if !there.contains(part.as_str()) {
                return Err(lacking(name, &part));
            }
            get(&repository, &root, name, &part, &failed, watch)?;
        }
    }
    let folder = cache::find_in(&root, name);
    folder.ok_or_else(|| incomplete(name, "config.json", "it is not in the cache after it was fetched"))
}

/// The files to download, of those that the repository has.
fn needed<'a>(name: &str, there: &BTreeSet<&'a str>) -> Result<Vec<&'a str>, Diagnostic> {
    let one = |file: &str| there.get(file).copied();
    let mut files = vec![one("config.json").ok_or_else(|| lacking(name, "config.json"))?];
    // Safetensors are preferred to pickles.
    let weights = files::NAMES.iter().flatten().find_map(|file| one(file));
    files.push(weights.ok_or_else(|| lacking(name, "model.safetensors"))?);
    let pair = || one("vocab.json").and(one("merges.txt"));
    one("tokenizer.json")
        .or(one("vocab.txt"))
        .or_else(pair)
        .ok_or_else(|| lacking(name, "tokenizer.json"))?;
    // All tokenizer files, as the saved model gets copies of them.
    files.extend(FILES.iter().chain(sentence_modules::FILES).filter_map(|file| one(file)));
    // Weights last, so that other errors are found before the large download.
    files.sort_by_key(|file| weights == Some(file));
    Ok(files)
}

/// The files that an index lists; none if it cannot be read, which is reported where the folder is read.
fn parts(index: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(index).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let map = value.get("weight_map").and_then(|map| map.as_object());
    let names = map.into_iter().flat_map(|map| map.values()).filter_map(|file| file.as_str());
    names.filter(|file| Path::new(file).file_name() == Some(file.as_ref())).map(str::to_owned).collect()
}

/// The path of a file in the cache, downloaded if it is missing.
fn get(
    repository: &ApiRepo,
    root: &Path,
    name: &str,
    file: &str,
    failed: &dyn Fn(&str, &ApiError) -> Diagnostic,
    watch: &mut Watch,
) -> Result<PathBuf, Diagnostic> {
    if let Some(path) =
        cache::find_main(root, name).map(|folder| folder.join(file)).filter(|path| path.exists())
    {
        return Ok(path);
    }
    let mut size = 0;
    let counter = Counter { file, done: 0, all: 0, size: &mut size, watch };
    let path = repository.download_with_progress(file, counter).map_err(|e| failed(file, &e))?;
    let length = std::fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
    if length != size {
        // The next run downloads this file from its beginning.
        let blob = path.canonicalize().unwrap_or_else(|_| path.clone());
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_file(blob);
        return Err(incomplete(name, file, &format!("{length} of {size} bytes arrived")));
    }
    Ok(path)
}

struct Counter<'a, 'b> {
    file: &'a str,
    done: u64,
    all: u64,
    size: &'a mut u64,
    watch: &'a mut Watch<'b>,
}

impl Progress for Counter<'_, '_> {
    fn init(&mut self, size: usize, _: &str) {
        (self.done, self.all) = (0, size as u64);
        *self.size = size as u64;
        (self.watch)(self.file, 0, self.all);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.watch)(self.file, self.done, self.all);
    }

    fn finish(&mut self) {
        (self.watch)(self.file, self.all, self.all);
    }
}

/// The user's token: `HF_TOKEN`, else the one that `hf auth login` saved.
fn token() -> Option<String> {
    let file = cache::folder_variable("HF_TOKEN_PATH");
    let file = file.or_else(|| Some(cache::home()?.join("token")));
    let saved = || std::fs::read_to_string(file?).ok();
    let token = cache::variable("HF_TOKEN").or_else(saved)?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

/// The diagnostic of a failed request to the hub.
fn refused(name: &str, file: &str, endpoint: &str, error: &ApiError) -> Diagnostic {
    let what = if file.is_empty() { format!("`{name}`") } else { format!("{file} of `{name}`") };
    let why = root_cause(error);
    match status(&why) {
        Some(404) => {
            let near = nearest(name, WELL_KNOWN.iter().copied());
            let help = near.map_or("compare the name with the model's page".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            Diagnostic::unlocated(Code::ModelUnknown, format!("{endpoint} has no {what}")).help(help)
        }
        Some(code @ (401 | 403)) => Diagnostic::unlocated(
            Code::ModelRefused,
            format!("{endpoint} does not give {what} without permission (status {code})"),
        )
        .help(
            "is the name right? if it is private or gated, accept its terms on its page and set `HF_TOKEN`",
        ),
        Some(code) => Diagnostic::unlocated(
            Code::HubUnreachable,
            format!("{endpoint} answers status {code} when asked for {what}"),
        )
        .help("try again later, or give a folder with `--model DIR`"),
        None => match error {
            ApiError::TooManyRetries(_) | ApiError::InvalidResume => incomplete(name, file, &why),
            ApiError::IoError(_) => incomplete(name, file, &why),
            _ => Diagnostic::unlocated(
                Code::HubUnreachable,
                format!("{endpoint} cannot be asked for {what}: {why}"),
            )
            .help("is there a network? `--offline` uses folders and the cache alone"),
        },
    }
}

fn root_cause(error: &ApiError) -> String {
    match error {
        ApiError::TooManyRetries(inner) => root_cause(inner),
        ApiError::RequestError(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

/// The HTTP status in the client's message.
fn status(why: &str) -> Option<u16> {
    why.strip_prefix("http status: ")?.split_whitespace().next()?.parse().ok()
}

fn lacking(name: &str, file: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::ModelUnknown, format!("`{name}` holds no {file} on the hub"))
        .help("is it a model for PyTorch? a model needs config.json, model.safetensors and a tokenizer")
}

fn incomplete(name: &str, file: &str, why: &str) -> Diagnostic {
    Diagnostic::unlocated(
        Code::DownloadIncomplete,
        format!("{file} of `{name}` was not fetched to its end: {why}"),
    )
    .help("run the command again: it goes on where the download broke off")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(there: &[&'static str]) -> Result<Vec<&'static str>, Diagnostic> {
        needed("org/model", &there.iter().copied().collect())
    }

    #[test]
    fn only_what_a_model_needs_is_wanted_and_the_weights_come_last() {
        let all = ["README.md", "config.json", "model.safetensors", "onnx/model.onnx", "pytorch_model.bin"];
        let words = ["vocab.txt", "tf_model.h5"];
        let there = [&all[..], &words[..]].concat();
        assert_eq!(wanted(&there).unwrap(), ["config.json", "vocab.txt", "model.safetensors"]);
        let index = "model.safetensors.index.json";
        let parts = ["config.json", index, "vocab.json", "merges.txt", "model-1.safetensors"];
        assert_eq!(wanted(&parts).unwrap(), ["config.json", "vocab.json", "merges.txt", index]);
    }

    #[test]
    fn a_pickle_is_downloaded_where_there_are_no_safetensors() {
        let pickle = ["config.json", "pytorch_model.bin", "vocab.txt"];
        assert_eq!(wanted(&pickle).unwrap(), ["config.json", "vocab.txt", "pytorch_model.bin"]);
        assert_eq!(wanted(&["config.json", "tf_model.h5"]).unwrap_err().code, Code::ModelUnknown);
        assert_eq!(wanted(&["model.safetensors"]).unwrap_err().code, Code::ModelUnknown);
    }

    #[test]
    fn a_status_is_read_from_the_clients_words() {
        assert_eq!(status("http status: 401"), Some(401));
        assert_eq!(status("io: Connection refused"), None);
    }
}
