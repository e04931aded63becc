//! Lowering from the typed recipe to the schedule: spans are dropped, optional windows are filled in.

use crate::schedule::ir::{
    Distill, Expectation, FORMAT, Hold, LrFactor, LrPiece, ParameterValue, Prune, Quantize, Schedule,
    SparsityException, Stage, Targets,
};
use crate::schedule::{Time, Window};

use super::check::recipe;

/// Lowers a recipe without errors.
pub fn lower(recipe: &recipe::Recipe) -> Schedule {
    Schedule {
        format: FORMAT,
        name: recipe.name.value.clone(),
        doc: recipe.doc.clone(),
        seed: recipe.seed,
        model: recipe.model.value.clone(),
        data: recipe.data.value.clone(),
        stages: recipe.stages.iter().map(stage).collect(),
        expect: recipe
            .expect
            .iter()
            .map(|e| Expectation {
                metric: e.metric.value.clone(),
                least: e.range.value.0,
                most: e.range.value.1,
            })
            .collect(),
        parameters: recipe
            .parameters
            .iter()
            .map(|(name, value, set)| ParameterValue { name: name.clone(), value: value.clone(), set: *set })
            .collect(),
    }
}

fn stage(stage: &recipe::Stage) -> Stage {
    Stage {
        name: stage.name.value.clone(),
        doc: stage.doc.clone(),
        branch_from: stage.branch_from.as_ref().map(|b| b.value.clone()),
        length: stage.length.value,
        train: stage.train.clone(),
        layers: stage.layers.as_ref().map(|l| l.value.clone()),
        lr_factors: stage
            .lr_factors
            .iter()
            .map(|(on, factor)| LrFactor { targets: targets(on), factor: *factor })
            .collect(),
        lr: stage
            .lr
            .iter()
            .map(|piece| LrPiece {
                start: piece.over.value.start,
                end: piece.over.value.end,
                ramp: piece.ramp.value,
                repeating: piece.repeating.as_ref().map(|r| r.value),
            })
            .collect(),
        prune: stage.prune.iter().map(prune).collect(),
        hold: stage.hold.iter().map(hold).collect(),
        freeze: stage.freeze.iter().map(hold).collect(),
        quantize: stage.quantize.iter().filter_map(quantize).collect(),
        distill: stage.distill.as_ref().map(|distill| Distill {
            from: distill.from.value.clone(),
            start: distill.over.value.start,
            end: distill.over.value.end,
            hardness: distill.hardness.value,
            temperature: distill.temperature.value,
            outputs: distill.outputs.iter().map(|o| o.value.clone()).collect(),
            hidden: distill.hidden.as_ref().map(|h| h.value.clone()),
        }),
        evaluate_every: stage.evaluate_every.as_ref().map(|e| e.value),
        keep_best: stage.keep_best.as_ref().map(|k| k.value.clone()),
    }
}

fn prune(prune: &recipe::Prune) -> Prune {
    Prune {
        targets: targets(&prune.targets),
        window: match (&prune.over, &prune.every) {
            (Some(over), Some(every)) => {
                Window { start: over.value.start, end: over.value.end, every: every.value }
            }
            _ => Window::once(Time::ZERO),
        },
        sparsity: prune.sparsity.value,
        exceptions: prune
            .exceptions
            .iter()
            .map(|e| SparsityException { targets: targets(&e.targets), sparsity: e.sparsity.value })
            .collect(),
        pattern: prune.pattern.value,
        rank: prune.rank.value,
        at_most: prune.at_most.as_ref().map(|limit| limit.value),
        reconstruct: prune.reconstruct,
        by: prune.by.value.clone(),
    }
}

fn hold(hold: &recipe::Hold) -> Hold {
    Hold { targets: targets(&hold.targets), start: hold.over.value.start, end: hold.over.value.end }
}

/// `None` if weights are not quantized, which the checker rejects.
fn quantize(quantize: &recipe::Quantize) -> Option<Quantize> {
    let start = quantize.over.value.start;
    Some(Quantize {
        targets: targets(&quantize.targets),
        start,
        end: quantize.over.value.end,
        weights: quantize.weights.value?,
        activations: quantize.activations.value,
        freeze: quantize.freeze.as_ref().and_then(|f| start.plus(f.value)),
        calibrate: quantize.calibrate.value,
        // The operands of attention's products are activations.
        attention: quantize.attention && quantize.activations.value.is_some(),
    })
}

fn targets(targets: &recipe::Targets) -> Targets {
    Targets { selector: targets.selector.value.clone(), expect: targets.expect.as_ref().map(|e| e.value) }
}
