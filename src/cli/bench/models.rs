//! The models that `obertc bench` measures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::fetching;
use super::super::pack::{PrecisionName, check_sparsity, described};
use super::args::{BenchArgs, Failure};
use crate::diag::{Sources, counted};
use crate::infer::file::Image;
use crate::infer::pack::{self, random::Random};
use crate::infer::{Limits, Model, Sequence, Session};
use crate::output::export::random::float_folder;

/// A model that is measured.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) model: Arc<Model>,
    /// The time that opening its file took.
    pub(super) opened: Duration,
    /// The time from the beginning of opening its file to its first outputs, for a sequence of 32 tokens on all cores.
    pub(super) answered: Duration,
}

impl Candidate {
    /// Opens a model with `open` and computes a sequence with it, as a program does that has just started.
    fn measure(name: String, open: impl FnOnce() -> Result<Model, Failure>) -> Result<Candidate, Failure> {
        let start = Instant::now();
        let model = Arc::new(open()?);
        let opened = start.elapsed();
        let length = model.longest().min(32);
        let limits = Limits { sequences: 1, length, ..Limits::default() };
        let mut session = Session::new(Arc::clone(&model), limits).map_err(|e| e.to_string())?;
        let (ids, types) = (vec![0; length], vec![0; length]);
        session.run(&[Sequence { ids: &ids, types: &types }]).map_err(|e| e.to_string())?;
        Ok(Candidate { name, model, opened, answered: start.elapsed() })
    }
}

/// What is measured.
pub(super) struct Candidates {
    pub(super) models: Vec<Candidate>,
    /// The model's folder for other programs; `None` for a packed file.
    pub(super) folder: Option<PathBuf>,
}

/// The models that the flags name; `scratch` holds their files.
pub(super) fn open(args: &BenchArgs, scratch: &Path, sources: &mut Sources) -> Result<Candidates, Failure> {
    match (&args.shape, &args.model) {
        (Some(name), _) => random(args, name, scratch),
        (None, Some(model)) => saved(args, model, scratch, sources),
        (None, None) => Ok(Candidates { models: Vec::new(), folder: None }),
    }
}

/// Opens an image as `obertc predict` would: from a file.
fn open_image(name: String, image: &Image, scratch: &Path) -> Result<Candidate, Failure> {
    let path = scratch.join(format!("{}.obert-engine", name.replace([' ', '%', '.', ','], "-")));
    image.save(&path)?;
    Candidate::measure(name, || Ok(Model::open(&path)?))
}

/// Models with random weights: the dense baseline in float32, and one in INT8 for each number of layers and sparsity.
fn random(args: &BenchArgs, name: &str, scratch: &Path) -> Result<Candidates, Failure> {
    let name = if name == "bert-base" { "bert-base-uncased" } else { name };
    let mut config = described(name)?;
    args.sparsity.iter().try_for_each(|sparsity| check_sparsity(*sparsity))?;
    let layers: Vec<usize> = match args.layers.as_slice() {
        [] => vec![config.num_hidden_layers],
        list => list.iter().map(|n| *n as usize).collect(),
    };
    config.num_hidden_layers = layers[0];
    let dense = Random { config: config.clone(), sparsity: 0.0, seed: 1 };
    let mut models = vec![open_image("dense f32".into(), &dense.pack(false)?, scratch)?];
    for layers in &layers {
        config.num_hidden_layers = *layers;
        for sparsity in &args.sparsity {
            let random = Random { config: config.clone(), sparsity: *sparsity, seed: 1 };
            let layers = counted(*layers, "layer", "layers");
            let name = format!("{layers}, {:.0}% sparse int8", sparsity * 100.0);
            models.push(open_image(name, &random.pack(true)?, scratch)?);
        }
    }
    let folder = (!args.against.is_empty()).then(|| scratch.join("folder"));
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        float_folder(&dense, folder)?;
    }
    Ok(Candidates { models, folder })
}

/// A saved model, in each precision that is asked for.
fn saved(
    args: &BenchArgs,
    model: &Path,
    scratch: &Path,
    sources: &mut Sources,
) -> Result<Candidates, Failure> {
    let path = fetching::find(model, args.offline, false)?;
    if !path.is_dir() {
        let name = path.display().to_string();
        let only = Candidate::measure(name, || Ok(pack::open(&path, None, sources)?))?;
        return Ok(Candidates { models: vec![only], folder: None });
    }
    let precisions = match args.precision {
        Some(one) => vec![one],
        None => vec![PrecisionName::F32, PrecisionName::Int8],
    };
    let mut models = Vec::new();
    for precision in precisions {
        let name = if precision == PrecisionName::F32 { "f32" } else { "int8" };
        let image = pack::pack(&path, Some(precision.into()), sources)?;
        models.push(open_image(name.into(), &image, scratch)?);
    }
    Ok(Candidates { models, folder: Some(path) })
}
