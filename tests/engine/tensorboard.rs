//! TensorBoard's event files, read again record by record.

use obert::internals::output::tensorboard::{Board, Entry};
use obert::runlog::{Evaluated, Event, LayerSparsity, Pruned, StageStarted, Step};
use prost::Message;

/// The events of a stage that have something to show.
fn events() -> Vec<Event> {
    let stage = || "s".to_owned();
    let name = "bert.encoder.layer.0.output.dense.weight".to_owned();
    vec![
        Event::StageStarted(StageStarted { stage: stage(), branch: false, steps: 2, steps_per_epoch: 1 }),
        Event::Step(Step {
            stage: stage(),
            loss: Some(1.5),
            task_loss: Some(2.0),
            distill_loss: Some(1.0),
            lr: Some(1e-3),
            gradient_norm: Some(0.5),
            ..Step::default()
        }),
        Event::Pruned(Pruned {
            stage: stage(),
            step: 1,
            sparsity: 0.75,
            layers: vec![LayerSparsity { name, count: 8, zeros: 6 }],
            seconds: 2.0,
            ..Pruned::default()
        }),
        evaluated("s", 2, 88.5),
    ]
}

fn evaluated(stage: &str, step: u64, f1: f64) -> Event {
    let metrics = [("f1".to_owned(), Some(f1))].into();
    Event::Evaluated(Evaluated { stage: stage.into(), step, metrics, seconds: 0.0 })
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
    let started = |stage: &str, branch, steps| {
        Event::StageStarted(StageStarted { stage: stage.into(), branch, steps, steps_per_epoch: 1 })
    };
    let later =
        [started("b", true, 0), evaluated("b", 0, 50.0), started("t", false, 5), evaluated("t", 3, 50.0)];
    for event in events().iter().chain(&later) {
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
