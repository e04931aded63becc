//! Exporting a model to the formats of other programs.
//!
//! ```text
//!  model folder ─ source ─▶ engine │ compressed │ onnx │ dense ─▶ temporary ─ verify ─▶ renamed ─ measure ─▶ sizes
//! ```
//!
//! - [`format`]: the formats; [`source`]: the model with its scales;
//! - [`compressed`]: INT8 as vLLM and `transformers` read it; [`onnx`]: a graph for ONNX Runtime. The other formats are
//!   a dense Hugging Face folder and the engine file of [`crate::infer`];
//! - [`tensors`]: safetensors files;
//! - [`verify`]: comparing the written file with the model;
//! - [`place`]: temporary files, renamed after verification;
//! - [`measure`]: the bytes of an export and of the dense model; [`random`]: models of random weights.

pub mod compressed;
pub mod compressed_model;
pub mod format;
pub mod measure;
pub mod onnx;
pub mod place;
pub mod random;
pub mod source;
pub mod tensors;
pub mod verify;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Severity, Sources, counted};
use crate::files;
use crate::infer::Model;
use crate::infer::file::layout::{Directory, Head};
use crate::infer::pack::{self, Precision, describe};
use crate::output::sizes::{self, Packed, Sizes};
use crate::params::Settings;

use format::Format;
use place::Aside;
use source::Source;
use verify::{answers, apart, differs, questions, same};

/// The inputs of an export.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The model's folder.
    pub model: &'a Path,
    /// The format.
    pub format: Format,
    /// The output file or folder.
    pub out: &'a Path,
    /// The precision of the runtime, for an engine file.
    pub precision: Option<Precision>,
    /// Whether weights without scales are quantized.
    pub quantize_weights: bool,
    /// Whether the output is read and compared before it is renamed into place.
    pub verify: bool,
    /// The settings that are saved with the export (`obert.json`).
    pub settings: Option<&'a Settings>,
    /// Whether an existing export is replaced.
    pub force: bool,
}

/// The result of an export.
#[derive(Debug)]
pub struct Exported {
    /// Its sizes, with those of the dense model.
    pub sizes: Sizes,
    /// The result of verification in a sentence; `None` if the export was not verified.
    pub verified: Option<String>,
    /// Warnings about parts of the model that the format leaves out.
    pub warnings: Vec<Diagnostic>,
    /// The result of the quality gate in a sentence, if there is one.
    pub accepted: Option<String>,
    /// The directory of an engine file.
    pub directory: Option<Directory>,
}

/// Decides whether an export at a temporary path is put in place, and says why in a sentence.
pub type Gate<'a> = &'a mut dyn FnMut(&Path) -> Result<String, Diagnostic>;

/// Writes a model in a format to a temporary place, reads and compares it, and renames it if the `gate` accepts it.
///
/// # Errors
/// A folder that is no model, a model that the format cannot represent, an output that cannot be written, an export
/// that differs from the model, or that the gate refuses.
pub fn export(
    request: &Request,
    sources: &mut Sources,
    gate: Option<Gate<'_>>,
) -> Result<Exported, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let mut source = Source::read(request.model, sources)?;
    if request.quantize_weights && source.quantization.is_none() {
        source.quantize_weights();
    }
    // An MLM decoder that is not tied to the word embeddings is not in the parameter table, and no format can hold it.
    let bias = source.config.family().name("cls.predictions.bias");
    if let (Some(unusable), Some(_)) = (&source.unusable_head, source.table.find(&bias)) {
        return Err(one(unusable.clone()));
    }
    if let Some(lost) = source.table.iter().find(|p| source.values(&p.name).is_empty()) {
        if let Some(unusable) = &source.unusable_head {
            return Err(one(unusable.clone()));
        }
        let why = format!("it has no head: `{}` is missing", lost.name);
        return Err(one(unsupported(&source, request.format, &why)
            .help("train a head with `obertc run`, and pack the folder of that run")));
    }
    let aside = Aside::begin(request.out, request.force).map_err(one)?;
    let mut work = Work { request, source: &source, aside: &aside, warnings: Vec::new(), directory: None };
    let verified = match request.format {
        Format::Engine => work.engine(sources)?,
        Format::Dense => work.dense().map_err(one)?,
        Format::CompressedTensors => work.compressed().map_err(one)?,
        Format::Onnx => work.onnx().map_err(one)?,
    };
    let (warnings, directory) = (work.warnings, work.directory);
    let sizes = measured(request, &source, &aside).map_err(one)?;
    let is_folder = request.format.is_folder();
    if let Some(settings) = request.settings.filter(|_| is_folder) {
        settings.write(aside.folder()).map_err(one)?;
    }
    let written = if is_folder { aside.folder().to_owned() } else { aside.file() };
    let accepted = gate.map(|gate| gate(&written)).transpose().map_err(one)?;
    if is_folder {
        sizes.write(&aside.folder().join(sizes::FILE)).map_err(one)?;
        aside.place_folder().map_err(one)?;
    } else {
        aside.place_file().map_err(one)?;
        if request.format == Format::Onnx {
            place::place_tokenizer(request.model, request.out).map_err(one)?;
        }
        sizes.write(&beside(request.out)).map_err(one)?;
    }
    Ok(Exported { sizes, verified, accepted, warnings, directory })
}

