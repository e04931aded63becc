//! What leaves the house: a model in the formats of other programs.
//!
//! ```text
//!  model folder ─ source ─▶ engine │ compressed │ bitmask │ onnx │ dense ─▶ aside ─ verify ─▶ in place ─ measure ─▶ sizes
//! ```
//!
//! - [`source`]: the model with its scales;
//! - [`compressed`]: INT8 as vLLM and `transformers` read it; [`bitmask`]: pruned matrices as bits and what is left;
//!   [`onnx`]: a graph with its roundings; beside them the dense folder, and the file of [`crate::infer`];
//! - [`tensors`]: safetensors files;
//! - [`verify`]: what was written is read from the disk, by other code, and must say what the model says;
//! - [`place`]: only then it gets the name that was asked for;
//! - [`measure`]: its bytes, beside those of the dense model; [`random`] makes models to measure.

pub mod bitmask;
pub mod compressed;
pub mod measure;
pub mod onnx;
pub mod place;
pub mod random;
pub mod source;
pub mod tensors;
pub mod verify;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Code, Diagnostic, Severity, Sources};
use crate::files;
use crate::infer::Model;
use crate::infer::file::layout::{Directory, Head};
use crate::infer::pack::{self, Precision};
use crate::output::sizes::{self, Packed, Sizes};

use place::Aside;
use source::Source;
use verify::{Tolerance, answers, apart, differs, evaluated, questions};

/// A format that a model is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One file for this program's own runtime.
    Engine,
    /// A Hugging Face folder with 32-bit floats.
    Dense,
    /// INT8 in a Hugging Face folder.
    CompressedTensors,
    /// A folder with bitmasks.
    SparseBitmask,
    /// One file for ONNX Runtime.
    Onnx,
}

impl Format {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Engine => "engine",
            Format::Dense => "dense",
            Format::CompressedTensors => "compressed-tensors",
            Format::SparseBitmask => "sparse-bitmask",
            Format::Onnx => "onnx",
        }
    }

    /// What the name of its file or folder ends with.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Engine => ".obert-engine",
            Format::Dense => "-dense",
            Format::CompressedTensors => "-compressed-tensors",
            Format::SparseBitmask => "-sparse-bitmask",
            Format::Onnx => ".onnx",
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(self) -> bool {
        !matches!(self, Format::Engine | Format::Onnx)
    }
}

/// What is written, and how.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The model's folder.
    pub model: &'a Path,
    /// The format.
    pub format: Format,
    /// Where to.
    pub out: &'a Path,
    /// What the engine computes with.
    pub precision: Option<Precision>,
    /// Whether weights that have no scales are rounded.
    pub round_weights: bool,
    /// Whether what was written is read and asked before it is put in place.
    pub verify: bool,
    /// Whether an export that is there already is replaced.
    pub force: bool,
}

/// What was written.
#[derive(Debug)]
pub struct Exported {
    /// Its bytes, with those of the dense model.
    pub sizes: Sizes,
    /// What was found to agree, in a sentence; `None` if nothing was asked.
    pub verified: Option<String>,
    /// What the format leaves out.
    pub warnings: Vec<Diagnostic>,
    /// What an engine file holds.
    pub directory: Option<Directory>,
}

/// Writes a model in a format: aside first, then read again and compared, then put in place.
///
/// # Errors
/// A folder that is no model, a model that the format cannot hold, a place that cannot be written, or a file that
/// does not say what the model says.
pub fn export(request: &Request, sources: &mut Sources) -> Result<Exported, Vec<Diagnostic>> {
    let one = |d: Diagnostic| vec![d];
    let mut source = Source::read(request.model, sources)?;
    if request.round_weights && source.quantization.is_none() {
        source.round_weights();
    }
    // A language model's own last matrix has no place in the table of parameters: no format would hold it.
    let bias = source.config.family().name("cls.predictions.bias");
    if let (Some(unusable), Some(_)) = (&source.unusable_head, source.table.find(&bias)) {
        return Err(one(unusable.clone()));
    }
    if let Some(lost) = source.table.iter().find(|p| source.values(&p.name).is_empty()) {
        if let Some(unusable) = &source.unusable_head {
            return Err(one(unusable.clone()));
        }
        return Err(one(unsupported(
            &source,
            request.format,
            &format!("it has no head: `{}` is missing", lost.name),
        )));
    }
    let aside = Aside::begin(request.out, request.force).map_err(one)?;
    let mut work = Work { request, source: &source, aside: &aside, warnings: Vec::new(), directory: None };
    let verified = match request.format {
        Format::Engine => work.engine(sources)?,
        Format::Dense => work.dense().map_err(one)?,
        Format::CompressedTensors => work.compressed().map_err(one)?,
        Format::SparseBitmask => work.bitmask(sources)?,
        Format::Onnx => work.onnx().map_err(one)?,
    };
    let (warnings, directory) = (work.warnings, work.directory);
    let sizes = measured(request, &source, &aside).map_err(one)?;
    if request.format.is_folder() {
        sizes.write(&aside.folder().join(sizes::FILE)).map_err(one)?;
        aside.place_folder().map_err(one)?;
    } else {
        aside.place_file().map_err(one)?;
        if request.format == Format::Onnx {
            place::place_tokenizer(request.model, request.out).map_err(one)?;
        }
        sizes.write(&beside(request.out)).map_err(one)?;
    }
    Ok(Exported { sizes, verified, warnings, directory })
}

