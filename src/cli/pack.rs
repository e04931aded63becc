//! `obertc pack`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tempfile::TempDir;

#[cfg(feature = "engine")]
use super::progress::Watcher;
use super::settings_args::SettingsArgs;
use super::{FINE, USAGE, fetching, print, print_diagnostics};
#[cfg(feature = "engine")]
use crate::api::quality_gate::QualityGate;
use crate::api::{Error, settings};
use crate::diag::{Code, Diagnostic, Sources, counted};
use crate::infer::file::layout::{Directory, Form};
use crate::infer::pack::Precision;
use crate::infer::pack::random::Random;
use crate::output::export::format::Format;
use crate::output::export::{self, Exported, Request};
use crate::output::numbers::bytes;
use crate::output::sizes::{Size, Sizes};
use crate::params::builtin::{WELL_KNOWN, well_known_config};
use crate::params::{BertConfig, Settings};

#[derive(Args, Debug)]
pub struct PackArgs {
    /// A model folder, or its name on the hub
    #[arg(value_name = "MODEL", required_unless_present = "shape", conflicts_with = "shape")]
    model: Option<PathBuf>,
    /// The format
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    format: PackFormat,
    /// The file or folder to write [default: the model's name with the format's ending]
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Precision, for `--as engine` [default: int8 if it was trained with quantization, else f32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
    /// Quantize the encoder's weights of a model that was not trained with quantization to INT8, for
    /// `--as compressed-tensors`
    #[arg(long)]
    quantize_weights: bool,
    /// Read the output back and compare it with the model (the default)
    #[arg(long, overrides_with = "no_verify")]
    verify: bool,
    /// Do not compare the output with the model
    #[arg(long)]
    no_verify: bool,
    /// Evaluate the model and the export on the dev set of this folder, and do not write an export that is worse
    #[arg(long, value_name = "PATH", conflicts_with = "shape")]
    data: Option<PathBuf>,
    /// How much worse the main metric of the export may be, relative to the model's [default: 1%]
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "shape")]
    max_drop: Option<f64>,
    /// Replace an existing export
    #[arg(long)]
    force: bool,
    /// Do not use the network: the model is a folder, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// Export a model of random weights with the architecture of a well-known one, pruned and quantized to INT8, to see
    /// its size
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// The sparsity of the random model, in the 4-block pattern
    #[arg(long, requires = "shape", value_name = "SHARE", default_value_t = 0.9)]
    sparsity: f64,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A format by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PackFormat {
    /// A file for `obertc predict`, `serve`, `eval` and `bench`, and the library (`obert::runtime`)
    Engine,
    /// A Hugging Face folder in float32
    Dense,
    /// A Hugging Face folder in INT8, for vLLM and transformers
    CompressedTensors,
    /// An ONNX file, quantized layers with QuantizeLinear and DequantizeLinear
    Onnx,
}

impl From<PackFormat> for Format {
    fn from(format: PackFormat) -> Format {
        match format {
            PackFormat::Engine => Format::Engine,
            PackFormat::Dense => Format::Dense,
            PackFormat::CompressedTensors => Format::CompressedTensors,
            PackFormat::Onnx => Format::Onnx,
        }
    }
}

/// A precision by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionName {
    /// 32-bit floats
    F32,
    /// 8-bit integers
    Int8,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Precision {
        match name {
            PrecisionName::F32 => Precision::Float32,
            PrecisionName::Int8 => Precision::Int8,
        }
    }
}

pub fn run(args: &PackArgs) -> Result<i32, Error> {
    let mut sources = Sources::new();
    let format = Format::from(args.format);
    if let Some(wrong) = without_effect(args, format) {
        print_diagnostics(&[wrong], &sources);
        return Ok(USAGE);
    }
    let (model, _scratch) = folder_of(args)?;
    // The output is named after the name as given: the folder of a cached model is named after its revision.
    let given = args.model.as_deref().unwrap_or(&model);
    let name = args.shape.as_deref().map_or(given, Path::new);
    let out = args.out.clone().unwrap_or_else(|| default_out(name, format.ending()));
    let given = args.settings.settings();
    let settings = match resolve_settings(&given, &model, &mut sources) {
        Ok(settings) => settings,
        Err(diagnostics) => return Err(Error::new(diagnostics, sources)),
    };
    let request = Request {
        settings: settings.as_ref(),
        model: &model,
        format,
        out: &out,
        precision: args.precision.map(Precision::from),
        quantize_weights: args.quantize_weights,
        verify: !args.no_verify,
        force: args.force,
    };
    let exported = export(args, given, &request, &mut sources)?;
    print_diagnostics(&exported.warnings, &sources);
    print(&summary(&out, &exported));
    Ok(FINE)
}

