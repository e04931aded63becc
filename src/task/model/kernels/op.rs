//! Custom operations in Burn's autodiff graph on the CPU.
//!
//! A [`CpuOp`] computes its output and the gradients of its inputs on slices. [`run`] applies it to tensors of the
//! flex backend, with or without autodiff. For tensors of other backends callers use Burn's operations.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Device, Tensor, TensorData};

type Tracked = Autodiff<Flex, NoCheckpointing>;

/// A differentiable operation on slices with `N` inputs and one output.
pub trait CpuOp<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// Intermediate results that the backward pass needs besides the inputs.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// The output, and what is saved for the backward pass.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Self::Saved);

    /// The output's shape.
    fn shape(&self) -> [usize; 2];

    /// The gradients of the inputs that are `wanted`, from the gradient of the output.
    fn backward(
        &self,
        inputs: [&[f32]; N],
        saved: &Self::Saved,
        gradient: &[f32],
        wanted: [bool; N],
    ) -> [Option<Vec<f32>>; N];
}

/// An input of rank 1 or 2.
#[derive(Clone, Debug)]
pub enum Input {
    /// A vector.
    One(Tensor<1>),
    /// A matrix.
    Two(Tensor<2>),
}

impl From<Tensor<1>> for Input {
    fn from(tensor: Tensor<1>) -> Self {
        Input::One(tensor)
    }
}

impl From<Tensor<2>> for Input {
    fn from(tensor: Tensor<2>) -> Self {
        Input::Two(tensor)
    }
}

/// Whether a tensor is on the flex backend, as [`run`] requires.
pub fn is_on_cpu(tensor: &Tensor<2>) -> bool {
    tensor.clone().try_into_primitive::<Flex>().is_ok()
        || tensor.clone().try_into_primitive::<Tracked>().is_ok()
}

/// Whether the CPU kernels run on a device.
pub fn is_cpu(device: &Device) -> bool {
    is_on_cpu(&Tensor::zeros([1, 1], device))
}

/// Applies the operation. All inputs must be on the flex backend, either all or none of them with autodiff.
///
/// # Panics
/// If they are not; callers check with [`is_on_cpu`].
pub fn run<O: CpuOp<N>, const N: usize>(op: O, inputs: [Input; N]) -> Tensor<2> {
    let tracked = matches!(&inputs[0], Input::Two(t) if t.clone().try_into_primitive::<Tracked>().is_ok())
        || matches!(&inputs[0], Input::One(t) if t.clone().try_into_primitive::<Tracked>().is_ok());
    if !tracked {
        let tensors = inputs.map(|input| {
            let plain = match input {
                Input::One(t) => t.try_into_primitive::<Flex>(),
                Input::Two(t) => t.try_into_primitive::<Flex>(),
            };
            // invariant: the caller checked `is_on_cpu`.
            plain.expect("an input on flex without autodiff").to_contiguous()
        });
        let (output, _) = op.forward(tensors.each_ref().map(slice));
        return Tensor::from_primitive::<Flex>(tensor(output, &op.shape()));
    }
    let (tensors, nodes): (Vec<_>, Vec<_>) = inputs
        .into_iter()
        .map(|input| {
            let tracked = match input {
                Input::One(t) => t.try_into_primitive::<Tracked>(),
                Input::Two(t) => t.try_into_primitive::<Tracked>(),
            };
            // invariant: one input has autodiff, and so has every tensor of its device.
            let (primitive, node) = tracked.expect("an input on flex with autodiff").into_parts();
            (primitive.to_contiguous(), node)
        })
        .unzip();
    // invariant: both vectors have N elements.
    let tensors: [FlexTensor; N] = tensors.try_into().expect("N inputs");
    let nodes = nodes.try_into().expect("N nodes");
    let (output, saved) = op.forward(tensors.each_ref().map(slice));
    let output = tensor(output, &op.shape());
    let prepared = Graph(op.clone()).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(State { op, tensors, saved }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Tracked>(output)
}

/// Reads the values of a matrix on any device, row by row.
pub fn with_values<R>(tensor: &Tensor<2>, read: impl FnOnce(&[f32]) -> R) -> R {
    let tensor = tensor.clone();
    let plain = match tensor.clone().try_into_primitive::<Tracked>() {
        Ok(tracked) => Ok(tracked.into_parts().0),
        Err(_) => tensor.clone().try_into_primitive::<Flex>(),
    };
    match plain {
        Ok(plain) => read(slice(&plain.to_contiguous())),
        Err(_) => {
            // invariant: the tensors of a model are floats and can be converted to f32.
            let values = tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("f32 values");
            read(&values)
        }
    }
}

#[derive(Clone, Debug)]
struct Graph<O>(O);

#[derive(Clone, Debug)]
struct State<O, S, const N: usize> {
    op: O,
    tensors: [FlexTensor; N],
    saved: S,
}

impl<O: CpuOp<N>, const N: usize> Backward<Flex, N> for Graph<O> {
    type State = State<O, O::Saved, N>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let State { op, tensors, saved } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = op.backward(tensors.each_ref().map(slice), &saved, slice(&gradient), wanted);
        for ((parent, input), result) in ops.parents.into_iter().zip(&tensors).zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                let shape = input.layout().shape().clone();
                grads.register::<Flex>(parent.id, tensor(result, &shape[..]));
            }
        }
    }
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    assert_eq!(tensor.dtype(), DType::F32, "the CPU engine computes in f32");
    // invariant: inputs were made contiguous.
    tensor.as_slice::<f32>().expect("a contiguous tensor")
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}
