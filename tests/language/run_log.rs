//! The events of a run's log: the page that documents them, and the report that reads them.

use std::collections::BTreeMap;

use obert::internals::output::report;
use obert::runlog::{
    Environment, Evaluated, Event, FORMAT, Kept, LayerSparsity, Pruned, Quantized, RangesFixed, RunFailed,
    RunFinished, RunStarted, StageFinished, StageStarted, Step, Warning, WarningKind,
};
use serde_json::Value;

/// An event of each kind, with every field that may be left out.
pub fn every_event() -> Vec<Event> {
    let stage = || "s".to_owned();
    let layers = || {
        vec![LayerSparsity { name: "bert.encoder.layer.0.output.dense.weight".into(), count: 8, zeros: 6 }]
    };
    vec![
        Event::Environment(Environment {
            command: vec!["obertc".into(), "run".into(), "r.obert".into()],
            recipe_text: "recipe r".into(),
            processor: Some("cpu".into()),
            machine_memory: Some(1 << 30),
            ..Environment::default()
        }),
        Event::RunStarted(RunStarted {
            format: Some(FORMAT),
            recipe: "r".into(),
            version: "0.1.0".into(),
            seed: 7,
            device: "cpu".into(),
            examples: 64,
            weights: 1024,
        }),
        Event::StageStarted(StageStarted { stage: stage(), branch: false, steps: 2, steps_per_epoch: 1 }),
        Event::Step(Step {
            stage: stage(),
            step: 0,
            epoch: 0.0,
            loss: Some(1.5),
            task_loss: Some(2.0),
            distill_loss: Some(1.0),
            hidden_loss: Some(0.25),
            lr: Some(1e-3),
            gradient_norm: Some(0.5),
            seconds: Some(0.25),
        }),
        Event::Pruned(Pruned {
            stage: stage(),
            step: 1,
            at: "1 epoch".into(),
            parameters: 1,
            target: Some(0.75),
            sparsity: 0.75,
            raised_damp: Some(1e-6),
            step_sizes: vec![0.5],
            output_errors: vec![0.5, 0.25],
            layers: layers(),
            empty_outputs: 1,
            seconds: 2.0,
            memory: Some(1 << 20),
        }),
        Event::Quantized(Quantized {
            stage: stage(),
            step: 1,
            at: "1 epoch".into(),
            weights: 6,
            weight_bits: 8,
            activations: 10,
            activation_bits: Some(8),
            calibrated: 4,
            seconds: 0.5,
            memory: Some(1 << 20),
        }),
        Event::RangesFixed(RangesFixed { stage: stage(), step: 2, tensors: 16 }),
        Event::Evaluated(Evaluated {
            stage: stage(),
            step: 2,
            metrics: [("f1".to_owned(), Some(88.5))].into(),
            seconds: 0.5,
        }),
        Event::Warning(Warning {
            stage: stage(),
            step: 1,
            kind: WarningKind::AlmostEmpty,
            message: "m".into(),
            help: "h".into(),
        }),
        Event::Kept(Kept { stage: stage(), step: 2, metric: "f1".into(), value: 88.5 }),
        Event::StageFinished(StageFinished {
            stage: stage(),
            sparsity: 0.75,
            layers: layers(),
            values: Some(10),
            nonzero: Some(4),
            encoder_bytes: Some(16),
            seconds: 3.0,
            memory: Some(1 << 21),
        }),
        Event::RunFinished(RunFinished { seconds: 4.0, memory: Some(1 << 22) }),
        Event::RunFailed(RunFailed {
            code: "OB0916".into(),
            message: "the loss is not finite".into(),
            seconds: 4.0,
        }),
    ]
}

/// The fields of an event with their types, as the tables of docs/run-log.md name them.
type Fields = BTreeMap<String, String>;

/// The headings of docs/run-log.md about events, each with its table.
fn documented() -> BTreeMap<String, Fields> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/run-log.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut list: Vec<(String, Fields)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let event = heading.strip_prefix('`').and_then(|h| h.strip_suffix('`'));
            list.push((event.unwrap_or(heading).to_owned(), Fields::new()));
        } else if let (Some((_, fields)), Some(row)) = (list.last_mut(), line.strip_prefix("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            fields.insert(cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned());
        }
    }
    list.into_iter().collect()
}

/// The fields of an object with their types in the words of the page.
fn fields(value: &Value) -> Fields {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(list) => match list.first() {
            Some(Value::Number(_)) => "array of numbers",
            Some(Value::String(_)) => "array of strings",
            _ => "array",
        },
        Value::Object(_) => "object",
    };
    let object = value.as_object().unwrap().iter().filter(|(key, _)| *key != "event");
    object.map(|(key, value)| (key.clone(), kind(value).to_owned())).collect()
}

#[test]
fn every_field_of_every_event_is_documented_with_its_type_and_every_documented_field_is_written() {
    let documented = documented();
    let mut written: BTreeMap<String, Fields> = BTreeMap::new();
    for event in every_event() {
        let value = serde_json::to_value(&event).unwrap();
        written.insert(value["event"].as_str().unwrap().to_owned(), fields(&value));
        if value["event"] == "pruned" {
            written.insert("A parameter in `layers`".into(), fields(&value["layers"][0]));
        }
        // The same type reads what it writes.
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }
    assert_eq!(written.keys().collect::<Vec<_>>(), documented.keys().collect::<Vec<_>>());
    for (event, fields) in &written {
        let page = &documented[event];
        assert_eq!(fields.keys().collect::<Vec<_>>(), page.keys().collect::<Vec<_>>(), "{event}");
        for (field, kind) in fields {
            let on_page = page[field].trim_end_matches(" or null");
            assert_eq!(on_page, kind, "{event}.{field}");
        }
    }
}

#[test]
fn what_the_engine_writes_is_what_the_report_reads() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        every_event().iter().map(|e| serde_json::to_string(e).unwrap() + "\n").take(12).collect();
    std::fs::write(folder.path().join("run.jsonl"), lines).unwrap();
    let (record, warnings) = report::read(folder.path()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    // All that is written comes back: the record holds each event's fields under the same names.
    let known = serde_json::to_value(&record).unwrap();
    let stage = &known["stages"][0];
    let places = [
        ("environment", &known["environment"]),
        ("run_started", &known["started"]),
        ("step", &stage["curve"][0]),
        ("pruned", &stage["prunes"][0]),
        ("quantized", &stage["quantizations"][0]),
        ("evaluated", &stage["evaluations"][0]),
        ("warning", &known["warnings"][0]),
        ("kept", &stage["kept"]),
        ("stage_finished", &stage["end"]),
    ];
    let events: Vec<Value> = every_event().iter().map(|e| serde_json::to_value(e).unwrap()).collect();
    for (name, read) in places {
        let written = events.iter().find(|e| e["event"] == name).unwrap();
        for (key, value) in
            written.as_object().unwrap().iter().filter(|(k, _)| !["event", "stage"].contains(&k.as_str()))
        {
            assert_eq!(&read[key], value, "{name}.{key}");
        }
    }
    assert_eq!((&known["seconds"], &known["memory"]), (&4.0.into(), &(1u64 << 22).into()));
    assert_eq!((&stage["steps"], &stage["steps_per_epoch"]), (&2.into(), &1.into()));
}
