//! Losses of knowledge distillation: from a teacher's logits, and from its hidden states.

use burn::tensor::{Tensor, activation};

/// The Kullback-Leibler divergence of the student from the teacher at temperature T,
/// `T²/N Σ softmax(y/T) (log softmax(y/T) − log softmax(x/T))`, with the student's logits x and the teacher's
/// logits y, both `[N, classes]` (SparseML's `kldiv_loss`; `torch.nn.functional.kl_div` with
/// `reduction="batchmean"`, times T²). No gradient flows to the teacher. Classes that teacher and student both
/// mask by a large negative logit contribute nothing.
pub fn kl_divergence(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [rows, _] = student.dims();
    let teacher = teacher.detach();
    let log_p = activation::log_softmax(teacher / temperature, 1);
    let log_q = activation::log_softmax(student / temperature, 1);
    let sum = (log_p.clone().exp() * (log_p - log_q)).sum();
    sum * (temperature * temperature / rows as f64)
}

/// How an output of a student is compared with its teacher's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Divergence {
    /// [`kl_divergence`] of one softmax over each row.
    #[default]
    Softmax,
    /// [`sigmoid_divergence`]: an independent probability for each logit.
    Sigmoid,
    /// [`squared_distance`]: values that are no logits. The temperature has no effect.
    Squared,
}

impl Divergence {
    /// The divergence, `[1]`, of the student's outputs from the teacher's, both `[rows, width]`; `Squared` ignores the
    /// temperature.
    pub fn of(self, student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
        match self {
            Divergence::Softmax => kl_divergence(student, teacher, temperature),
            Divergence::Sigmoid => sigmoid_divergence(student, teacher, temperature),
            Divergence::Squared => squared_distance(student, teacher),
        }
    }
}

/// The sum over labels and the mean over rows of the Kullback-Leibler divergence of Bernoulli distributions at temperature
/// T, `T²/N Σ p log(p/q) + (1−p) log((1−p)/(1−q))` with `p = σ(y/T)` of the teacher's logits y and `q = σ(x/T)` of the
/// student's logits x, both `[N, labels]`. No gradient flows to the teacher.
pub fn sigmoid_divergence(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [rows, _] = student.dims();
    let (x, y) = (student / temperature, teacher.detach() / temperature);
    let p = activation::sigmoid(y.clone());
    let side = |sign: f64, p: Tensor<2>| {
        p * (activation::log_sigmoid(y.clone() * sign) - activation::log_sigmoid(x.clone() * sign))
    };
    let sum = side(1.0, p.clone()) + side(-1.0, -p + 1.0);
    sum.sum() * (temperature * temperature / rows as f64)
}

/// The mean over rows of the squared distance of the student's values to the teacher's, both `[N, width]`. No gradient
/// flows to the teacher. Of unit vectors it is twice the cosine distance.
pub fn squared_distance(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let [rows, _] = student.dims();
    (student - teacher.detach()).square().sum() / rows as f64
}

/// The error of a student's hidden states x against the teacher's y, both `[tokens, hidden]`:
/// `mean((x − y)²) / (mean(y²) + ε)` (SquareHead, arXiv 2310.06927; SparseML's `PerLayerDistillationModifier`); without
/// ε the mean squared error (`torch.nn.functional.mse_loss`). No gradient flows to the teacher. The caller leaves out
/// padding tokens.
pub fn hidden_state_error(student: Tensor<2>, teacher: Tensor<2>, epsilon: Option<f64>) -> Tensor<1> {
    let teacher = teacher.detach();
    let error = (student - teacher.clone()).square().mean();
    match epsilon {
        Some(epsilon) => error / (teacher.square().mean() + epsilon),
        None => error,
    }
}