/// Writes the export, if it passes the quality gate (where one was asked for).
#[cfg(feature = "engine")]
fn export(
    args: &PackArgs,
    given: Settings,
    request: &Request,
    sources: &mut Sources,
) -> Result<Exported, Error> {
    let mut watcher = Watcher::new(false);
    let gate = match args.data.is_some() || args.max_drop.is_some() {
        false => None,
        true => {
            let most = args.max_drop.unwrap_or(MAX_DROP);
            Some(QualityGate::new(request.model, args.data.clone(), given, most, &mut watcher)?)
        }
    };
    let mut check = |path: &Path| match &gate {
        Some(gate) => gate.check(path, request.out, &mut watcher),
        None => Ok(String::new()),
    };
    let written = export::export(request, sources, gate.is_some().then_some(&mut check));
    written.map_err(|diagnostics| Error::new(diagnostics, std::mem::take(sources)))
}

/// Writes the export. Without the engine there is no evaluation, and so no quality gate.
#[cfg(not(feature = "engine"))]
fn export(
    args: &PackArgs,
    _given: Settings,
    request: &Request,
    sources: &mut Sources,
) -> Result<Exported, Error> {
    if args.data.is_some() || args.max_drop.is_some() {
        let message = "`--data` and `--max-drop` evaluate models, and this build has no engine";
        let refused = Diagnostic::unlocated(Code::FlagValue, message);
        let refused = refused.help("leave them out, or build obertc with its default features");
        return Err(Error::unlocated(refused));
    }
    export::export(request, sources, None)
        .map_err(|diagnostics| Error::new(diagnostics, std::mem::take(sources)))
}

/// The model's folder; for `--shape` a temporary one, which is removed when the second value is dropped.
fn folder_of(args: &PackArgs) -> Result<(PathBuf, Option<TempDir>), Diagnostic> {
    let Some(name) = &args.shape else {
        let given = args.model.clone().unwrap_or_default();
        return Ok((fetching::find(&given, args.offline, false)?, None));
    };
    let config = described(name)?;
    check_sparsity(args.sparsity)?;
    let scratch = tempfile::tempdir().map_err(|e| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot make a temporary folder: {e}"))
            .help("is there space, and may you write there?")
    })?;
    export::random::quantized_folder(&Random { config, sparsity: args.sparsity, seed: 1 }, scratch.path())?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}

/// The configuration of a well-known model.
pub(super) fn described(name: &str) -> Result<BertConfig, Diagnostic> {
    well_known_config(name).ok_or_else(|| {
        Diagnostic::unlocated(Code::FlagValue, format!("`{name}` is no well-known model"))
            .help(format!("one of {}", WELL_KNOWN.join(", ")))
    })
}

/// Refuses a sparsity of `--sparsity` outside `0..1`.
pub(super) fn check_sparsity(sparsity: f64) -> Result<(), Diagnostic> {
    if (0.0..1.0).contains(&sparsity) {
        return Ok(());
    }
    let message = format!("the sparsity {sparsity} is not within 0..1");
    Err(Diagnostic::unlocated(Code::FlagValue, message).help("as `--sparsity 0.9`"))
}

/// The settings that are saved with the export: the given ones, filled up with those saved with the model. `None` if
/// there are none.
fn resolve_settings(
    given: &Settings,
    model: &Path,
    sources: &mut Sources,
) -> Result<Option<Settings>, Vec<Diagnostic>> {
    let saved = settings::saved(model, sources).map_err(|d| vec![d])?;
    if saved.is_none() && *given == Settings::default() {
        return Ok(None);
    }
    let settings = settings::resolve(given, saved.unwrap_or_default());
    let idle = settings.task.map_or(Vec::new(), |task| settings::without_effect(given, task));
    if idle.is_empty() { Ok(Some(settings)) } else { Err(idle) }
}

/// The default of `--max-drop`.
#[cfg(feature = "engine")]
const MAX_DROP: f64 = 0.01;