/// The path of `sizes.json` for an export.
pub fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    file.with_file_name(format!("{name}.{}", sizes::FILE))
}

/// The sizes of the export. They are also written into a run's folder, for its report.
fn measured(request: &Request, source: &Source, aside: &Aside) -> Result<Sizes, Diagnostic> {
    let written = if request.format.is_folder() { aside.folder().to_owned() } else { aside.file() };
    let size = measure::written(request.format, &written)?;
    let name = request.out.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let packed = Packed { format: request.format.name().to_owned(), name, size };
    let mut sizes = Sizes::new(measure::dense(source)?, measure::counted(source));
    sizes.add(packed.clone());
    if request.model.join("run.jsonl").is_file() {
        // Rows of other formats stay; a file of another version is replaced.
        let mut known = sizes::of_folder(request.model).ok().flatten().unwrap_or_else(|| sizes.clone());
        (known.dense, known.counted) = (sizes.dense, sizes.counted);
        known.add(packed);
        known.write(&request.model.join(sizes::FILE))?;
    }
    Ok(sizes)
}

/// The diagnostic for a model that the format cannot represent.
fn unsupported(source: &Source, format: Format, why: &str) -> Diagnostic {
    let message = format!("`{}` cannot be written as {}: {why}", source.path.display(), format.name());
    Diagnostic::unlocated(Code::ExportUnsupported, message).help(
        "models that predict masked tokens are written with `--as dense` alone; others have every format",
    )
}

/// An export in progress.
struct Work<'a> {
    request: &'a Request<'a>,
    source: &'a Source,
    aside: &'a Aside,
    warnings: Vec<Diagnostic>,
    directory: Option<Directory>,
}

