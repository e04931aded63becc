//! The events that the engine tells, the page that documents them, and who reads them.

use std::collections::BTreeSet;

use obert::internals::engine::events::{Environment, Event, FORMAT};
use obert::internals::engine::results::LayerSparsity;
use obert::internals::output::report;
use obert::internals::output::tensorboard::{Board, Entry};
use prost::Message;

/// An event of each kind, with every field that may be left out.
fn every_event() -> Vec<Event> {
    let stage = || "s".to_owned();
    let layers = || {
        vec![LayerSparsity { name: "bert.encoder.layer.0.output.dense.weight".into(), count: 8, zeros: 6 }]
    };
    let list = vec![
        Event::Environment(Environment {
            command: vec!["obertc".into(), "run".into(), "r.obert".into()],
            recipe_text: "recipe r".into(),
            processor: Some("cpu".into()),
            machine_memory: Some(1 << 30),
            ..Environment::default()
        }),
        Event::RunStarted {
            format: FORMAT,
            recipe: "r".into(),
            version: "0.1.0",
            seed: 7,
            device: "cpu".into(),
            examples: 64,
        },
        Event::StageStarted { stage: stage(), branch: false, steps: 2, steps_per_epoch: 1 },
        Event::Step {
            stage: stage(),
            step: 0,
            epoch: 0.0,
            loss: 1.5,
            task_loss: 2.0,
            distill_loss: Some(1.0),
            hidden_loss: Some(0.25),
            lr: 1e-3,
            gradient_norm: 0.5,
            seconds: 0.25,
        },
        Event::Pruned {
            stage: stage(),
            step: 1,
            at: "1 epoch".into(),
            parameters: 1,
            target: 0.75,
            sparsity: 0.75,
            raised_damp: Some(1e-6),
            lengths: vec![0.5],
            layers: layers(),
            seconds: 2.0,
            memory: Some(1 << 20),
        },
        Event::Quantized {
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
        },
        Event::RangesFixed { stage: stage(), step: 2, tensors: 16 },
        Event::Evaluated { stage: stage(), step: 2, metrics: [("f1".to_owned(), 88.5)].into(), seconds: 0.5 },
        Event::Kept { stage: stage(), step: 2, metric: "f1".into(), value: 88.5 },
        Event::StageFinished {
            stage: stage(),
            sparsity: 0.75,
            layers: layers(),
            values: 10,
            nonzero: 4,
            encoder_bytes: 16,
            seconds: 3.0,
            memory: Some(1 << 21),
        },
        Event::RunFinished { seconds: 4.0, memory: Some(1 << 22) },
        Event::RunFailed { code: "OB0916".into(), message: "the loss is not finite".into(), seconds: 4.0 },
    ];
    // A new event does not compile here until it is in the list above.
    for event in &list {
        match event {
            Event::Environment(_)
            | Event::RunStarted { .. }
            | Event::StageStarted { .. }
            | Event::Step { .. }
            | Event::Pruned { .. }
            | Event::Quantized { .. }
            | Event::RangesFixed { .. }
            | Event::Evaluated { .. }
            | Event::Kept { .. }
            | Event::StageFinished { .. }
            | Event::RunFinished { .. }
            | Event::RunFailed { .. } => {}
        }
    }
    list
}

/// The headings of docs/run-log.md about events, each with the fields of its table.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/run-log.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut list: Vec<(String, BTreeSet<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let event = heading.strip_prefix('`').and_then(|h| h.strip_suffix('`'));
            list.push((event.unwrap_or(heading).to_owned(), BTreeSet::new()));
        } else if let (Some((_, fields)), Some(row)) = (list.last_mut(), line.strip_prefix("| `")) {
            fields.insert(row.split('`').next().unwrap().to_owned());
        }
    }
    list
}

#[test]
fn every_field_of_every_event_is_documented_and_every_documented_field_is_told() {
    let documented = documented();
    let mut told: Vec<(String, BTreeSet<String>)> = Vec::new();
    let keys = |value: &serde_json::Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().filter(|k| *k != "event").cloned().collect()
    };
    for event in every_event() {
        let value = serde_json::to_value(&event).unwrap();
        told.push((value["event"].as_str().unwrap().to_owned(), keys(&value)));
        if value["event"] == "pruned" {
            told.push(("A parameter in `layers`".into(), keys(&value["layers"][0])));
        }
    }
    told.sort();
    let mut sorted = documented;
    sorted.sort();
    assert_eq!(told, sorted);
}

