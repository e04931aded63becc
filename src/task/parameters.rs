//! The parameters of any Burn module, by Hugging Face name and in the Hugging Face layout.
//!
//! Burn stores a linear layer's weight as `[in, out]`, Hugging Face (PyTorch) as `[out, in]`. All code that reads,
//! writes, prunes or saves parameters uses this module, so that masks, Fisher blocks and 4-blocks consist of consecutive
//! inputs of one output.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::params::{Family, Parameter, ParameterTable};

use super::model::family::CONTAINER;

/// A parameter of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleParameter {
    /// Burn's id, valid as long as the module.
    pub id: ParamId,
    /// The Hugging Face name, and the shape in the Hugging Face layout.
    pub parameter: Parameter,
    /// Whether Burn stores it transposed.
    pub transposed: bool,
}

/// Values of parameters in the Hugging Face layout, by name.
pub type Values = BTreeMap<String, Vec<f32>>;

/// Lists all float parameters of a module, in order.
pub fn parameters<M: Module>(module: &M) -> Vec<ModuleParameter> {
    let mut visitor = Lister { path: Path::default(), list: Vec::new() };
    module.visit(&mut visitor);
    visitor.list
}

/// The names and shapes of all float parameters of a module.
pub fn table<M: Module>(module: &M) -> ParameterTable {
    ParameterTable::new(parameters(module).into_iter().map(|p| p.parameter).collect())
}

/// Reads the parameters whose names satisfy `wanted`.
pub fn read<M: Module>(module: &M, wanted: impl Fn(&str) -> bool) -> Values {
    let mut visitor = Reader { path: Path::default(), wanted, values: Values::new() };
    module.visit(&mut visitor);
    visitor.values
}

/// Writes parameters into a module; names that it does not have are ignored.
///
/// # Panics
/// If a value and its parameter have different numbers of elements.
pub fn write<M: Module>(module: M, values: Values) -> M {
    module.map(&mut Writer { path: Path::default(), values })
}

/// The values of a tensor in the Hugging Face layout; `transposed` as in [`ModuleParameter`].
pub fn to_hugging_face<const D: usize>(tensor: Tensor<D>, transposed: bool) -> Vec<f32> {
    let shape = tensor.dims();
    // invariant: parameters and gradients are floats and can be converted to f32.
    let values = tensor.into_data().convert::<f32>().try_to_vec().expect("f32 values");
    if transposed { transpose(&values, shape[0], shape[1]) } else { values }
}

/// A tensor in the Hugging Face layout, flattened, on its device.
pub fn flat_hugging_face<const D: usize>(tensor: Tensor<D>, transposed: bool) -> Tensor<1> {
    let count = tensor.shape().num_elements();
    if transposed { tensor.swap_dims(0, 1).reshape([count]) } else { tensor.reshape([count]) }
}

/// The inverse of [`to_hugging_face`], with the device and the shape of `like`.
pub fn from_hugging_face<const D: usize>(values: Vec<f32>, like: &Tensor<D>, transposed: bool) -> Tensor<D> {
    let shape = like.dims();
    let values = if transposed { transpose(&values, shape[1], shape[0]) } else { values };
    Tensor::from_data(TensorData::new(values, shape), &like.device())
}

/// The transpose of a row-major matrix.
pub fn transpose<T: Copy + Default + Send + Sync>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    /// Tiles of both matrices fit into the L1 cache.
    const TILE: usize = 32;
    assert_eq!(values.len(), rows * columns, "size of a matrix");
    let mut out = vec![T::default(); values.len()];
    out.par_chunks_mut(TILE * rows.max(1)).enumerate().for_each(|(band, out)| {
        let first = band * TILE;
        for start in (0..rows).step_by(TILE) {
            for (c, line) in out.chunks_exact_mut(rows).enumerate() {
                for r in start..(start + TILE).min(rows) {
                    line[r] = values[r * columns + first + c];
                }
            }
        }
    });
    out
}

/// The path of the visited module, from which the Hugging Face name is made.
#[derive(Default)]
struct Path {
    names: Vec<String>,
    containers: Vec<String>,
    /// The family of the last encoder visited; heads are visited after their encoder.
    family: Family,
}

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        if container == CONTAINER {
            self.family = Family::named(name).unwrap_or_default();
        }
        self.names.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit(&mut self) {
        self.names.pop();
        self.containers.pop();
    }

    /// The type of the module that contains the parameter, such as `Linear`.
    fn container(&self) -> &str {
        self.containers.last().map_or("", |c| c.rsplit(':').next().unwrap_or(c))
    }

    fn is_transposed(&self, rank: usize) -> bool {
        rank == 2 && self.container() == "Linear" && self.names.last().is_some_and(|n| n == "weight")
    }

    fn name(&self) -> String {
        let last = self.names.len().saturating_sub(1);
        let words = self.names.iter().enumerate().map(|(i, name)| match name.as_str() {
            "self_" => "self",
            "gamma" if i == last => "weight",
            "beta" if i == last => "bias",
            other => other,
        });
        self.family.name(&words.collect::<Vec<_>>().join("."))
    }
}

struct Lister {
    path: Path,
    list: Vec<ModuleParameter>,
}

impl ModuleVisitor for Lister {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let transposed = self.path.is_transposed(D);
        let mut shape = param.lazy_shape()[..].to_vec();
        if transposed {
            shape.swap(0, 1);
        }
        let parameter = Parameter { name: self.path.name(), shape };
        self.list.push(ModuleParameter { id: param.id, parameter, transposed });
    }
}

struct Reader<F> {
    path: Path,
    wanted: F,
    values: Values,
}

impl<F: Fn(&str) -> bool> ModuleVisitor for Reader<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        if (self.wanted)(&name) {
            let values = to_hugging_face(param.val(), self.path.is_transposed(D));
            self.values.insert(name, values);
        }
    }
}

struct Writer {
    path: Path,
    values: Values,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.values.remove(&self.path.name()) else { return param };
        let transposed = self.path.is_transposed(D);
        param.map(|old| {
            let trained = old.is_require_grad();
            from_hugging_face(values, &old, transposed).detach().set_require_grad(trained)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_is_the_identity() {
        let values: Vec<u32> = (0..70 * 45).collect();
        let once = transpose(&values, 70, 45);
        assert_eq!(once[1], 45, "the second element comes from the second row");
        assert_eq!(transpose(&once, 45, 70), values);
    }
}
