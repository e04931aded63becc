//! The results of `obertc bench`.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::super::{Format, print};
use super::args::Program;

/// A point of the benchmark: the threads, batch size and sequence length with which all programs are measured.
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

/// The table's header. The last columns, one for each other program, give the speed relative to that program's INT8
/// model.
fn header(rivals: &[Program]) -> Table {
    let fixed =
        ["threads", "batch", "length", "program", "p50 ms", "p99 ms", "sequences/s", "MiB", "times as fast"];
    let names = fixed.into_iter().map(str::to_owned);
    let names = names.chain(rivals.iter().map(|rival| format!("as {} int8", rival.name())));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(names);
    for (_, column) in table.column_iter_mut().enumerate().filter(|(i, _)| *i != 3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Prints the results of a point as soon as they are there, so that a run that is stopped has printed what it measured.
pub(super) fn show(format: Format, point: Point, measured: &[Measured], rivals: &[Program]) {
    let mut table = header(rivals);
    let Point { threads, batch, length } = point;
    let median = |program: &Measured| quantile(&program.times, 0.5);
    let of_rival = |rival: &Program, kind: &str| {
        let name = format!("{} dense {kind}", rival.name());
        measured.iter().find(|m| m.program == name).map_or(f64::NAN, median)
    };
    // The baseline is the first other program in float32; without one, the first model.
    let base = match rivals.first() {
        Some(rival) => of_rival(rival, "f32"),
        None => measured.first().map_or(f64::NAN, median),
    };
    let int8: Vec<(Program, f64)> = rivals.iter().map(|rival| (*rival, of_rival(rival, "int8"))).collect();
    for program in measured {
        let Measured { program: name, times, memory } = program;
        let p50 = median(program);
        let p99 = quantile(times, 0.99);
        let rate = batch as f64 / p50;
        let mebibytes = memory.map(|bytes| bytes as f64 / f64::from(1 << 20));
        if format == Format::Json {
            let mut line = json!({
                "threads": threads, "batch": batch, "length": length, "program": name,
                "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3, "sequences_per_second": rate,
                "mebibytes": mebibytes, "times_as_fast": base / p50, "runs": times.len(),
            });
            for (rival, int8) in &int8 {
                line[format!("times_as_fast_as_{}_int8", rival.package())] = (int8 / p50).into();
            }
            print(&format!("{line}\n"));
            continue;
        }
        let mut row = vec![
            threads.to_string(),
            batch.to_string(),
            length.to_string(),
            name.clone(),
            format!("{:.2}", p50 * 1e3),
            format!("{:.2}", p99 * 1e3),
            format!("{rate:.1}"),
            mebibytes.map_or_else(String::new, |m| format!("{m:.0}")),
            format!("{:.1}", base / p50),
        ];
        row.extend(int8.iter().map(|(_, int8)| format!("{:.1}", int8 / p50)));
        table.add_row(row);
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
