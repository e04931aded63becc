//! How much of each unit is pruned so that the predicted loss is least: a dynamic program over measured losses.

/// The loss increase of pruning one unit (a parameter, or several) alone to some sparsities.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Weights of the unit.
    pub weights: usize,
    /// (sparsity, loss increase) by rising sparsity; the first is the unit as it is, with no increase. Between
    /// two points the loss is linear in the logarithm of the density.
    pub points: Vec<(f64, f64)>,
}

/// The number of sparsities of a unit that the dynamic program may choose between.
const CHOICES: usize = 255;

/// The number of parts into which the budget of pruned weights is divided.
const BUDGET: usize = 8192;

/// A density of zero has no logarithm.
const LEAST_DENSITY: f64 = 1e-6;

impl Curve {
    /// The least and the largest sparsity.
    pub fn range(&self) -> (f64, f64) {
        let sparsity = |point: Option<&(f64, f64)>| point.map_or(0.0, |p| p.0);
        (sparsity(self.points.first()), sparsity(self.points.last()))
    }

    /// The loss increase at a sparsity between the first and the last point.
    pub fn at(&self, sparsity: f64) -> f64 {
        let log = |s: f64| (1.0 - s).max(LEAST_DENSITY).ln();
        for pair in self.points.windows(2) {
            let ((s0, l0), (s1, l1)) = (pair[0], pair[1]);
            if sparsity <= s1 {
                let share = ((log(s0) - log(sparsity)) / (log(s0) - log(s1))).clamp(0.0, 1.0);
                return l0 + share * (l1 - l0);
            }
        }
        self.points.last().map_or(0.0, |p| p.1)
    }

    /// The sparsities to choose between: evenly spaced in the logarithm of the density, so that high
    /// sparsities, where the loss bends most, are told apart.
    fn choices(&self) -> Vec<f64> {
        let (from, to) = self.range();
        let (from, to) = ((1.0 - from).max(LEAST_DENSITY), (1.0 - to).max(LEAST_DENSITY));
        let at = |i: usize| 1.0 - from * (to / from).powf(i as f64 / (CHOICES - 1) as f64);
        (0..CHOICES).map(at).collect()
    }
}

/// The sparsity of each unit so that `target` of all weights is pruned and the sum of the predicted loss
/// increases is least. A unit is pruned no less than it is and no more than its last point; where even that
/// does not reach the target, every unit is at its last point.
pub fn allocate(curves: &[Curve], target: f64) -> Vec<f64> {
    let total: f64 = curves.iter().map(|c| c.weights as f64).sum();
    let pruned =
        |of: fn((f64, f64)) -> f64| -> f64 { curves.iter().map(|c| c.weights as f64 * of(c.range())).sum() };
    let wanted = target * total - pruned(|range| range.0);
    if wanted <= 0.0 {
        return curves.iter().map(|c| c.range().0).collect();
    }
    if target * total >= pruned(|range| range.1) {
        return curves.iter().map(|c| c.range().1).collect();
    }
    let chosen = least_loss(curves, wanted / BUDGET as f64);
    scaled(curves, &chosen, target)
}

/// The dynamic program over units: the sparsities of least summed loss that prune the whole budget, whose
/// parts have `part` weights.
fn least_loss(curves: &[Curve], part: f64) -> Vec<f64> {
    // best[b]: the least loss with which b parts (the last: or more) are pruned by the units so far.
    let mut best = vec![f64::INFINITY; BUDGET + 1];
    best[0] = 0.0;
    // For each unit and b: the choice of that unit, and the parts that the units before it prune.
    let mut trace: Vec<Vec<(u8, u16)>> = Vec::with_capacity(curves.len());
    for curve in curves {
        let from = curve.range().0;
        let parts = |s: f64| ((s - from) * curve.weights as f64 / part) as usize;
        let costs: Vec<(usize, f64)> = curve.choices().iter().map(|s| (parts(*s), curve.at(*s))).collect();
        let (mut next, mut steps) = (vec![f64::INFINITY; BUDGET + 1], vec![(0, 0); BUDGET + 1]);
        for (b, loss) in best.iter().enumerate().filter(|(_, loss)| loss.is_finite()) {
            for (choice, (parts, increase)) in costs.iter().enumerate() {
                let to = (b + parts).min(BUDGET);
                if loss + increase < next[to] {
                    (next[to], steps[to]) = (loss + increase, (choice as u8, b as u16));
                }
            }
        }
        best = next;
        trace.push(steps);
    }
    let mut b = (0..=BUDGET).rev().find(|b| best[*b].is_finite()).unwrap_or(0);
    let mut chosen = vec![0.0; curves.len()];
    for (unit, steps) in trace.iter().enumerate().rev() {
        let (choice, before) = steps[b];
        chosen[unit] = curves[unit].choices()[usize::from(choice)];
        b = usize::from(before);
    }
    chosen
}

