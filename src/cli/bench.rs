//! `obertc bench`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::pack::PrecisionName;
use super::settings_args::SettingsArgs;
use super::{ERRORS, FINE, Format, eprint, fail, fetching, print};
use crate::api::settings;
use crate::diag::{Code, Diagnostic, Sources};
use crate::infer::file::Image;
use crate::infer::pack::{self, random::Random};
use crate::infer::simd::Isa;
use crate::infer::{Limits, Model, Sequence, Session};
use crate::params::builtin::{self, WELL_KNOWN, well_known};

mod onnxruntime;

use onnxruntime::Rival;

/// Benchmark inference on the CPU: this runtime, and others beside it in turns.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// A model folder, its name on the hub, or a file that `obertc pack --as engine` wrote
    #[arg(value_name = "MODEL", required_unless_present = "shape", conflicts_with = "shape")]
    model: Option<PathBuf>,
    /// Use no network: the model is a folder or a file, or in the cache of the Hugging Face programs
    #[arg(long)]
    offline: bool,
    /// Precision of a model folder [default: both f32 and int8]
    #[arg(long, value_enum, value_name = "PRECISION", conflicts_with = "shape")]
    precision: Option<PrecisionName>,
    /// Benchmark a model of random weights with the shape of a well-known one
    #[arg(long, value_name = "NAME")]
    shape: Option<String>,
    /// Encoder layers of the random models; the dense baseline has as many as the first
    /// [default: those of its shape]
    #[arg(long, value_name = "LIST", requires = "shape", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=96))]
    layers: Vec<u64>,
    /// Sparsities of the random models, in blocks of four weights
    #[arg(long, value_name = "SHARES", requires = "shape", value_delimiter = ',', default_values_t = [0.9])]
    sparsity: Vec<f64>,
    /// Batch sizes
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [1], value_parser = clap::value_parser!(u64).range(1..=4096))]
    batch: Vec<u64>,
    /// Sequence lengths in tokens [default: the model's maximum sequence length, or 128]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    seq: Vec<u64>,
    /// Numbers of threads [default: number of cores]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Vec<u64>,
    /// Benchmark another program beside it; Python is found by OBERT_PYTHON, or else as `python3`
    #[arg(long, value_enum, value_name = "PROGRAM")]
    against: Option<Program>,
    /// Time for each program in each row, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// How the results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Another runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// ONNX Runtime, dense, in float32 and in int8
    Onnxruntime,
}

/// Turns in which the programs of a row are measured, one after the other.
const TURNS: u32 = 6;

pub fn run(args: &BenchArgs) -> i32 {
    let mut sources = Sources::new();
    match measure(args, &mut sources) {
        Ok(()) => FINE,
        Err(Failure::Diagnosed(diagnostics)) => fail(&diagnostics, &sources),
        Err(Failure::Said(why)) => {
            eprint(&format!("cannot measure: {why}\n"));
            ERRORS
        }
    }
}

enum Failure {
    Diagnosed(Vec<Diagnostic>),
    Said(String),
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Failure {
        Failure::Diagnosed(diagnostics)
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure::Said(why)
    }
}

/// A model to be measured.
struct Subject {
    name: String,
    model: Arc<Model>,
    opened: Duration,
}

fn measure(args: &BenchArgs, sources: &mut Sources) -> Result<(), Failure> {
    let cores = Limits::default().threads as u64;
    let threads = if args.threads.is_empty() { vec![cores] } else { args.threads.clone() };
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (subjects, folder) = match &args.shape {
        Some(name) => random_models(args, name, scratch.path())?,
        None => saved_model(args, scratch.path(), sources)?,
    };
    let lengths = lengths(args, &subjects)?;
    for subject in &subjects {
        note(
            args,
            &format!(
                "{}: {:.1} MiB, opened in {:.1} ms",
                subject.name,
                subject.model.size() as f64 / f64::from(1 << 20),
                subject.opened.as_secs_f64() * 1e3
            ),
        );
    }
    let mut rival = match args.against {
        None => None,
        Some(Program::Onnxruntime) => match &folder {
            None => {
                note(args, "ONNX Runtime is skipped: it needs a model folder, not a packed file");
                None
            }
            Some(folder) => match Rival::start(folder) {
                Ok(rival) => {
                    note(args, &rival.described());
                    Some(rival)
                }
                Err(why) => {
                    note(args, &format!("ONNX Runtime is skipped: {why}"));
                    None
                }
            },
        },
    };
    note(args, &format!("{}, {cores} cores", Isa::best().name()));
    for threads in &threads {
        for batch in &args.batch {
            for length in &lengths {
                let point = Point { threads: *threads, batch: *batch, length: *length };
                row(args, &subjects, point, rival.as_mut())?;
            }
        }
    }
    Ok(())
}