impl<'a> Work<'a> {
    /// The head, for formats that depend on it.
    fn head(&self) -> Result<&'a Head, Diagnostic> {
        if let Some(why) = self.source.unusable_head.as_ref().or(self.source.not_computed.as_ref()) {
            return Err(why.clone());
        }
        self.source
            .head
            .as_ref()
            .ok_or_else(|| unsupported(self.source, self.request.format, describe::NO_HEAD))
    }

    fn config(&self, key: Option<(&str, Value)>) -> Result<(), Diagnostic> {
        let mut config: Map<String, Value> = self.source.written.clone();
        config.shift_remove(compressed::CONFIG);
        // Weights are written as 32-bit floats, of whatever type they were.
        for name in ["dtype", "torch_dtype"] {
            if let Some(kind) = config.get_mut(name) {
                *kind = "float32".into();
            }
        }
        if let Some((name, value)) = key {
            config.insert(name.to_owned(), value);
        }
        let text = serde_json::to_string_pretty(&config).unwrap_or_default();
        files::write_whole(&self.aside.folder().join("config.json"), format!("{text}\n").as_bytes())
    }

    fn engine(&mut self, sources: &mut Sources) -> Result<Option<String>, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
        let mut image = pack::pack(self.request.model, self.request.precision, sources)?;
        if let Some(settings) = self.request.settings {
            image.set_settings(settings.clone());
        }
        image.save(&self.aside.file()).map_err(one)?;
        self.directory = Some(image.directory().clone());
        if !self.request.verify {
            return Ok(None);
        }
        let asked = questions(&self.source.config);
        let packed = Model::from_bytes(&image.bytes(), "the packed model").map_err(one)?;
        let expected = answers(packed, &asked).map_err(one)?;
        drop(image);
        let got = answers(Model::open(&self.aside.file()).map_err(one)?, &asked).map_err(one)?;
        equal_logits(&got, &expected).map(Some).map_err(one)
    }

    fn dense(&mut self) -> Result<Option<String>, Diagnostic> {
        let to = self.aside.folder().join(compressed::FILE);
        let verbatim = match &self.source.files[..] {
            [file] if self.source.quantization.is_none() => {
                file.extension().is_some_and(|e| e == "safetensors")
            }
            _ => false,
        };
        if verbatim {
            self.aside.copy(&self.source.files[0], compressed::FILE)?;
            self.aside.copy(&self.source.path.join("config.json"), "config.json")?;
        } else {
            let raw = |name: &str, shape: &[usize]| tensors::Raw::floats(shape, &self.source.seen(name));
            let all = self.source.table.iter().map(|p| (p.name.clone(), raw(&p.name, &p.shape)));
            tensors::write(&to, &all.collect())?;
            self.config(None)?;
        }
        self.aside.take_along(self.request.model)?;
        if !self.request.verify {
            return Ok(None);
        }
        let again = Source::read(self.aside.folder(), &mut Sources::new()).map_err(first)?;
        self.equal_weights(|name| again.values(name).to_vec())?;
        let Some(head) = &self.source.head else { return Ok(Some(WEIGHTS.to_owned())) };
        let asked = questions(&self.source.config);
        let seen = |name: &str| self.source.seen(name);
        let expected = answers(verify::model(self.source, head, None, &seen)?, &asked)?;
        let read = |name: &str| again.values(name).to_vec();
        let got = answers(verify::model(&again, head, None, &read)?, &asked)?;
        equal_logits(&got, &expected).map(Some)
    }

    fn compressed(&mut self) -> Result<Option<String>, Diagnostic> {
        let head = self.head()?;
        let written = compressed::tensors(self.source, self.request.quantize_weights)?;
        // Scales that do not fit each other are refused by the runtime, and so here.
        let scales = self.source.quantization.as_ref();
        let whole = verify::model(self.source, head, scales, &|name| self.source.values(name).to_vec())?;
        let kept = verify::model(self.source, head, Some(&written.kept), &|name| self.source.seen(name))?;
        if let Some(name) = written.widened.first() {
            let others = match written.widened.len() - 1 {
                0 => String::new(),
                others => format!(" and {}", counted(others, "other", "others")),
            };
            let message = format!("`{name}`{others} of fewer than 8 bits: a weight takes 8 there");
            self.warn(Code::BitsWidened, message, "their values are the same; an engine file is smaller");
        }
        let asked = questions(&self.source.config);
        let expected = answers(kept, &asked)?;
        let (most, _) = apart(&answers(whole, &asked)?, &expected);
        let left_out = scales.is_some_and(|s| s.activations.len() > written.kept.activations.len());
        if left_out {
            let message = format!(
                "the matrix products of attention stay float32 there: logits differ by up to {most:.2e} from the trained model's"
            );
            let help = "the format has scales for the inputs of linear layers only; `--as onnx` and `--as engine` quantize all";
            self.warn(Code::PartsLeftOut, message, help);
        }
        tensors::write(&self.aside.folder().join(compressed::FILE), &written.tensors)?;
        self.config(Some((compressed::CONFIG, written.scheme.clone())))?;
        self.aside.take_along(self.request.model)?;
        if !self.request.verify {
            return Ok(None);
        }
        let (values, scales) = compressed::read(self.aside.folder(), self.source)?;
        let read = |name: &str| values.get(name).cloned().unwrap_or_default();
        self.equal_weights(read)?;
        let got = answers(verify::model(self.source, head, Some(&scales), &read)?, &asked)?;
        equal_logits(&got, &expected).map(Some)
    }

    fn onnx(&mut self) -> Result<Option<String>, Diagnostic> {
        let head = self.head()?;
        let scales = self.source.quantization.as_ref();
        // Scales that do not fit each other are refused by the runtime, and so here.
        verify::model(self.source, head, scales, &|name| self.source.values(name).to_vec())?;
        let bytes = onnx::bytes(self.source, head, self.request.out)?;
        files::write_whole(&self.aside.file(), &bytes)?;
        drop(bytes);
        if !self.request.verify {
            return Ok(None);
        }
        verify::constants(&self.aside.file(), self.source)?;
        Ok(Some("its weights and scales, read from the disk, are the model's, bit for bit".to_owned()))
    }

    fn warn(&mut self, code: Code, message: String, help: &str) {
        let mut warning = Diagnostic::unlocated(code, message).help(help);
        warning.severity = Severity::Warning;
        self.warnings.push(warning);
    }

    /// Whether the weights equal those of the quantized model.
    fn equal_weights(&self, read: impl Fn(&str) -> Vec<f32>) -> Result<(), Diagnostic> {
        let other = self.source.table.iter().find(|p| !same(&read(&p.name), &self.source.seen(&p.name)));
        match other {
            None => Ok(()),
            Some(p) => Err(differs(format!("`{}` came back from the disk with other weights", p.name))),
        }
    }
}

const WEIGHTS: &str = "all weights read from the disk are the model's";

fn equal_logits(got: &[f32], expected: &[f32]) -> Result<String, Diagnostic> {
    if got.len() != expected.len() || got.iter().zip(expected).any(|(a, b)| a.to_bits() != b.to_bits()) {
        let (most, _) = apart(got, expected);
        return Err(differs(format!("the file on the disk gives other logits, {most:.2e} from the model's")));
    }
    Ok(format!("read from the disk, its {} logits are the model's, bit for bit", got.len()))
}

fn first(diagnostics: Vec<Diagnostic>) -> Diagnostic {
    diagnostics.into_iter().next().unwrap_or_else(|| differs("it cannot be read from the disk".to_owned()))
}
