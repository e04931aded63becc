//! Running a recipe on a custom model and custom data.

use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::error::Error;
use super::recipe::{Compiler, Recipe};
use crate::diag::{Code, Diagnostic};
use crate::engine::events::Observer;
use crate::engine::{Estimates, Interpreter, StageResult};
use crate::files;
use crate::ranks::Ranks;
use crate::task::Task;
use crate::task::parameters;

/// The teacher models of a recipe that are not stages of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Teachers<M> {
    /// The model of `distill from teacher`.
    pub teacher: Option<M>,
    /// The models of `distill from "NAME"`, by name.
    pub named: HashMap<String, M>,
}

impl<M> Default for Teachers<M> {
    /// No teachers.
    fn default() -> Self {
        Teachers { teacher: None, named: HashMap::new() }
    }
}

/// Runs a recipe with `data: own` on a Burn model. Selectors are checked against the model's parameters before the
/// first stage. Returns the trained model, and metrics, sparsity and times of every stage.
///
/// The model must be on `device`, without autodiff.
///
/// # Errors
/// A recipe with errors or selectors that match nothing, and everything that stops training.
pub fn run<T: Task>(
    task: &T,
    model: T::Model,
    recipe: &Recipe,
    device: Device,
    teachers: Teachers<T::Model>,
    observer: &mut dyn Observer,
) -> Result<(T::Model, Vec<StageResult>), Error> {
    let compiled = Compiler::of_parameters(parameters::table(&model)).recipe(recipe)?;
    let Some(schedule) = &compiled.schedule else {
        return Err(Error::new(compiled.diagnostics, compiled.sources));
    };
    observer.warnings(&compiled.diagnostics, &compiled.sources);
    observer.planned(schedule, None);
    let interpreter = Interpreter {
        task,
        schedule,
        device,
        teacher: teachers.teacher,
        named_teachers: teachers.named,
        limit_steps: None,
        estimates: Estimates::default(),
        ranks: Ranks::alone(),
    };
    let ran = interpreter.run(model, observer);
    ran.map_err(|error| Error::new(vec![Diagnostic::from(error)], compiled.sources.clone()))
}

/// Saves a model's float parameters as a safetensors file: float32, under the names that recipes use, in PyTorch's
/// layout (a linear layer's weight is `[out, in]`). The file is replaced atomically.
///
/// # Errors
/// A file that cannot be written.
pub fn save<M: Module>(model: &M, path: &Path) -> Result<(), Error> {
    let failed = |why: String| {
        Error::unlocated(
            Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {why}", path.display()))
                .help("is there space, and may you write there?"),
        )
    };
    let values = parameters::read(model, |_| true);
    let table = parameters::table(model);
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = table
        .iter()
        .filter_map(|p| {
            let bytes = values.get(&p.name)?.iter().flat_map(|v| v.to_le_bytes()).collect();
            Some((p.name.as_str(), p.shape.as_slice(), bytes))
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| failed(e.to_string()))?;
    let whole = safetensors::serialize(views, None).map_err(|e| failed(e.to_string()))?;
    files::write_whole(path, &whole).map_err(Error::unlocated)
}

/// Loads the parameters that [`save`] wrote into a model.
///
/// # Errors
/// A file that cannot be read, that lacks a parameter of the model, or has it in another shape.
pub fn load<M: Module>(model: M, path: &Path) -> Result<M, Error> {
    let refused = |code: Code, why: String| {
        Error::unlocated(
            Diagnostic::unlocated(code, format!("cannot read `{}`: {why}", path.display()))
                .help("is it the file of this model?"),
        )
    };
    let bytes = std::fs::read(path).map_err(|e| refused(Code::ModelNotReadable, e.to_string()))?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|e| refused(Code::ModelNotReadable, e.to_string()))?;
    let mut values = parameters::Values::new();
    for parameter in parameters::table(&model).iter() {
        let name = &parameter.name;
        let view =
            file.tensor(name).map_err(|_| refused(Code::TensorMissing, format!("it lacks `{name}`")))?;
        if view.shape() != parameter.shape || view.dtype() != Dtype::F32 {
            let why = format!("`{name}` is {:?} {:?}", view.dtype(), view.shape());
            let why = format!("{why}; the model has F32 {:?}", parameter.shape);
            return Err(refused(Code::TensorShape, why));
        }
        let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        values.insert(name.clone(), floats.collect());
    }
    Ok(parameters::write(model, values))
}
