//! Learning from a teacher's logits.

use burn::tensor::{Tensor, activation};

/// The Kullback-Leibler divergence of the student from the teacher at a temperature T:
/// `T²/N Σ softmax(y/T) (log softmax(y/T) - log softmax(x/T))` over N rows of `[N, choices]`,
/// with the student's logits x and the teacher's y (SparseML's `kldiv_loss`). The teacher's
/// logits are constants. Choices that both give a large negative logit do not count.
pub fn kl_divergence(student: Tensor<2>, teacher: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [rows, _] = student.dims();
    let teacher = teacher.detach();
    let log_p = activation::log_softmax(teacher / temperature, 1);
    let log_q = activation::log_softmax(student / temperature, 1);
    let sum = (log_p.clone().exp() * (log_p - log_q)).sum();
    sum * (temperature * temperature / rows as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn it_agrees_with_the_definition_in_double_precision() {
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
    fn a_student_that_equals_its_teacher_has_nothing_to_learn() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[0.3f32, -1.2, -1e9]], &device);
        assert!(kl_divergence(x.clone(), x, 2.0).into_scalar::<f32>().abs() < 1e-7);
    }
}
