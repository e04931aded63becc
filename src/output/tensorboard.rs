//! Event files for TensorBoard: `tensorboard/events.out.tfevents.*`.
//!
//! A file is a sequence of records: the length of the data in eight bytes, a masked CRC-32C of the length, the data,
//! and a masked CRC-32C of the data. The data is an `Event` message, with the fields that scalars need
//! (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto, tensorflow/core/lib/io/record_writer.h).

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::diag::{Code, Diagnostic};
use crate::files;
use crate::runlog::{Event, Number};

/// A record's message.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The step on the horizontal axis.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// Only in the first record.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// The scalars.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Scalars>,
}

/// Scalars of one step.
#[derive(Clone, PartialEq, Message)]
pub struct Scalars {
    /// The scalars.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Scalar>,
}

/// A scalar with its name.
#[derive(Clone, PartialEq, Message)]
pub struct Scalar {
    /// Its name; the part before a `/` groups charts.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// Its value.
    #[prost(float, tag = "2")]
    pub simple_value: f32,
}

/// Writes the scalars of a run. Steps are counted through all stages; a branch counts from the step at which it starts,
/// and the names of its scalars begin with its own.
#[derive(Debug)]
pub struct Board {
    path: PathBuf,
    file: File,
    /// For each stage the number of its first step, and the prefix of its names.
    stages: HashMap<String, (u64, String)>,
    /// The number of the next stage's first step.
    end: u64,
}

impl Board {
    /// Creates a file in the run's folder. TensorBoard reads all files of a folder as one run, so a resumed
    /// run creates another.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub fn create(run: &Path) -> Result<Self, Diagnostic> {
        let folder = run.join("tensorboard");
        files::output_folder(&folder)?;
        let name = format!("events.out.tfevents.{:010}.obert.{}", now() as u64, std::process::id());
        let path = folder.join(name);
        let file = File::create(&path).map_err(|e| failed(&path, &e))?;
        let mut board = Board { path, file, stages: HashMap::new(), end: 0 };
        let version = Some("brain.Event:2".to_owned());
        board.write(&Entry { wall_time: now(), step: 0, file_version: version, summary: None })?;
        Ok(board)
    }

    /// Adds the scalars of an event.
    ///
    /// # Errors
    /// A record that cannot be written.
    pub fn append(&mut self, event: &Event) -> Result<(), Diagnostic> {
        match event {
            Event::StageStarted(started) => {
                let stage = &started.stage;
                let prefix = if started.branch { format!("branch {stage}/") } else { String::new() };
                self.stages.insert(stage.clone(), (self.end, prefix));
                if !started.branch {
                    self.end += started.steps;
                }
                Ok(())
            }
            Event::Step(step) => {
                let mut scalars = vec![
                    ("train/loss".to_owned(), step.loss),
                    ("train/task_loss".to_owned(), step.task_loss),
                    ("train/lr".to_owned(), step.lr),
                    ("train/gradient_norm".to_owned(), step.gradient_norm),
                ];
                scalars.extend(step.distill_loss.map(|loss| ("train/distill_loss".to_owned(), Some(loss))));
                self.scalars(&step.stage, step.step, scalars)
            }
            Event::Pruned(pruned) => {
                let mut scalars = vec![
                    ("prune/sparsity".to_owned(), Some(pruned.sparsity)),
                    ("prune/seconds".to_owned(), Some(pruned.seconds)),
                ];
                let layers = pruned.layers.iter();
                scalars.extend(layers.map(|layer| (format!("sparsity/{}", layer.name), Some(layer.share()))));
                self.scalars(&pruned.stage, pruned.step, scalars)
            }
            Event::Evaluated(evaluated) => {
                let metrics = evaluated.metrics.iter();
                let scalars = metrics.map(|(name, value)| (format!("eval/{name}"), *value)).collect();
                self.scalars(&evaluated.stage, evaluated.step, scalars)
            }
            _ => Ok(()),
        }
    }

    /// Writes scalars; a number that is not finite as NaN.
    fn scalars(&mut self, stage: &str, step: u64, scalars: Vec<(String, Number)>) -> Result<(), Diagnostic> {
        let (begin, prefix) = self.stages.get(stage).cloned().unwrap_or_default();
        let value = scalars
            .into_iter()
            .map(|(name, value)| {
                let simple_value = value.unwrap_or(f64::NAN) as f32;
                Scalar { tag: format!("{prefix}{name}"), simple_value }
            })
            .collect();
        let step = i64::try_from(begin + step).unwrap_or(i64::MAX);
        let summary = Some(Scalars { value });
        self.write(&Entry { wall_time: now(), step, file_version: None, summary })
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Diagnostic> {
        let record = framed(&entry.encode_to_vec());
        self.file.write_all(&record).map_err(|e| failed(&self.path, &e))
    }
}

/// A record around its data.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

/// The masked CRC-32C of TFRecord files: rotated by 15 bits, plus a constant.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn failed(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::unlocated(Code::WriteFailed, format!("cannot write `{}`: {error}", path.display()))
        .help("is there space, and may you write there?")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first record of any file that TensorFlow writes, but for the time, which is zero here; framed
    /// by tensorboard 2.21's `RecordWriter`.
    #[test]
    fn a_record_is_framed_as_tensorboard_frames_it() {
        let version = Some("brain.Event:2".to_owned());
        let entry = Entry { wall_time: 0.0, step: 0, file_version: version, summary: None };
        let data = entry.encode_to_vec();
        assert_eq!(data, b"\x1a\x0dbrain.Event:2");
        let hex: String = framed(&data).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "0f000000000000006d532b091a0d627261696e2e4576656e743a32fc985129";
}
