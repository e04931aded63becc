//! `obertc pack`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{FINE, fail, say};
use crate::diag::{Diagnostic, Sources};
use crate::infer::file::layout::{Directory, Form};
use crate::infer::pack::{self, Precision};

#[derive(Args, Debug)]
pub struct PackArgs {
    /// A model folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// What the file is for
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    format: PackFormat,
    /// Where it is written [default: the folder's name with the format's ending]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What it computes with, for `--as engine` [default: int8 if it was trained for it, else f32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
}

/// A packed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PackFormat {
    /// For `obertc predict`, `obertc bench` and the library `obert::infer`
    Engine,
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
            PrecisionName::F32 => Precision::Floats,
            PrecisionName::Int8 => Precision::Bytes,
        }
    }
}

pub fn run(args: &PackArgs) -> i32 {
    let mut sources = Sources::new();
    let packed = match args.format {
        PackFormat::Engine => engine(args, &mut sources),
    };
    match packed {
        Ok(summary) => {
            say(&summary);
            FINE
        }
        Err(diagnostics) => fail(&diagnostics, &sources),
    }
}

fn engine(args: &PackArgs, sources: &mut Sources) -> Result<String, Vec<Diagnostic>> {
    let out = args.out.clone().unwrap_or_else(|| beside(&args.model, "obert-engine"));
    let image = pack::pack(&args.model, args.precision.map(Precision::from), sources)?;
    image.save(&out).map_err(|d| vec![d])?;
    let size = std::fs::metadata(&out).map_or(0, |m| m.len());
    Ok(format!(
        "{}: {:.1} MiB; {}\n",
        out.display(),
        size as f64 / (1 << 20) as f64,
        forms(image.directory())
    ))
}

/// How many layers have each form.
pub(super) fn forms(directory: &Directory) -> String {
    let count = |form: Form| directory.linears.values().filter(|l| l.form == form).count();
    let named = [
        (count(Form::Blocks), "sparse int8"),
        (count(Form::Dense), "dense int8"),
        (count(Form::Floats), "float32"),
    ];
    let parts = named.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}"));
    format!("linear layers: {}", parts.collect::<Vec<_>>().join(", "))
}

/// A file of the folder's name in the present folder.
fn beside(model: &Path, ending: &str) -> PathBuf {
    let whole = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
    let name = whole.file_name().map_or("model".into(), |n| n.to_string_lossy().into_owned());
    PathBuf::from(format!("{name}.{ending}"))
}
