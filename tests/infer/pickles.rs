//! `pytorch_model.bin` as `torch.save` wrote it (`tests/oracle/pickles.py`), against the safetensors of the same
//! model; and files that nobody wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use half::{bf16, f16};
use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::params::{ParameterTable, folder, header, tensors};
use proptest::prelude::*;

use super::golden::golden;

type Values = BTreeMap<String, Vec<f32>>;

fn pickle(name: &str) -> PathBuf {
    golden("pickles").join(name)
}

fn classifier() -> PathBuf {
    golden("heads/classifier")
}

fn values(file: &Path, wanted: impl Fn(&str) -> bool) -> Result<Values, Diagnostic> {
    let mut all = Values::new();
    tensors::read(file, wanted, |name, values| drop(all.insert(name.to_owned(), values)))?;
    Ok(all)
}

fn shapes(file: &Path) -> BTreeMap<String, Vec<usize>> {
    header::read(file).unwrap().into_iter().map(|tensor| (tensor.name, tensor.shape)).collect()
}

/// Bits, so that a negative zero is not a positive one.
fn bits(values: &Values) -> BTreeMap<&String, Vec<u32>> {
    values.iter().map(|(name, v)| (name, v.iter().map(|v| v.to_bits()).collect())).collect()
}

/// A folder of the recorded classifier with other weights.
fn folder_with(weights: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "vocab.txt"] {
        std::fs::copy(classifier().join(name), dir.path().join(name)).unwrap();
    }
    for (name, bytes) in weights {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn every_way_of_saving_gives_the_values_of_safetensors_bit_for_bit() {
    let safe = classifier().join("model.safetensors");
    let (expected, expected_shapes) = (values(&safe, |_| true).unwrap(), shapes(&safe));
    let known = |name: &str| expected.contains_key(name);
    for name in ["plain.bin", "views.bin", "deflated.bin", "zip64.bin"] {
        let got = values(&pickle(name), known).unwrap();
        assert_eq!(bits(&got), bits(&expected), "{name}");
        let mut shapes = shapes(&pickle(name));
        shapes.remove("bert.embeddings.position_ids");
        assert_eq!(shapes, expected_shapes, "{name}");
    }
    for name in ["float16.bin", "bfloat16.bin"] {
        let round = |v: f32| match name {
            "float16.bin" => f16::from_f32(v).to_f32(),
            _ => bf16::from_f32(v).to_f32(),
        };
        let mut expected = expected.clone();
        expected.values_mut().flatten().for_each(|v| *v = round(*v));
        assert_eq!(bits(&values(&pickle(name), known).unwrap()), bits(&expected), "{name}");
    }
}

#[test]
fn types_are_told_without_reading_a_weight() {
    let headers = header::read(&pickle("plain.bin")).unwrap();
    let whole = headers.iter().find(|tensor| tensor.name.ends_with("position_ids")).unwrap();
    assert_eq!((whole.dtype.as_str(), whole.shape.as_slice()), ("I64", &[1, 20][..]));
    assert_eq!(header::read(&pickle("bfloat16.bin")).unwrap()[0].dtype, "BF16");
    let error = values(&pickle("plain.bin"), |name| name.ends_with("position_ids")).unwrap_err();
    assert_eq!(error.code, Code::TensorType);
}

#[test]
fn a_folder_of_pickles_has_the_table_of_the_one_of_safetensors() {
    let table = |path: &Path| -> ParameterTable { folder::read(path, &mut Sources::new()).unwrap().table };
    let plain = std::fs::read(pickle("plain.bin")).unwrap();
    assert_eq!(table(folder_with(&[("pytorch_model.bin", &plain)]).path()), table(&classifier()));
    let names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    let index = "pytorch_model.bin.index.json";
    let read = |name| std::fs::read(pickle("shards").join(name)).unwrap();
    let (parts, list) = (names.map(read), read(index));
    let dir = folder_with(&[(names[0], &parts[0]), (names[1], &parts[1]), (index, &list)]);
    assert_eq!(table(dir.path()), table(&classifier()));
    // One part short.
    let dir = folder_with(&[(names[0], &parts[0]), (index, &list)]);
    let error = folder::read(dir.path(), &mut Sources::new()).unwrap_err().remove(0);
    assert!(error.code == Code::ModelNotFound && error.message.contains(names[1]), "{error:?}");
}

#[test]
fn the_commands_take_such_a_folder() {
    let plain = std::fs::read(pickle("plain.bin")).unwrap();
    let dir = folder_with(&[("pytorch_model.bin", &plain)]);
    let run = |arguments: &[&str], model: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
        let output = command.args(arguments).arg(model).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let params = |model: &Path| run(&["params", "**.bias", "--model"], model);
    assert_eq!(params(dir.path()), params(&classifier()));
    let packed = |model: &Path, out: &str| {
        run(&["pack", "--as", "engine", "--out", out], model);
        std::fs::read(dir.path().join(out)).unwrap()
    };
    assert_eq!(packed(dir.path(), "a.obert-engine"), packed(&classifier(), "b.obert-engine"));
}

#[test]
fn a_call_is_never_made_and_tensors_inside_of_one_are_refused_by_its_name() {
    // `print` would show up here if it were called; nothing but the tensor comes of the file.
    assert_eq!(shapes(&pickle("call_beside.bin")), BTreeMap::from([("w".to_owned(), vec![3])]));
    let refused = |name: &str, why: &str| {
        let error = header::read(&pickle(name)).unwrap_err();
        assert_eq!(error.code, Code::ModelNotReadable);
        assert!(error.message.contains(why), "{}", error.message);
        error.help.unwrap()
    };
    refused("call_around.bin", "print");
    refused("sparse.bin", "_rebuild_sparse_tensor");
    refused("complex.bin", "ComplexFloatStorage");
    assert!(
        refused("legacy.bin", "no archive as PyTorch writes it since version 1.6").contains("torch.save")
    );
}

#[test]
fn files_that_were_cut_off_or_are_something_else_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.bin");
    let whole = std::fs::read(pickle("plain.bin")).unwrap();
    let refuse = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(header::read(&file).unwrap_err().code, Code::ModelNotReadable);
    };
    for length in [0, 3, 4, 100, whole.len() / 2, whole.len() - 1] {
        refuse(&whole[..length]);
    }
    refuse(b"PK\x05\x06");
    refuse(&std::fs::read(classifier().join("model.safetensors")).unwrap());
    assert_eq!(header::read(&dir.path().join("none.bin")).unwrap_err().code, Code::ModelNotFound);
}