/// Where the sizes of a file are written.
pub fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    file.with_file_name(format!("{name}.{}", sizes::FILE))
}

/// The sizes of what lies aside. A run's folder gets to know them too, for its report.
fn measured(request: &Request, source: &Source, aside: &Aside) -> Result<Sizes, Diagnostic> {
    let written = if request.format.is_folder() { aside.folder().to_owned() } else { aside.file() };
    let size = measure::written(request.format, &written)?;
    let name = request.out.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    let packed = Packed { format: request.format.name().to_owned(), name, size };
    let mut sizes = Sizes::new(measure::dense(source)?, measure::counted(source));
    sizes.add(packed.clone());
    if request.model.join("run.jsonl").is_file() {
        // Older rows stay; a file of another version is written anew.
        let mut known = sizes::of_folder(request.model).ok().flatten().unwrap_or_else(|| sizes.clone());
        (known.dense, known.counted) = (sizes.dense, sizes.counted);
        known.add(packed);
        known.write(&request.model.join(sizes::FILE))?;
    }
    Ok(sizes)
}

/// A model that a format cannot hold.
fn unsupported(source: &Source, format: Format, why: &str) -> Diagnostic {
    let message = format!("`{}` cannot be written as {}: {why}", source.path.display(), format.name());
    Diagnostic::unlocated(Code::ExportUnsupported, message)
        .help("BERTs that answer questions or label texts leave in every format; other models as `--as dense` or `--as sparse-bitmask`")
}