/// Moves every sparsity towards its unit's smallest or largest one, each by the same fraction of the distance, so that
/// the fraction `target` of all weights is pruned.
pub fn scaled(curves: &[Curve], sparsities: &[f64], target: f64) -> Vec<f64> {
    let pruned = |s: &[f64]| -> f64 { curves.iter().zip(s).map(|(c, s)| c.weights as f64 * s).sum() };
    let clamped = curves.iter().zip(sparsities).map(|(c, s)| s.clamp(c.range().0, c.range().1));
    let sparsities: Vec<f64> = clamped.collect();
    let wanted = target * curves.iter().map(|c| c.weights as f64).sum::<f64>();
    let now = pruned(&sparsities);
    let bound = |c: &Curve| if now > wanted { c.range().0 } else { c.range().1 };
    let bound: Vec<f64> = curves.iter().map(bound).collect();
    let way = pruned(&bound) - now;
    let share = if way == 0.0 { 0.0 } else { ((wanted - now) / way).clamp(0.0, 1.0) };
    sparsities.iter().zip(bound).map(|(s, bound)| s + share * (bound - s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve(weights: usize, sensitivity: f64) -> Curve {
        let loss = |s: f64| sensitivity * -(1.0f64 - s).ln();
        Curve { weights, points: [0.0, 0.5, 0.8, 0.95].map(|s| (s, loss(s))).to_vec() }
    }

    #[test]
    fn a_unit_that_costs_more_is_pruned_less_and_the_target_is_exact() {
        let curves = [curve(1000, 1.0), curve(1000, 2.0), curve(2000, 1.0)];
        let sparsities = allocate(&curves, 0.8);
        assert!(sparsities[1] < sparsities[0] - 0.05, "{sparsities:?}");
        let pruned: f64 = curves.iter().zip(&sparsities).map(|(c, s)| c.weights as f64 * s).sum();
        assert!((pruned - 3200.0).abs() < 1e-6, "{pruned}");
    }

    #[test]
    fn a_unit_whose_loss_is_a_cliff_stays_dense() {
        let cliff = Curve { weights: 1000, points: vec![(0.0, 0.0), (0.1, 100.0), (0.95, 101.0)] };
        let sparsities = allocate(&[cliff, curve(1000, 1.0), curve(1000, 1.0)], 0.6);
        assert!(sparsities[0] < 0.01, "{sparsities:?}");
    }

    #[test]
    fn what_cannot_be_reached_is_approached_and_what_is_reached_stays() {
        let curves = [curve(10, 1.0), curve(30, 1.0)];
        assert_eq!(allocate(&curves, 0.99), [0.95, 0.95]);
        assert_eq!(allocate(&curves, 0.0), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn the_predicted_loss_is_never_above_that_of_one_sparsity_for_all(
            units in prop::collection::vec((1usize..4, 0.01f64..10.0), 2..6),
            target in 0.05f64..0.9,
        ) {
            let curves: Vec<Curve> = units.iter().map(|(n, s)| curve(n * 1000, *s)).collect();
            let total: f64 = curves.iter().map(|c| c.weights as f64).sum();
            let sparsities = allocate(&curves, target);
            let pruned: f64 = curves.iter().zip(&sparsities).map(|(c, s)| c.weights as f64 * s).sum();
            prop_assert!((pruned - target * total).abs() < 1e-6 * total);
            let loss = |s: &[f64]| -> f64 { curves.iter().zip(s).map(|(c, s)| c.at(*s)).sum() };
            let uniform = vec![target; curves.len()];
            prop_assert!(loss(&sparsities) <= loss(&uniform) * 1.05 + 1e-9);
        }
    }
}
