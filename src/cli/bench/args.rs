//! The flags of `obertc bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::pack::PrecisionName;
use super::super::settings_args::SettingsArgs;
use super::super::{Format, eprint, print};
use crate::diag::Diagnostic;

/// Benchmark inference on the CPU: this runtime, and another program in turn.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// A model folder, its name on the hub, or a file that `obertc pack --as engine` wrote
    #[arg(value_name = "MODEL", required_unless_present = "shape", conflicts_with = "shape")]
    pub(super) model: Option<PathBuf>,
    /// Do not use the network: the model is a folder or a file, or in the Hugging Face cache
    #[arg(long)]
    pub(super) offline: bool,
    /// Precision of a model folder [default: both f32 and int8]
    #[arg(long, value_enum, value_name = "PRECISION", conflicts_with = "shape")]
    pub(super) precision: Option<PrecisionName>,
    /// Benchmark models of random weights with the architecture of a well-known one
    #[arg(long, value_name = "NAME")]
    pub(super) shape: Option<String>,
    /// Numbers of encoder layers of the random models; the dense baseline has the first of them [default: those of
    /// `--shape`]
    #[arg(long, value_name = "LIST", requires = "shape", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=96))]
    pub(super) layers: Vec<u64>,
    /// Sparsities of the random models, in the 4-block pattern
    #[arg(long, value_name = "SHARES", requires = "shape", value_delimiter = ',', default_values_t = [0.9])]
    pub(super) sparsity: Vec<f64>,
    /// Batch sizes
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1], value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub(super) batch: Vec<u64>,
    /// Sequence lengths in tokens [default: the model's maximum sequence length, or 128]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(super) seq: Vec<u64>,
    /// Numbers of threads [default: number of cores]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(super) threads: Vec<u64>,
    /// Also benchmark other programs on the same weights, run by the Python interpreter that the environment variable
    /// OBERT_PYTHON names, or `python3`
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    pub(super) against: Vec<Program>,
    /// Seconds to run each program at each batch size, sequence length and number of threads
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub(super) seconds: f64,
    /// How the results are printed
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// Another runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Program {
    /// ONNX Runtime, dense, in float32 and in INT8 by its dynamic quantization
    Onnxruntime,
    /// OpenVINO, dense, in float32 and in INT8 by NNCF
    Openvino,
}

impl Program {
    /// The name of its Python package.
    pub(super) fn package(self) -> &'static str {
        match self {
            Program::Onnxruntime => "onnxruntime",
            Program::Openvino => "openvino",
        }
    }

    /// The Python packages that it needs.
    pub(super) fn needs(self) -> &'static str {
        match self {
            Program::Onnxruntime => "onnxruntime onnx numpy",
            Program::Openvino => "openvino nncf numpy",
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::Onnxruntime => "ONNX Runtime",
            Program::Openvino => "OpenVINO",
        }
    }
}

impl BenchArgs {
    /// Prints a line beside the results.
    pub(super) fn note(&self, text: &str) {
        match self.format {
            Format::Full => print(&format!("{text}\n")),
            Format::Json => eprint(&format!("{text}\n")),
        }
    }
}

/// Why nothing more is measured.
pub(super) enum Failure {
    Diagnosed(Vec<Diagnostic>),
    /// A failure of the machine or of another program, in a sentence.
    Other(String),
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Diagnosed(vec![diagnostic])
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Failure {
        Failure::Diagnosed(diagnostics)
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Other(why)
    }
}
