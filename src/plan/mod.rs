//! `obertc plan`: the events of a schedule, their cost and memory, as text, charts and JSON.
//!
//! - [`events`]: the events of a stage, described in words;
//! - [`cost`]: the numbers of gradients and Fisher blocks of the pruning events;
//! - [`memory`]: an estimate of a stage's memory;
//! - [`table`]: events, cost and memory as text, stage by stage;
//! - [`curves`]: sparsity and learning rate by step, drawn by [`terminal_chart`] and [`svg_chart`];
//! - [`svg`]: SVG elements and axes, for this chart and for those of reports and trials;
//! - [`document`]: everything as JSON;
//! - [`diff`]: the differences between two plans.

pub mod cost;
mod curves;
pub mod diff;
pub mod document;
pub mod events;
pub mod memory;
pub mod svg;
pub mod svg_chart;
pub mod table;
pub mod terminal_chart;
