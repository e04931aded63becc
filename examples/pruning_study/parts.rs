//! The questions of the study: which ways to prune are compared.

use clap::ValueEnum;
use obert::internals::schedule::ir::{Criterion, Obs, Update};

use super::Arguments;
use super::subject::Subject;

/// A part of the study, with a table and a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// By magnitude, single weights, blocks of both updates, and the most estimates in a row.
    Criteria,
    /// Sizes of the Fisher block.
    Blocks,
    /// Numbers of gradients.
    Gradients,
    /// Damps, with the exact update.
    Damp,
    /// Damps, with the paper's update.
    DampIndependent,
    /// Estimates in a row.
    Recompute,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 6] =
        [Part::Criteria, Part::Blocks, Part::Gradients, Part::Damp, Part::DampIndependent, Part::Recompute];
}

impl std::fmt::Display for Part {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no part is hidden");
        out.write_str(value.get_name())
    }
}

/// What a part compares.
pub struct Compared {
    pub part: Part,
    pub caption: String,
    /// Names and criteria, as they are shown.
    pub ways: Vec<(String, Criterion)>,
}

/// The parts that were asked for.
pub fn all(arguments: &Arguments, subject: &Subject) -> Vec<Compared> {
    arguments.parts.iter().map(|part| compared(*part, arguments, subject)).collect()
}

fn compared(part: Part, arguments: &Arguments, subject: &Subject) -> Compared {
    let own = |change: &dyn Fn(&mut Obs)| {
        let mut obs = subject.obs.clone();
        change(&mut obs);
        Criterion::Obs(obs)
    };
    let (m, few) = (arguments.gradients, arguments.round_gradients);
    let damp = format!("λ = {:e}", subject.obs.damp);
    let batch = subject.obs.batch;
    let in_a_row = |n: usize| own(&|o| (o.recompute, o.gradients) = (n, few));
    let damped = |update: Update| {
        let damps = ["1e-3", "1e-4", "1e-5", "1e-6", "1e-7", "1e-8"];
        let one = |d: &str| d.parse::<f64>().expect("a number");
        damps.map(|d| (format!("λ = {d}"), own(&|o| (o.damp, o.update) = (one(d), update)))).to_vec()
    };
    let (caption, ways) = match part {
        Part::Criteria => {
            let mut ways = vec![
                ("magnitude".to_owned(), Criterion::Magnitude),
                ("B = 1".to_owned(), own(&|o| o.block = 1)),
                ("B = 50, independent".to_owned(), own(&|o| o.update = Update::Independent)),
                ("B = 50, exact".to_owned(), own(&|_| ())),
            ];
            // Costly, and at hand where they are compared among themselves.
            if let (true, Some(most)) =
                (arguments.parts.contains(&Part::Recompute), arguments.rounds.iter().max())
            {
                ways.push((format!("B = 50, exact, {most} × {few}"), in_a_row(*most)));
            }
            (format!("By each criterion: {m} gradients of {batch} windows, {damp}."), ways)
        }
        Part::Blocks => (
            format!("Over sizes of the Fisher block: exact, {m} gradients of {batch} windows, {damp}."),
            [1, 4, 16, 50, 128].map(|b| (format!("B = {b}"), own(&|o| o.block = b))).to_vec(),
        ),
        Part::Gradients => {
            let counts = [16, 8, 4, 2, 1].map(|part| (m / part).max(1));
            (
                format!("Over numbers of gradients of {batch} windows: exact, B = 50, {damp}."),
                counts.map(|n| (format!("m = {n}"), own(&|o| o.gradients = n))).to_vec(),
            )
        }
        Part::Damp => {
            (format!("Over damps: exact, B = 50, {m} gradients of {batch} windows."), damped(Update::Exact))
        }
        Part::DampIndependent => (
            format!("Over damps: independent, B = 50, {m} gradients of {batch} windows."),
            damped(Update::Independent),
        ),
        Part::Recompute => (
            format!(
                "Over estimates in a row, each from {few} gradients of {batch} windows: exact, B = 50, {damp}."
            ),
            arguments.rounds.iter().map(|n| (format!("{n} × {few}"), in_a_row(*n))).collect(),
        ),
    };
    Compared { part, caption, ways }
}
