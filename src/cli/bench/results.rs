//! The results of `obertc bench`.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::super::{Format, print};

pub(super) const ONNX_RUNTIME_F32: &str = "ONNX Runtime dense f32";
pub(super) const ONNX_RUNTIME_INT8: &str = "ONNX Runtime dense int8";

/// With what all programs are measured.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) threads: u64,
    pub(super) batch: u64,
    /// Sequence length in tokens.
    pub(super) length: u64,
}

/// The times of one program at one point.
pub(super) struct Measured {
    pub(super) program: String,
    /// Seconds of each run.
    pub(super) times: Vec<f64>,
    /// Bytes that the program holds, if they are known.
    pub(super) memory: Option<u64>,
}

/// The table's header.
fn header() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "threads",
        "batch",
        "length",
        "program",
        "p50 ms",
        "p99 ms",
        "sequences/s",
        "MiB",
        "times as fast",
        "as ORT int8",
    ]);
    for i in [0, 1, 2, 4, 5, 6, 7, 8, 9] {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints the results of a point as soon as they are there, so that a run that is stopped has printed what it measured.
pub(super) fn show(format: Format, point: Point, measured: &[Measured]) {
    let mut table = header();
    let Point { threads, batch, length } = point;
    let median = |program: &Measured| quantile(&program.times, 0.5);
    let find = |name: &str| measured.iter().find(|m| m.program == name);
    // The baseline is ONNX Runtime in float32; without it, the first model.
    let base = find(ONNX_RUNTIME_F32).or(measured.first()).map_or(0.0, median);
    let int8 = find(ONNX_RUNTIME_INT8).map(median);
    for program in measured {
        let Measured { program: name, times, memory } = program;
        let p50 = median(program);
        let p99 = quantile(times, 0.99);
        let rate = batch as f64 / p50;
        let mebibytes = memory.map(|bytes| bytes as f64 / f64::from(1 << 20));
        if format == Format::Json {
            let line = json!({
                "threads": threads, "batch": batch, "length": length, "program": name,
                "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3, "sequences_per_second": rate,
                "mebibytes": mebibytes, "times_as_fast": base / p50,
                "times_as_fast_as_onnxruntime_int8": int8.map(|int8| int8 / p50), "runs": times.len(),
            });
            print(&format!("{line}\n"));
            continue;
        }
        table.add_row([
            threads.to_string(),
            batch.to_string(),
            length.to_string(),
            name.clone(),
            format!("{:.2}", p50 * 1e3),
            format!("{:.2}", p99 * 1e3),
            format!("{rate:.1}"),
            mebibytes.map_or_else(String::new, |m| format!("{m:.0}")),
            format!("{:.1}", base / p50),
            int8.map_or_else(String::new, |int8| format!("{:.1}", int8 / p50)),
        ]);
    }
    if format == Format::Full {
        print(&format!("{table}\n"));
    }
}

/// The quantile `share`, `0..=1`, of the times.
fn quantile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