/// The sequence lengths: those given, else the maximum length that the model was made with.
fn lengths(args: &BenchArgs, subjects: &[Subject]) -> Result<Vec<u64>, Failure> {
    let given = args.settings.settings();
    let idle = settings::only(&given, &["--max-length"], "bench");
    if !idle.is_empty() {
        return Err(idle.into());
    }
    if !args.seq.is_empty() {
        return Ok(args.seq.clone());
    }
    let saved = subjects.first().and_then(|s| s.model.settings()).and_then(|s| s.max_length);
    Ok(vec![given.max_length.or(saved).unwrap_or(128) as u64])
}

/// A table without rows.
fn headed() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "threads",
        "batch",
        "length",
        "program",
        "p50 ms",
        "p99 ms",
        "sequences/s",
        "MiB",
        "times as fast",
        "as ORT int8",
    ]);
    for i in [0, 1, 2, 4, 5, 6, 7, 8, 9] {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What is said beside the table.
fn note(args: &BenchArgs, text: &str) {
    if args.format == Format::Full {
        print(&format!("{text}\n"));
    } else {
        eprint(&format!("{text}\n"));
    }
}

/// A row of the table.
#[derive(Clone, Copy)]
struct Point {
    threads: u64,
    batch: u64,
    length: u64,
}

/// Measures all programs at one point, in turns, so that what else the machine does meets all of them.
fn row(
    args: &BenchArgs,
    subjects: &[Subject],
    point: Point,
    mut rival: Option<&mut Rival>,
) -> Result<(), Failure> {
    let Point { threads, batch, length } = point;
    let slice = args.seconds / f64::from(TURNS);
    let mut sessions = Vec::new();
    for subject in subjects {
        let config = subject.model.config();
        if length as usize > config.max_position_embeddings {
            return Err(format!("{} has {} positions", subject.name, config.max_position_embeddings).into());
        }
        let limits = Limits {
            sequences: batch as usize,
            length: length as usize,
            threads: threads as usize,
            isa: Isa::best(),
        };
        let session = Session::new(Arc::clone(&subject.model), limits).map_err(|e| e.to_string())?;
        sessions.push((session, Vec::new()));
    }
    let vocabulary = subjects.first().map_or(1, |s| s.model.config().vocab_size) as u64;
    let ids: Vec<Vec<u32>> = (0..batch)
        .map(|s| (0..length).map(|t| ((s * 104_729 + t * 7919 + 13) % vocabulary) as u32).collect())
        .collect();
    let types = vec![0; length as usize];
    let sequences: Vec<Sequence<'_>> = ids.iter().map(|ids| Sequence { ids, types: &types }).collect();
    let mut others: Vec<(&str, Vec<f64>)> = vec![("f32", Vec::new()), ("int8", Vec::new())];
    let mut theirs = Vec::new();
    for turn in 0..=TURNS {
        let slice = if turn == 0 { slice / 4.0 } else { slice };
        // The first turn warms up, but for a program that takes longer than it is to be measured for.
        let counts = |time: f64| turn > 0 || time > args.seconds;
        let enough = |times: &[f64]| times.iter().sum::<f64>() >= args.seconds;
        for (session, times) in &mut sessions {
            let end = Instant::now() + Duration::from_secs_f64(slice);
            while !enough(times) {
                let start = Instant::now();
                session.run(&sequences).map_err(|e| e.to_string())?;
                let time = start.elapsed().as_secs_f64();
                times.extend(counts(time).then_some(time));
                if Instant::now() >= end {
                    break;
                }
            }
        }
        let Some(rival) = rival.as_deref_mut() else { continue };
        for (kind, times) in others.iter_mut().filter(|(_, times)| !enough(times)) {
            let said = rival.run(kind, threads, &ids, if turn == 0 { 0.0 } else { slice }, turn == 0)?;
            times.extend(said.times.iter().filter(|time| counts(**time)));
            if turn == 0 && *kind == "f32" {
                theirs = said.logits;
            }
        }
    }
    let mut measured: Vec<(String, Vec<f64>, Option<u64>)> = Vec::new();
    for (subject, (session, times)) in subjects.iter().zip(sessions) {
        let bytes = subject.model.size() + session.memory();
        measured.push((format!("obert {}", subject.name), times, Some(bytes as u64)));
    }
    if let Some(rival) = rival {
        for (kind, times) in others {
            measured.push((format!("ONNX Runtime dense {kind}"), times, rival.memory()));
        }
        agreement(args, subjects, &sequences[..1], &theirs, point)?;
    }
    show(args, point, measured);
    Ok(())
}

/// Says how far the float model is from its rival's logits: they run the same model, or nothing is compared.
fn agreement(
    args: &BenchArgs,
    subjects: &[Subject],
    sequence: &[Sequence<'_>],
    theirs: &[f32],
    point: Point,
) -> Result<(), Failure> {
    let Some(subject) = subjects.iter().find(|s| s.name.contains("f32")) else { return Ok(()) };
    let limits = Limits { sequences: 1, length: point.length as usize, threads: 1, isa: Isa::best() };
    let mut session = Session::new(Arc::clone(&subject.model), limits).map_err(|e| e.to_string())?;
    let logits = session.run(sequence).map_err(|e| e.to_string())?;
    let (start, end) = logits.answer(0);
    let ours = start.iter().zip(end).flat_map(|(s, e)| [*s, *e]);
    if theirs.len() == 2 * start.len() {
        let apart = ours.zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        note(
            args,
            &format!(
                "length {}: float32 logits differ from ONNX Runtime's by at most {apart:.1e}",
                point.length
            ),
        );
    }
    Ok(())
}

/// Shows a point as soon as it is measured: a long run that is stopped has said what it knew.
fn show(args: &BenchArgs, point: Point, measured: Vec<(String, Vec<f64>, Option<u64>)>) {
    let mut table = headed();
    let Point { threads, batch, length } = point;
    let middle = |times: &[f64]| quantile(times, 0.5);
    // The rival's float model is the measure; without a rival, the first model.
    let base = measured.iter().find(|(name, ..)| name.contains("dense f32") && name.starts_with("ONNX"));
    let base = base.or(measured.first()).map_or(0.0, |(_, times, _)| middle(times));
    let small = measured.iter().find(|(name, ..)| name.starts_with("ONNX") && name.ends_with("int8"));
    let small = small.map(|(_, times, _)| middle(times));
    for (name, times, memory) in &measured {
        let p50 = middle(times);
        let p99 = quantile(times, 0.99);
        let rate = batch as f64 / p50;
        let mebibytes = memory.map(|bytes| bytes as f64 / f64::from(1 << 20));
        if args.format == Format::Json {
            let line = json!({
                "threads": threads, "batch": batch, "length": length, "program": name,
                "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3, "sequences_per_second": rate,
                "mebibytes": mebibytes, "times_as_fast": base / p50,
                "times_as_fast_as_onnxruntime_int8": small.map(|small| small / p50), "runs": times.len(),
            });
            print(&format!("{line}\n"));
            continue;
        }
        table.add_row([
            threads.to_string(),
            batch.to_string(),
            length.to_string(),
            name.clone(),
            format!("{:.2}", p50 * 1e3),
            format!("{:.2}", p99 * 1e3),
            format!("{rate:.1}"),
            mebibytes.map_or_else(String::new, |m| format!("{m:.0}")),
            format!("{:.1}", base / p50),
            small.map_or_else(String::new, |small| format!("{:.1}", small / p50)),
        ]);
    }
    if args.format == Format::Full {
        print(&format!("{table}\n"));
    }
}

fn quantile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Opens an image as `obertc predict` would: from a file.
fn opened(name: String, image: &Image, scratch: &Path) -> Result<Subject, Failure> {
    let path = scratch.join(format!("{}.obert-engine", name.replace([' ', '%', '.', ','], "-")));
    image.save(&path).map_err(|d| vec![d])?;
    let start = Instant::now();
    let model = Arc::new(Model::open(&path).map_err(|d| vec![d])?);
    Ok(Subject { name, model, opened: start.elapsed() })
}

/// Random models: one in floats as the measure, and one in bytes for each number of layers and sparsity. The
/// folder is for rivals.
fn random_models(
    args: &BenchArgs,
    name: &str,
    scratch: &Path,
) -> Result<(Vec<Subject>, Option<PathBuf>), Failure> {
    let Some(mut shape) =
        well_known(&name.replace("bert-base", "bert-base-uncased").replace("-uncased-uncased", "-uncased"))
    else {
        let diagnostic = Diagnostic::unlocated(Code::FlagValue, format!("`{name}` is no well-known model"))
            .help(format!("one of {}", WELL_KNOWN.join(", ")));
        return Err(vec![diagnostic].into());
    };
    if let Some(wrong) = args.sparsity.iter().find(|s| !(0.0..1.0).contains(*s)) {
        let diagnostic =
            Diagnostic::unlocated(Code::FlagValue, format!("the sparsity {wrong} is not within 0..1"))
                .help("as `--sparsity 0.8,0.9`");
        return Err(vec![diagnostic].into());
    }
    let layers: Vec<usize> = match args.layers.as_slice() {
        [] => vec![shape.layers],
        list => list.iter().map(|n| *n as usize).collect(),
    };
    shape.layers = layers[0];
    let dense = Random { shape, sparsity: 0.0, seed: 1 };
    let mut subjects = vec![opened("dense f32".into(), &dense.pack(false).map_err(|d| vec![d])?, scratch)?];
    for layers in &layers {
        shape.layers = *layers;
        for sparsity in &args.sparsity {
            let random = Random { shape, sparsity: *sparsity, seed: 1 };
            let name = format!("{layers} layers, {:.0}% sparse int8", sparsity * 100.0);
            subjects.push(opened(name, &random.pack(true).map_err(|d| vec![d])?, scratch)?);
        }
    }
    let folder = args.against.map(|_| scratch.join("folder"));
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        save_folder(&dense, folder)?;
    }
    Ok((subjects, folder))
}

/// Writes a random model in the Hugging Face layout.
fn save_folder(random: &Random, folder: &Path) -> Result<(), Failure> {
    use safetensors::tensor::{Dtype, TensorView};
    let table = builtin::bert(&random.shape, builtin::Head::QuestionAnswering);
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = table
        .iter()
        .map(|p| {
            let values = random.tensor(&p.name);
            (p.name.as_str(), p.shape.as_slice(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let mut views = Vec::new();
    for (name, shape, data) in &bytes {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(|e| e.to_string())?;
        views.push((*name, view));
    }
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors"))
        .map_err(|e| e.to_string())?;
    let config = serde_json::to_string_pretty(&random.config()).map_err(|e| e.to_string())?;
    std::fs::write(folder.join("config.json"), config).map_err(|e| e.to_string().into())
}

fn saved_model(
    args: &BenchArgs,
    scratch: &Path,
    sources: &mut Sources,
) -> Result<(Vec<Subject>, Option<PathBuf>), Failure> {
    let Some(given) = &args.model else { return Ok((Vec::new(), None)) };
    let path = &fetching::find(given, args.offline, false).map_err(|d| vec![d])?;
    if !path.is_dir() {
        let start = Instant::now();
        let model = Arc::new(pack::open(path, None, sources)?);
        let opened = start.elapsed();
        return Ok((vec![Subject { name: path.display().to_string(), model, opened }], None));
    }
    let precisions = match args.precision {
        Some(one) => vec![one],
        None => vec![PrecisionName::F32, PrecisionName::Int8],
    };
    let mut subjects = Vec::new();
    for precision in precisions {
        let name = if precision == PrecisionName::F32 { "f32" } else { "int8" };
        let image = pack::pack(path, Some(precision.into()), sources)?;
        subjects.push(opened(name.into(), &image, scratch)?);
    }
    Ok((subjects, Some(path.clone())))
}