/// A zip archive with one stored entry, `m/data.pkl`, which claims to be of a length.
fn archive(pickle: &[u8], claimed: u32) -> Vec<u8> {
    let name = b"m/data.pkl";
    // Both headers have the same middle: flags, method, time, date, checksum, sizes, length of the name.
    let mut middle = vec![0; 12];
    middle.extend_from_slice(&(pickle.len() as u32).to_le_bytes());
    middle.extend_from_slice(&claimed.to_le_bytes());
    middle.extend_from_slice(&(name.len() as u16).to_le_bytes());
    let mut file = b"PK\x03\x04\x14\x00".to_vec();
    file.extend_from_slice(&middle);
    file.extend_from_slice(&[0; 2]);
    file.extend_from_slice(name);
    file.extend_from_slice(pickle);
    let start = file.len() as u32;
    file.extend_from_slice(b"PK\x01\x02\x14\x00\x14\x00");
    file.extend_from_slice(&middle);
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(name);
    let size = file.len() as u32 - start;
    file.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0; 2]);
    file
}

#[test]
fn descriptions_that_would_fill_the_memory_or_the_stack_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.bin");
    let message = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        header::read(&file).unwrap_err().message
    };
    let with = |pickle: &[u8]| message(&archive(pickle, pickle.len() as u32));
    assert!(with(&vec![b']'; (4 << 20) + 1]).contains("description of its tensors takes 4194305 bytes"));
    assert!(message(&archive(b"}.", 3 << 30)).contains("description of its tensors takes 3221225472 bytes"));
    // A hundred thousand lists, each in the next; and lists that double when they are remembered.
    let nested = [vec![b']'; 100_000], vec![b'a'; 99_999], b".".to_vec()].concat();
    assert!(with(&nested).contains("nesting"), "{}", with(&nested));
    let doubled: Vec<u8> = (0..64u8).flat_map(|i| [b'q', i, b'h', i, b'\x86']).collect();
    let doubled = [b"\x80\x02)".to_vec(), doubled, b".".to_vec()].concat();
    assert!(with(&doubled).contains("memo bomb"), "{}", with(&doubled));
    // A list in itself, a string longer than the file, a stack with nothing on it, no end.
    let cyclic = with(b"\x80\x02]q\x00h\x00a.");
    assert!(cyclic.contains("dictionary at the root"), "{cyclic}");
    for pickle in [&b"X\xff\xff\xff\x7fab"[..], b"a.", b"R.", b"}", b"h\x07.", b"c\n.", b"\x80\x09."] {
        with(pickle);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..Default::default() })]

    /// Either the file is refused, or it is read: no panic, whatever the bytes.
    #[test]
    fn damaged_files_are_refused_or_read(
        name in prop::sample::select(vec!["views.bin", "call_beside.bin", "sparse.bin", "zip64.bin"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let mut bytes = std::fs::read(pickle(name)).unwrap();
        for (at, byte, far) in damage {
            // Descriptions lie at the start and directories at the end; values between them.
            let span = bytes.len().min(9_000);
            let place = at.index(span);
            let place = if far { bytes.len() - 1 - place } else { place };
            bytes[place] = byte;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("m.bin");
        std::fs::write(&file, bytes).unwrap();
        if let Ok(headers) = header::read(&file) {
            let small = |name: &str| {
                let tensor = headers.iter().find(|tensor| tensor.name == name);
                tensor.is_some_and(|tensor| tensor.shape.iter().product::<usize>() < 1 << 16)
            };
            let _ = values(&file, small);
        }
    }
}