/// One export at work.
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
        if let Some(unusable) = &self.source.unusable_head {
            return Err(unusable.clone());
        }
        let family = self.source.config.family();
        let why = match family {
            crate::params::Family::Bert => "it predicts masked tokens".to_owned(),
            other => format!("it is of the family `{}`", other.model_type()),
        };
        self.source.head.as_ref().ok_or_else(|| unsupported(self.source, self.request.format, &why))
    }

    fn config(&self, key: Option<(&str, Value)>) -> Result<(), Diagnostic> {
        let mut config: Map<String, Value> = self.source.written.clone();
        for stale in [compressed::CONFIG, bitmask::CONFIG] {
            config.shift_remove(stale);
        }
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
        let image = match self.source.files.is_empty() {
            false => pack::pack(self.request.model, self.request.precision, sources)?,
            true => {
                return Err(one(unsupported(self.source, Format::Engine, "it is a folder of bitmasks")
                    .help("write it `--as dense` first, and pack that")));
            }
        };
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
        let verbatim = self.source.quantization.is_none() && self.source.files.len() == 1;
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

    fn bitmask(&mut self, sources: &mut Sources) -> Result<Option<String>, Vec<Diagnostic>> {
        let one = |d: Diagnostic| vec![d];
        let to = self.aside.folder().join(bitmask::FILE);
        tensors::write(&to, &bitmask::tensors(self.source)).map_err(one)?;
        self.config(Some((bitmask::CONFIG, bitmask::described(self.source)))).map_err(one)?;
        self.aside.take_along(self.request.model).map_err(one)?;
        let scales = crate::params::quantization::FILE;
        if let Some(quantization) = &self.source.quantization {
            let text = serde_json::to_string(quantization).unwrap_or_default();
            let path = self.aside.folder().join(scales);
            files::write_whole(&path, format!("{text}\n").as_bytes()).map_err(one)?;
        }
        if !self.request.verify {
            return Ok(None);
        }
        let again = Source::read(self.aside.folder(), sources)?;
        self.equal_floats(|name| again.values(name).to_vec(), |name| self.source.values(name).to_vec())
            .map_err(one)?;
        let Some(head) = &self.source.head else { return Ok(Some(WEIGHTS.to_owned())) };
        let asked = questions(&self.source.config);
        let logits = |source: &Source| {
            let scales = source.quantization.as_ref();
            answers(verify::model(source, head, scales, &|name| source.values(name).to_vec())?, &asked)
        };
        equal_logits(&logits(&again).map_err(one)?, &logits(self.source).map_err(one)?).map(Some).map_err(one)
    }

    fn compressed(&mut self) -> Result<Option<String>, Diagnostic> {
        let head = self.head()?;
        let written = compressed::tensors(self.source, self.request.round_weights)?;
        // Scales that fit each other: what the runtime refuses, no other should get.
        let scales = self.source.quantization.as_ref();
        let whole = verify::model(self.source, head, scales, &|name| self.source.values(name).to_vec())?;
        let kept = verify::model(self.source, head, Some(&written.kept), &|name| self.source.seen(name))?;
        if let Some(name) = written.widened.first() {
            let count = written.widened.len();
            let others = if count == 1 { String::new() } else { format!(" and {} others", count - 1) };
            let message = format!("`{name}`{others} of fewer than 8 bits: a weight takes 8 there");
            self.warn(
                Code::BitsWidened,
                message,
                "their values are the same; an engine file or a bitmask is smaller",
            );
        }
        let asked = questions(&self.source.config);
        let expected = answers(kept, &asked)?;
        let (most, _) = apart(&answers(whole, &asked)?, &expected);
        let left_out = scales.is_some_and(|s| s.activations.len() > written.kept.activations.len());
        if left_out {
            let message = format!(
                "the products of attention stay floats there: logits lie up to {most:.2e} from the trained model's"
            );
            let help =
                "the layout knows the inputs of linear layers alone; `--as onnx` and `--as engine` keep all";
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
        let whole = verify::model(self.source, head, scales, &|name| self.source.values(name).to_vec())?;
        let bytes = onnx::bytes(self.source, head, self.request.out)?;
        files::write_whole(&self.aside.file(), &bytes)?;
        drop(bytes);
        if !self.request.verify {
            return Ok(None);
        }
        verify::constants(&self.aside.file(), self.source)?;
        let asked = questions(&self.source.config);
        let expected = answers(whole, &asked)?;
        let tolerance = match scales {
            None => Tolerance::of_floats(&expected),
            Some(_) => {
                let floats = verify::model(self.source, head, None, &|name| self.source.seen(name))?;
                Tolerance::of_steps(&expected, &answers(floats, &asked)?)
            }
        };
        let mut worst = (0.0f32, 0.0f32);
        for together in [false, true] {
            let (most, mean) = apart(&evaluated(&self.aside.file(), &asked, together)?, &expected);
            if most > tolerance.most || mean > tolerance.mean {
                let how = if together { "padded " } else { "" };
                return Err(differs(format!(
                    "the {how}logits of the ONNX file lie {most:.2e} from the model's, {mean:.2e} in the mean; \
                     {:.2e} and {:.2e} are allowed",
                    tolerance.most, tolerance.mean
                )));
            }
            worst = (worst.0.max(most), worst.1.max(mean));
        }
        Ok(Some(format!(
            "its weights and scales are the model's; {} logits computed from it lie up to {:.1e} from the model's, {:.1e} in the mean",
            expected.len(),
            worst.0,
            worst.1
        )))
    }

    fn warn(&mut self, code: Code, message: String, help: &str) {
        let mut warning = Diagnostic::unlocated(code, message).help(help);
        warning.severity = Severity::Warning;
        self.warnings.push(warning);
    }

    /// Whether all weights that were read are those that the quantized model sees.
    fn equal_weights(&self, read: impl Fn(&str) -> Vec<f32>) -> Result<(), Diagnostic> {
        self.equal_floats(read, |name| self.source.seen(name))
    }

    fn equal_floats(
        &self,
        read: impl Fn(&str) -> Vec<f32>,
        expected: impl Fn(&str) -> Vec<f32>,
    ) -> Result<(), Diagnostic> {
        let other = self.source.table.iter().find(|p| !bitmask::same(&read(&p.name), &expected(&p.name)));
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
        return Err(differs(format!(
            "what was read from the disk gives other logits, {most:.2e} from the model's"
        )));
    }
    Ok(format!("read from the disk, its {} logits are the model's, bit for bit", got.len()))
}

fn first(diagnostics: Vec<Diagnostic>) -> Diagnostic {
    diagnostics.into_iter().next().unwrap_or_else(|| differs("it cannot be read from the disk".to_owned()))
}
