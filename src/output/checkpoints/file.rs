//! One checkpoint: a safetensors file that any reader of that format opens.
//!
//! Everything but tensors is JSON under `obert` in the metadata. The last tensor, `checksum`, is the
//! XXH3 (128 bits, as little-endian bytes) of everything before it. Masks are `U8`, all else `F32`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twox_hash::XxHash3_128;

use crate::diag::{Diagnostic, counted};
use crate::engine::position::Position;
use crate::engine::snapshot::{CheckpointTensor, Restored, Snapshot, TensorValues};
use crate::files;

use super::Identity;

/// The version of the JSON under `obert`.
pub const FORMAT: u32 = 1;

/// Bytes of the checksum.
const CHECKSUM: usize = 16;

/// The longest header in bytes.
const LONGEST_HEADER: u64 = 1 << 30;

/// The metadata of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of obert that wrote it.
    pub version: String,
    /// The inputs of the run.
    pub identity: Identity,
    /// The position of the run.
    pub position: Position,
    /// Bytes of `run.jsonl` so far.
    pub log_bytes: u64,
}

/// A tensor of the header.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// Writes a checkpoint with its checksum to a temporary file, flushes it to the disk and renames it.
///
/// # Errors
/// A file that cannot be written; earlier checkpoints are untouched.
pub fn write(path: &Path, header: &Header, snapshot: &Snapshot) -> Result<(), Diagnostic> {
    files::write_with(path, |file| {
        let mut file = Summed { file, sum: XxHash3_128::new() };
        let text = head(header, &snapshot.tensors).map_err(io::Error::other)?;
        file.write_all(&(text.len() as u64).to_le_bytes())?;
        file.write_all(text.as_bytes())?;
        for tensor in in_order(&snapshot.tensors) {
            let numbers = tensor.values();
            let count = match &numbers {
                TensorValues::Floats(floats) => floats.len(),
                TensorValues::Bits(bits) => bits.len(),
            };
            if count != tensor.count {
                let name = &tensor.name;
                return Err(io::Error::other(format!(
                    "`{name}` has {}, not {}",
                    counted(count, "number", "numbers"),
                    tensor.count
                )));
            }
            write_numbers(&mut file, &numbers)?;
        }
        let sum = file.sum.finish_128();
        file.file.write_all(&sum.to_le_bytes())
    })
}

/// Floats first, so that they are aligned to four bytes.
fn in_order<'a, 'b>(tensors: &'b [CheckpointTensor<'a>]) -> impl Iterator<Item = &'b CheckpointTensor<'a>> {
    let floats = tensors.iter().filter(|t| !t.bits);
    floats.chain(tensors.iter().filter(|t| t.bits))
}

fn head(header: &Header, tensors: &[CheckpointTensor]) -> Result<String, serde_json::Error> {
    let mut map = Map::new();
    map.insert("__metadata__".into(), json!({ "obert": serde_json::to_string(header)? }));
    let mut at = 0;
    let mut add = |name: &str, dtype: &str, count: usize, bytes: usize| {
        let entry = json!({ "dtype": dtype, "shape": [count], "data_offsets": [at, at + bytes] });
        map.insert(name.to_owned(), entry);
        at += bytes;
    };
    for tensor in in_order(tensors) {
        let (dtype, width) = if tensor.bits { ("U8", 1) } else { ("F32", 4) };
        add(&tensor.name, dtype, tensor.count, tensor.count * width);
    }
    add("checksum", "U8", CHECKSUM, CHECKSUM);
    let mut text = serde_json::to_string(&Value::Object(map))?;
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    Ok(text)
}

fn write_numbers(file: &mut impl Write, numbers: &TensorValues) -> io::Result<()> {
    /// Values that are converted to bytes at a time.
    const AT_ONCE: usize = 1 << 16;
    let mut bytes: Vec<u8> = Vec::with_capacity(4 * AT_ONCE);
    match numbers {
        TensorValues::Floats(floats) => {
            for some in floats.chunks(AT_ONCE) {
                bytes.clear();
                bytes.extend(some.iter().flat_map(|f| f.to_le_bytes()));
                file.write_all(&bytes)?;
            }
        }
        TensorValues::Bits(bits) => {
            for some in bits.chunks(AT_ONCE) {
                bytes.clear();
                bytes.extend(some.iter().map(|b| u8::from(*b)));
                file.write_all(&bytes)?;
            }
        }
    }
    Ok(())
}