#[test]
fn what_the_engine_tells_is_what_the_report_reads() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        every_event().iter().map(|e| serde_json::to_string(e).unwrap() + "\n").take(11).collect();
    std::fs::write(folder.path().join("run.jsonl"), lines).unwrap();
    let (record, warnings) = report::read(folder.path()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    // Whatever is told comes back: the record holds each event's fields under the same names.
    let known = serde_json::to_value(&record).unwrap();
    let stage = &known["stages"][0];
    let places = [
        ("environment", &known["environment"]),
        ("run_started", &known["started"]),
        ("step", &stage["curve"][0]),
        ("pruned", &stage["prunes"][0]),
        ("quantized", &stage["roundings"][0]),
        ("evaluated", &stage["evaluations"][0]),
        ("kept", &stage["kept"]),
        ("stage_finished", &stage["end"]),
    ];
    let events: Vec<serde_json::Value> =
        every_event().iter().map(|e| serde_json::to_value(e).unwrap()).collect();
    for (name, read) in places {
        let told = events.iter().find(|e| e["event"] == name).unwrap();
        for (key, value) in
            told.as_object().unwrap().iter().filter(|(k, _)| !["event", "stage"].contains(&k.as_str()))
        {
            assert_eq!(&read[key], value, "{name}.{key}");
        }
    }
    assert_eq!((&known["seconds"], &known["memory"]), (&4.0.into(), &(1u64 << 22).into()));
    assert_eq!((&stage["steps"], &stage["steps_per_epoch"]), (&2.into(), &1.into()));
}

/// The records of a file: their lengths and both checksums are held against a table-driven CRC-32C.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let table: Vec<u32> = (0..256u32)
        .map(|n| (0..8).fold(n, |c, _| if c & 1 == 1 { (c >> 1) ^ 0x82f6_3b78 } else { c >> 1 }))
        .collect();
    let masked = |bytes: &[u8]| {
        let crc = !bytes.iter().fold(!0u32, |c, b| (c >> 8) ^ table[((c ^ u32::from(*b)) & 255) as usize]);
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    };
    let mut rest = bytes;
    let mut list = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(masked(&rest[..8]).to_le_bytes(), rest[8..12]);
        let data = &rest[12..12 + length];
        assert_eq!(masked(data).to_le_bytes(), rest[12 + length..16 + length]);
        list.push(Entry::decode(data).unwrap());
        rest = &rest[16 + length..];
    }
    list
}

#[test]
fn tensorboards_file_holds_every_figure_at_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = Board::create(folder.path()).unwrap();
    let branch = Event::StageStarted { stage: "b".into(), branch: true, steps: 0, steps_per_epoch: 1 };
    let measured = |stage: &str, step| Event::Evaluated {
        stage: stage.into(),
        step,
        metrics: [("f1".to_owned(), 50.0)].into(),
        seconds: 0.0,
    };
    let more = Event::StageStarted { stage: "t".into(), branch: false, steps: 5, steps_per_epoch: 1 };
    let later = [branch, measured("b", 0), more, measured("t", 3)];
    for event in every_event().iter().chain(&later) {
        board.append(event).unwrap();
    }
    drop(board);
    let file = std::fs::read_dir(folder.path().join("tensorboard")).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_string_lossy().contains("tfevents"), "{file:?}");
    let entries = entries(&std::fs::read(file.path()).unwrap());
    assert_eq!(entries[0].file_version.as_deref(), Some("brain.Event:2"));
    let figures: Vec<(i64, String, f32)> = entries[1..]
        .iter()
        .flat_map(|e| {
            e.summary.iter().flat_map(|s| &s.value).map(|v| (e.step, v.tag.clone(), v.simple_value))
        })
        .collect();
    let expected = [
        (0, "train/loss", 1.5),
        (0, "train/task_loss", 2.0),
        (0, "train/lr", 1e-3),
        (0, "train/gradient_norm", 0.5),
        (0, "train/distill_loss", 1.0),
        (1, "prune/sparsity", 0.75),
        (1, "prune/seconds", 2.0),
        (1, "sparsity/bert.encoder.layer.0.output.dense.weight", 0.75),
        (2, "eval/f1", 88.5),
        (2, "branch b/eval/f1", 50.0),
        (5, "eval/f1", 50.0),
    ];
    assert_eq!(figures, expected.map(|(step, tag, value)| (step, tag.to_owned(), value)));
}
