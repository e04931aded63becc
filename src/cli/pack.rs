//! `obertc pack`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tempfile::TempDir;

use super::settings_args::SettingsArgs;
use super::{FINE, USAGE, fail, fetching, print, print_diagnostics};
use crate::api::settings;
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::file::layout::{Directory, Form};
use crate::infer::pack::Precision;
use crate::infer::pack::random::Random;
use crate::output::export::format::Format;
use crate::output::export::{self, Exported, Request};
use crate::output::figures::bytes;
use crate::output::sizes::{Size, Sizes};
use crate::params::Settings;
use crate::params::builtin::{WELL_KNOWN, well_known};

#[derive(Args, Debug)]
pub struct PackArgs {
    /// A model folder, or its name on the hub
    #[arg(value_name = "MODEL", required_unless_present = "shape", conflicts_with = "shape")]
    model: Option<PathBuf>,
    /// The format
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    format: PackFormat,
    /// Where it is written: a file, or a folder [default: the model's name with the format's ending]
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Precision, for `--as engine` [default: int8 if it was trained with quantization, else f32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
    /// Quantize the encoder's weights of a model without scales to INT8, for `--as compressed-tensors`
    #[arg(long)]
    quantize_weights: bool,
    /// Read the output from the disk and compare it with the model; on by default
    #[arg(long, overrides_with = "no_verify")]
    verify: bool,
    /// Do not compare the output with the model
    #[arg(long)]
    no_verify: bool,
    /// Replace an existing export
    #[arg(long)]
    force: bool,
    /// Use no network: the model is a folder, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
    /// Write a model of random weights with the shape of a well-known one, pruned and quantized to 8 bits, to see its size
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// The sparsity of the random model, in blocks of four weights
    #[arg(long, requires = "shape", value_name = "SHARE", default_value_t = 0.9)]
    sparsity: f64,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A packed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PackFormat {
    /// A file for `obertc predict`, `obertc bench` and the library (`obert::runtime`)
    Engine,
    /// A Hugging Face folder, with 32-bit floats
    Dense,
    /// A Hugging Face folder in INT8, for vLLM and transformers
    CompressedTensors,
    /// A file for ONNX Runtime, quantized layers with QuantizeLinear and DequantizeLinear
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

pub fn run(args: &PackArgs) -> i32 {
    let mut sources = Sources::new();
    let format = Format::from(args.format);
    if let Some(wrong) = without_effect(args, format) {
        print_diagnostics(&[wrong], &sources);
        return USAGE;
    }
    let (model, _scratch) = match folder_of(args) {
        Ok(found) => found,
        Err(diagnostic) => return fail(&[diagnostic], &sources),
    };
    // The folder of a cached model is called by its revision.
    let given = args.model.as_deref().unwrap_or(&model);
    let name = args.shape.as_deref().map_or(given, Path::new);
    let out = args.out.clone().unwrap_or_else(|| named(name, format.ending()));
    let given = args.settings.settings();
    let settings = match made_with(&given, &model, &mut sources) {
        Ok(settings) => settings,
        Err(diagnostics) => return fail(&diagnostics, &sources),
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
    match export::export(&request, &mut sources) {
        Ok(exported) => {
            print_diagnostics(&exported.warnings, &sources);
            print(&summary(&out, &exported));
            FINE
        }
        Err(diagnostics) => fail(&diagnostics, &sources),
    }
}

/// The folder of the model; of a random one, which is removed with the second value.
fn folder_of(args: &PackArgs) -> Result<(PathBuf, Option<TempDir>), Diagnostic> {
    let Some(name) = &args.shape else {
        let given = args.model.clone().unwrap_or_default();
        return Ok((fetching::find(&given, args.offline, false)?, None));
    };
    let refused = |what: String, help: String| Err(Diagnostic::unlocated(Code::FlagValue, what).help(help));
    let Some(shape) = well_known(name) else {
        return refused(
            format!("`{name}` is no well-known model"),
            format!("one of {}", WELL_KNOWN.join(", ")),
        );
    };
    if !(0.0..1.0).contains(&args.sparsity) {
        return refused(
            format!("the sparsity {} is not within 0..1", args.sparsity),
            "as `--sparsity 0.9`".into(),
        );
    }
    let scratch = tempfile::tempdir().map_err(|e| {
        Diagnostic::unlocated(Code::WriteFailed, format!("cannot make a temporary folder: {e}"))
            .help("is there space, and may you write there?")
    })?;
    export::random::folder(&Random { shape, sparsity: args.sparsity, seed: 1 }, scratch.path())?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}

/// What the model was made with: what is given, else what is saved. `None` if nothing is known.
fn made_with(
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

/// A flag for another format.
fn without_effect(args: &PackArgs, format: Format) -> Option<Diagnostic> {
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
    }
    match &exported.verified {
        Some(verified) => text.push_str(&format!("  verified: {verified}\n")),
        None => text.push_str("  not verified\n"),
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
    row("if zeros took one bit", counted);
    for file in files {
        row(&file.format, &file.size);
    }
    text
}

/// How many times smaller or larger a size is.
fn compared(ratio: f64) -> String {
    if ratio >= 1.0 { format!("   {ratio:.1}x smaller") } else { format!("   {:.1}x larger", 1.0 / ratio) }
}

/// How many layers have each form.
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

/// The folder's name with an ending, in the current folder.
fn named(model: &Path, ending: &str) -> PathBuf {
    let whole = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
    let name = whole.file_name().map_or("model".into(), |n| n.to_string_lossy().into_owned());
    PathBuf::from(format!("{name}{ending}"))
}
