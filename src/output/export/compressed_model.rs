//! Opening a folder of `--as compressed-tensors` in the runtime.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::compressed::{self, CONFIG, FILE};
use super::source::Source;
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::Model;
use crate::infer::pack::build::{Plan, build};
use crate::infer::pack::describe;
use crate::params::builtin::{self, Head};
use crate::params::{BertConfig, Settings, header};
use crate::text::Tokenizer;

/// Whether the `config.json` of a folder declares this format.
pub fn is_folder(folder: &Path) -> bool {
    written(folder).is_some_and(|config| config[CONFIG]["quant_method"] == "compressed-tensors")
}

fn written(folder: &Path) -> Option<Map<String, Value>> {
    let text = std::fs::read_to_string(folder.join("config.json")).ok()?;
    let config: Map<String, Value> = serde_json::from_str(&text).ok()?;
    config.contains_key(CONFIG).then_some(config)
}

/// Opens such a folder: INT8 weights, scales, tokenizer and settings.
///
/// # Errors
/// A file that is missing or damaged, or a model that the runtime cannot run.
pub fn open(folder: &Path, sources: &mut Sources) -> Result<Model, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let refused = |why: String| {
        let message = format!("cannot use `{}`: {why}", folder.display());
        one(Diagnostic::unlocated(Code::ExportNotReadable, message)
            .help("write it again: `obertc pack MODEL --as compressed-tensors`"))
    };
    let mut written = written(folder).ok_or_else(|| refused("it has no config.json".into()))?;
    let described = written.shift_remove(CONFIG);
    let config: BertConfig = serde_json::from_value(Value::Object(written.clone()))
        .map_err(|e| refused(format!("config.json: {e}")))?;
    written.extend(described.map(|scheme| (CONFIG.to_owned(), scheme)));
    let headers = header::read(&folder.join(FILE)).map_err(one)?;
    let rows = |name: &str| headers.iter().find(|t| t.name == name).and_then(|t| t.shape.first().copied());
    let kind = match rows(&config.family().name("classifier.weight")) {
        Some(labels) => Head::Classification { labels },
        None => Head::QuestionAnswering,
    };
    let table = builtin::table(&config.architecture(), kind);
    let head =
        describe::head(&config, kind).ok_or_else(|| refused("the runtime has no head for it".into()))?;
    let source = Source {
        path: folder.to_owned(),
        config,
        written,
        table,
        tensors: BTreeMap::new(),
        quantization: None,
        files: Vec::new(),
        head: None,
        unusable_head: None,
        not_computed: None,
    };
    let (values, scales) = compressed::read(folder, &source).map_err(one)?;
    let tokenizer = Tokenizer::from_folder(folder, sources).map_err(one)?.json();
    let tensor = |name: &str| Ok(values.get(name).cloned().unwrap_or_default());
    let image = build(&source.config, head, Some(tokenizer.as_bytes()), &Plan::Static(scales), &tensor);
    let mut image = image.map_err(one)?;
    if let Some(settings) = Settings::read(folder, sources).map_err(one)? {
        image.set_settings(settings);
    }
    Model::from_bytes(&image.bytes(), &folder.display().to_string()).map_err(one)
}
