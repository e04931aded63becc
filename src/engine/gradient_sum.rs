//! The sum of the gradients of a step's batches, in the order of the batches, over ranks.
//!
//! Floating-point sums depend on their order. Here every element is summed in the order in which one process
//! accumulates it, so that the result has the same bits for any number of ranks: each rank owns a slice of all
//! elements, receives that slice of every batch's gradient (all-to-all), adds them in order, and the sums are gathered
//! (all-gather). Per step and rank that is 2 (N - 1) / N times the size of the gradient for N batches on N ranks, as in
//! a ring all-reduce.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Tensor, TensorData};

use crate::ranks::Ranks;

/// The sum of gradients so far.
pub struct GradientSum<'a, M: Module> {
    model: &'a M,
    sum: Sum<'a, M>,
}

enum Sum<'a, M: Module> {
    Alone(GradientsAccumulator<M>),
    Shared(Shared<'a>),
}

/// This rank's part of the sum.
struct Shared<'a> {
    ranks: &'a Ranks,
    /// The trained parameters, one after the other in the order of the model.
    parameters: Vec<Parameter>,
    /// The number of their elements.
    count: usize,
    /// The sums of this rank's elements.
    slice: Vec<f32>,
    /// For each parameter whether a batch had a gradient of it.
    has: Vec<bool>,
}

struct Parameter {
    id: ParamId,
    /// Its elements among all.
    place: Range<usize>,
}

impl<'a, M: Module> GradientSum<'a, M> {
    /// A sum of zero batches.
    pub fn new(ranks: &'a Ranks, model: &'a M) -> Self {
        let sum = match ranks.is_alone() {
            true => Sum::Alone(GradientsAccumulator::new()),
            false => Sum::Shared(Shared::new(ranks, model)),
        };
        GradientSum { model, sum }
    }

    /// Adds the gradients of a round of batches: rank r gives those of the r-th, or none if there are fewer batches than
    /// ranks or nothing is trained.
    pub fn add(&mut self, gradients: Option<GradientsParams>) {
        match (&mut self.sum, gradients) {
            (Sum::Alone(sum), Some(gradients)) => sum.accumulate(self.model, gradients),
            (Sum::Alone(_), None) => {}
            (Sum::Shared(sum), gradients) => sum.add(self.model, gradients),
        }
    }

    /// The sum, on every rank.
    pub fn finish(self) -> GradientsParams {
        match self.sum {
            Sum::Alone(mut sum) => sum.grads(),
            Sum::Shared(sum) => sum.finish(self.model),
        }
    }
}

impl<'a> Shared<'a> {
    fn new<M: Module>(ranks: &'a Ranks, model: &M) -> Self {
        let mut trained = Trained::default();
        model.visit(&mut trained);
        let Trained { parameters, count, .. } = trained;
        let slice = vec![0.0; ranks.slice(ranks.rank(), count).len()];
        let has = vec![false; parameters.len()];
        Shared { ranks, parameters, count, slice, has }
    }

    fn add<M: Module>(&mut self, model: &M, gradients: Option<GradientsParams>) {
        if self.parameters.is_empty() {
            return;
        }
        let ranks = self.ranks;
        let places = self.parameters.iter().enumerate().map(|(i, p)| (p.id, (i, p.place.clone())));
        let mut flat = Flatten {
            gradients: gradients.unwrap_or_default(),
            places: places.collect(),
            values: vec![0.0; self.count],
            has: vec![0; self.parameters.len()],
        };
        model.visit(&mut flat);
        let has = ranks.all_gather(&flat.has);
        let own = ranks.slice(ranks.rank(), self.count);
        let receives = vec![own.len(); ranks.size()];
        let received = ranks.all_to_all(&flat.values, &ranks.slices(self.count), &receives);
        for (rank, of_rank) in has.iter().enumerate() {
            let part = &received[rank * own.len()..][..own.len()];
            for (i, parameter) in self.parameters.iter().enumerate().filter(|(i, _)| of_rank[*i] == 1) {
                let (start, end) = (parameter.place.start.max(own.start), parameter.place.end.min(own.end));
                if start < end {
                    let range = start - own.start..end - own.start;
                    let (sum, part) = (&mut self.slice[range.clone()], &part[range]);
                    match self.has[i] {
                        false => sum.copy_from_slice(part),
                        true => sum.iter_mut().zip(part).for_each(|(sum, g)| *sum += g),
                    }
                }
                self.has[i] = true;
            }
        }
    }

    fn finish<M: Module>(self, model: &M) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        if self.parameters.is_empty() {
            return gradients;
        }
        let values = self.ranks.all_gather_floats(&self.slice, &self.ranks.slices(self.count));
        let present = self.parameters.into_iter().zip(self.has).filter(|(_, has)| *has);
        let places = present.map(|(p, _)| (p.id, p.place)).collect();
        model.visit(&mut Register { gradients: &mut gradients, places, values: &values });
        gradients
    }
}

/// Collects the trained parameters.
#[derive(Default)]
struct Trained {
    parameters: Vec<Parameter>,
    known: HashSet<ParamId>,
    count: usize,
}

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        // A parameter that the model uses twice has one gradient.
        if tensor.is_require_grad() && self.known.insert(param.id) {
            let start = self.count;
            self.count += tensor.dims().iter().product::<usize>();
            self.parameters.push(Parameter { id: param.id, place: start..self.count });
        }
    }
}

/// Copies gradients to their places among all elements.
struct Flatten {
    gradients: GradientsParams,
    places: HashMap<ParamId, (usize, Range<usize>)>,
    values: Vec<f32>,
    has: Vec<u8>,
}

impl ModuleVisitor for Flatten {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some((index, place)) = self.places.get(&param.id) else { return };
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        // invariant: gradients are floats and can be converted to f32.
        let values: Vec<f32> = gradient.into_data().convert::<f32>().try_to_vec().expect("f32 values");
        self.values[place.clone()].copy_from_slice(&values);
        self.has[*index] = 1;
    }
}

/// Makes gradients of the sums.
struct Register<'a> {
    gradients: &'a mut GradientsParams,
    places: HashMap<ParamId, Range<usize>>,
    values: &'a [f32],
}

impl ModuleVisitor for Register<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(place) = self.places.remove(&param.id) else { return };
        let weight = param.val().inner();
        let data = TensorData::new(self.values[place].to_vec(), weight.dims());
        self.gradients.register(param.id, Tensor::<D>::from_data(data, &weight.device()));
    }
}