/// A share such as `1%` or `0.01`.
fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&(value * unit)) => Ok(value * unit),
        _ => Err("it is no share between 0% and 100%, such as `1%`".to_owned()),
    }
}

/// A diagnostic for a flag that is for another format.
fn without_effect(args: &PackArgs, format: Format) -> Option<Diagnostic> {
    if format == Format::Onnx && (args.data.is_some() || args.max_drop.is_some()) {
        let flag = if args.data.is_some() { "--data" } else { "--max-drop" };
        let message = format!("`{flag}` has no effect on `--as onnx`: obert does not compute ONNX files");
        return Some(
            Diagnostic::unlocated(Code::FlagHasNoEffect, message)
                .help("leave it out, and evaluate the file with the Python package `onnxruntime`"),
        );
    }
    let flag = if args.precision.is_some() && format != Format::Engine {
        "--precision"
    } else if args.quantize_weights && format != Format::CompressedTensors {
        "--quantize-weights"
    } else {
        return None;
    };
    let only = if flag == "--precision" { Format::Engine } else { Format::CompressedTensors };
    let message = format!("`{flag}` has no effect on `--as {}`", format.name());
    let help = format!("leave it out; it is for `--as {}`", only.name());
    Some(Diagnostic::unlocated(Code::FlagHasNoEffect, message).help(help))
}

fn summary(out: &Path, exported: &Exported) -> String {
    let Sizes { dense, counted, files, .. } = &exported.sizes;
    let mut text = format!("{}\n", out.display());
    if let Some(directory) = &exported.directory {
        text.push_str(&format!("  {}\n", forms(directory)));
        text.extend(left_out(directory).map(|line| format!("  {line}\n")));
    }
    match &exported.verified {
        Some(verified) => text.push_str(&format!("  verified: {verified}\n")),
        None => text.push_str("  not verified\n"),
    }
    if let Some(accepted) = &exported.accepted {
        text.push_str(&format!("  evaluated: {accepted}\n"));
    }
    text.push_str(&format!("  {:<23}{:>10}{:>10}{:>12}{:>10}\n", "", "bytes", "zstd", "encoder", "zstd"));
    let mut row = |name: &str, size: &Size| {
        let or_dash = |n: Option<u64>| n.map_or("–".to_owned(), |n| bytes(n as usize));
        text.push_str(&format!(
            "  {name:<23}{:>10}{:>10}{:>12}{:>10}{}\n",
            bytes(size.bytes as usize),
            or_dash(size.zstd),
            bytes(size.encoder_bytes as usize),
            or_dash(size.encoder_zstd),
            if size == dense { String::new() } else { compared(size.ratio(dense)) },
        ));
    };
    row("dense float32", dense);
    row("with a bitmask", counted);
    for file in files {
        row(&file.format, &file.size);
    }
    text
}

/// How many times smaller or larger a size is.
fn compared(ratio: f64) -> String {
    if ratio >= 1.0 { format!("   {ratio:.1}x smaller") } else { format!("   {:.1}x larger", 1.0 / ratio) }
}

/// The number of linear layers in each form.
pub(super) fn forms(directory: &Directory) -> String {
    let count = |form: Form| directory.linears.values().filter(|l| l.form == form).count();
    let named = [
        (count(Form::Blocks), "sparse int8"),
        (count(Form::Dense), "dense int8"),
        (count(Form::Float32), "float32"),
    ];
    let parts = named.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}"));
    format!("linear layers: {}", parts.collect::<Vec<_>>().join(", "))
}

/// What the file leaves out of the model; `None` for nothing.
fn left_out(directory: &Directory) -> Option<String> {
    let (heads, neurons) = directory.left_out();
    let heads = counted(heads, "attention head", "attention heads");
    let neurons = counted(neurons, "feed-forward neuron", "feed-forward neurons");
    (directory.left_out() != (0, 0))
        .then(|| format!("left out, because they compute nothing: {heads}, {neurons}"))
}

/// The default output: the model's name with a file extension, in the current folder.
fn default_out(model: &Path, ending: &str) -> PathBuf {
    let whole = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
    let name = whole.file_name().map_or("model".into(), |n| n.to_string_lossy().into_owned());
    PathBuf::from(format!("{name}{ending}"))
}