/// The index of the teacher's layer for each layer of a student, evenly spaced as for TinyBERT, with the last layer for
/// the last: `⌊(i + 1) · teacher / student⌋ − 1` for layer i. `None` if the teacher has fewer layers.
pub fn evenly_spaced(student: usize, teacher: usize) -> Option<Vec<usize>> {
    (student <= teacher).then(|| (1..=student).map(|i| i * teacher / student - 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_divergence_agrees_with_the_definition_in_float64() {
        let device = Device::flex().autodiff();
        let (x, y) = ([[0.3f64, -1.2, 2.0], [0.0, 0.5, -0.5]], [[1.0f64, 0.2, -0.7], [2.0, -1.0, 0.1]]);
        let temperature = 2.0;
        let softmax = |row: &[f64; 3]| {
            let e = row.map(|v| (v / temperature).exp());
            e.map(|v| v / e.iter().sum::<f64>())
        };
        let mut expected = 0.0;
        for (x, y) in x.iter().zip(&y) {
            let (q, p) = (softmax(x), softmax(y));
            expected += p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        }
        expected *= temperature * temperature / 2.0;
        let tensor = |v: [[f64; 3]; 2]| Tensor::<2>::from_data(v.map(|r| r.map(|x| x as f32)), &device);
        let loss = kl_divergence(tensor(x), tensor(y), temperature).into_scalar::<f32>();
        assert!((loss as f64 - expected).abs() < 1e-6, "{loss} {expected}");
    }

    #[test]
    fn independent_labels_and_values_agree_with_their_definitions_in_float64() {
        let device = Device::flex();
        let (x, y) = ([[0.3f64, -1.2], [0.0, 0.5]], [[1.0f64, 0.2], [-40.0, 60.0]]);
        let tensor = |v: [[f64; 2]; 2]| Tensor::<2>::from_data(v.map(|r| r.map(|x| x as f32)), &device);
        let temperature = 2.0;
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v / temperature).exp());
        let mut expected = 0.0;
        for (x, y) in x.iter().flatten().zip(y.iter().flatten()) {
            let (q, p) = (sigmoid(*x), sigmoid(*y));
            let part = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p / q).ln() };
            expected += part(p, q) + part(1.0 - p, 1.0 - q);
        }
        expected *= temperature * temperature / 2.0;
        let loss = Divergence::Sigmoid.of(tensor(x), tensor(y), temperature).into_scalar::<f32>();
        assert!((f64::from(loss) - expected).abs() < 1e-5, "{loss} {expected}");
        let squares: f64 = x.iter().flatten().zip(y.iter().flatten()).map(|(x, y)| (x - y).powi(2)).sum();
        let loss = Divergence::Squared.of(tensor(x), tensor(y), temperature).into_scalar::<f32>();
        assert!((f64::from(loss) - squares / 2.0).abs() < 1e-3, "{loss}");
        for kind in [Divergence::Softmax, Divergence::Sigmoid, Divergence::Squared] {
            assert!(kind.of(tensor(y), tensor(y), temperature).into_scalar::<f32>().abs() < 1e-6, "{kind:?}");
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_nothing_to_learn() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[0.3f32, -1.2, -1e9]], &device);
        assert!(kl_divergence(x.clone(), x, 2.0).into_scalar::<f32>().abs() < 1e-7);
    }

    #[test]
    fn the_last_layers_resemble_each_other_and_the_others_lie_evenly_between() {
        assert_eq!(evenly_spaced(3, 12).unwrap(), [3, 7, 11]);
        assert_eq!(evenly_spaced(4, 6).unwrap(), [0, 2, 3, 5]);
        assert_eq!(evenly_spaced(2, 2).unwrap(), [0, 1]);
        assert_eq!(evenly_spaced(3, 2), None);
    }

    #[test]
    fn states_that_equal_the_teachers_have_no_error_and_the_teacher_gets_no_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_data([[0.5f32, -1.0], [2.0, 0.0]], &device).require_grad();
        let y = Tensor::<2>::from_data([[0.5f32, -1.0], [2.0, 4.0]], &device).require_grad();
        assert_eq!(hidden_state_error(x.clone(), x.clone(), Some(1e-6)).into_scalar::<f32>(), 0.0);
        // One error of 16 in four; the mean square of the teacher is 21.25 / 4.
        let error = hidden_state_error(x.clone(), y.clone(), Some(0.0));
        assert!((error.clone().into_scalar::<f32>() - 16.0 / 21.25).abs() < 1e-6);
        assert_eq!(hidden_state_error(x.clone(), y.clone(), None).into_scalar::<f32>(), 4.0);
        let gradients = error.backward();
        assert!(y.grad(&gradients).is_none_or(|g| g.abs().sum().into_scalar::<f32>() == 0.0));
        assert!(x.grad(&gradients).unwrap().abs().sum().into_scalar::<f32>() > 0.0);
    }
}