/// A writer that computes the checksum.
struct Summed<'a> {
    file: &'a mut dyn Write,
    sum: XxHash3_128,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.write(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Compares the checksum of a checkpoint and reads it.
///
/// # Errors
/// Why it cannot be used, in a sentence: truncated, changed, or no checkpoint of obert.
pub fn read(path: &Path) -> Result<(Header, Restored), String> {
    verify(path)?;
    let (header, entries, mut file) = open(path)?;
    let mut tensors = BTreeMap::new();
    let mut in_file: Vec<(&String, &Entry)> = entries.iter().filter(|(n, _)| *n != "checksum").collect();
    in_file.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    for (name, entry) in in_file {
        let [start, end] = entry.data_offsets;
        let count: usize = entry.shape.iter().product();
        let width = if entry.dtype == "F32" { 4 } else { 1 };
        if start != at || count.checked_mul(width) != end.checked_sub(start) {
            return Err(format!("`{name}` has other offsets than the tensors before it"));
        }
        at = end;
        let mut bytes = vec![0; end - start];
        file.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        let numbers = match entry.dtype.as_str() {
            "F32" => {
                let floats = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                TensorValues::Floats(Cow::Owned(floats))
            }
            _ => TensorValues::Bits(Cow::Owned(bytes.iter().map(|b| *b != 0).collect())),
        };
        tensors.insert(name.clone(), numbers);
    }
    let position = header.position.clone();
    Ok((header, Restored { position, tensors }))
}

/// The metadata of a checkpoint, without its tensors and without comparing its checksum.
///
/// # Errors
/// Why it is no checkpoint of obert, in a sentence.
pub fn header(path: &Path) -> Result<Header, String> {
    open(path).map(|(header, ..)| header)
}

/// A file whose header was read.
type Opened = (Header, BTreeMap<String, Entry>, BufReader<File>);

fn open(path: &Path) -> Result<Opened, String> {
    let foreign = |why: &str| format!("it is not a checkpoint of obert: {why}");
    let mut file = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    let size = file.get_ref().metadata().map_err(|e| e.to_string())?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| foreign("it is too short"))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER || length + 8 > size {
        return Err(foreign("its header is longer than the file"));
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(|e| e.to_string())?;
    let mut map: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| foreign(&e.to_string()))?;
    let metadata = map.remove("__metadata__").unwrap_or_default();
    let own = metadata["obert"].as_str().ok_or_else(|| foreign("its metadata has no `obert`"))?;
    let format = serde_json::from_str::<Value>(own).map_err(|e| foreign(&e.to_string()))?["format"].clone();
    if format != json!(FORMAT) {
        return Err(format!("its format is {format}; this obertc reads {FORMAT}"));
    }
    let header: Header = serde_json::from_str(own).map_err(|e| foreign(&e.to_string()))?;
    let entries = serde_json::from_value(Value::Object(map)).map_err(|e| foreign(&e.to_string()))?;
    Ok((header, entries, file))
}

/// Compares the checksum.
fn verify(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let size = file.metadata().map_err(|e| e.to_string())?.len();
    let mut left = size.checked_sub(CHECKSUM as u64).ok_or("it is too short")?;
    let mut sum = XxHash3_128::new();
    let mut piece = vec![0; 1 << 20];
    while left > 0 {
        let now = left.min(piece.len() as u64) as usize;
        file.read_exact(&mut piece[..now]).map_err(|e| e.to_string())?;
        sum.write(&piece[..now]);
        left -= now as u64;
    }
    let mut written = [0; CHECKSUM];
    file.read_exact(&mut written).map_err(|e| e.to_string())?;
    match sum.finish_128().to_le_bytes() == written {
        true => Ok(()),
        false => Err("its checksum is another: it was cut short or changed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::results::Times;
    use crate::schedule::Schedule;
    use crate::schedule::ir::{Data, Model};

    fn example() -> Header {
        let schedule = Schedule {
            format: 1,
            name: "r".into(),
            doc: String::new(),
            seed: 3,
            model: Model::Named("m".into()),
            data: Data::Own,
            stages: Vec::new(),
            expect: Vec::new(),
            parameters: Vec::new(),
        };
        let identity = Identity {
            schedule,
            device: "cpu".into(),
            limit_steps: None,
            limit_examples: None,
            files: Vec::new(),
        };
        let position = Position {
            stage: 1,
            name: "s".into(),
            step: 7,
            steps_per_epoch: 3,
            optimizer_steps: 7,
            movement_steps: 0,
            times: Times::default(),
            stage_seconds: 0.1,
            seconds: 0.3,
            results: Vec::new(),
            best: None,
            baseline: None,
            quantizers: Default::default(),
        };
        Header { format: FORMAT, version: "0".into(), identity, position, log_bytes: 12 }
    }

    fn written(folder: &Path, header: Header) -> std::path::PathBuf {
        let values = [1.5f32, -0.0, f32::MIN_POSITIVE];
        let mut masks = crate::engine::masks::Masks::default();
        masks.set("w".into(), crate::method::mask::Mask::new(vec![true, false, true]));
        let mut snapshot = Snapshot::new(header.position.clone());
        snapshot.hold_masks(&masks);
        snapshot.tensors.push(CheckpointTensor::floats("model/w".into(), 3, || Cow::Owned(values.to_vec())));
        let path = folder.join("c.safetensors");
        write(&path, &header, &snapshot).unwrap();
        path
    }

    #[test]
    fn what_is_written_is_read_again_bit_for_bit_here_and_by_the_formats_own_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), example());
        let (header, restored) = read(&path).unwrap();
        assert_eq!(header, example());
        let TensorValues::Floats(floats) = &restored.tensors["model/w"] else { panic!("no floats") };
        assert_eq!(floats[1].to_bits(), (-0.0f32).to_bits());
        assert_eq!(restored.tensors["mask/w"], TensorValues::Bits(Cow::Owned(vec![true, false, true])));
        let bytes = std::fs::read(&path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("model/w").unwrap().data()[..4], 1.5f32.to_le_bytes());
    }

    #[test]
    fn every_bit_that_flips_and_every_length_that_is_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), example());
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 1 << (at % 8);
            std::fs::write(&path, &broken).unwrap();
            assert!(read(&path).is_err(), "byte {at}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "{length} bytes");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(read(&path).is_ok());
    }

    #[test]
    fn another_programs_file_and_a_later_format_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.safetensors");
        let mut text = br#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut text);
        bytes.extend([0; 4]);
        // Even with a valid checksum after it.
        let sum = XxHash3_128::oneshot(&bytes);
        bytes.extend(sum.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        assert!(read(&path).unwrap_err().contains("not a checkpoint of obert"));
        let later = written(dir.path(), Header { format: FORMAT + 1, ..example() });
        assert!(read(&later).unwrap_err().contains("its format is 2"));
    }
}
