//! Measuring the bytes of an export, uncompressed and compressed with zstd.

use std::io::{self, Write};
use std::path::Path;

use prost::Message;

use super::format::Format;
use super::onnx::proto;
use super::source::Source;
use super::{compressed, tensors};
use crate::diag::{Code, Diagnostic};
use crate::infer::file::Opened;
use crate::output::sizes::Size;
use crate::params::storage::{Quantized, Storage, is_encoder_layer, zeros};

/// The compression level, zstd's default.
const LEVEL: i32 = 3;

/// A writer that counts the bytes of the compressor's output.
struct Counter {
    encoder: zstd::stream::Encoder<'static, Sink>,
}

#[derive(Default)]
struct Sink(u64);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counter {
    fn new() -> io::Result<Counter> {
        Ok(Counter { encoder: zstd::stream::Encoder::new(Sink::default(), LEVEL)? })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.encoder.write_all(bytes)
    }

    fn end(self) -> io::Result<u64> {
        Ok(self.encoder.finish()?.0)
    }
}

/// Tensors or files with their bytes, by name.
pub fn pieces<'a>(all: impl Iterator<Item = (&'a str, std::borrow::Cow<'a, [u8]>)>) -> io::Result<Size> {
    let (mut whole, mut layers) = (Counter::new()?, Counter::new()?);
    let mut size = Size::default();
    for (name, bytes) in all {
        size.bytes += bytes.len() as u64;
        whole.add(&bytes)?;
        if is_encoder_layer(name) {
            size.encoder_bytes += bytes.len() as u64;
            layers.add(&bytes)?;
        }
    }
    size.zstd = Some(whole.end()?);
    size.encoder_zstd = Some(layers.end()?);
    Ok(size)
}

/// The size of the model in dense float32.
///
/// # Errors
/// A failure of the compressor.
pub fn dense(source: &Source) -> Result<Size, Diagnostic> {
    let bytes = |name: &str| source.seen(name).iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let all = source.table.iter().map(|p| (p.name.as_str(), bytes(&p.name).into()));
    pieces(all).map_err(|e| failed(&source.path, &e))
}

/// The size of the model as nonzero weights with a bitmask.
pub fn counted(source: &Source) -> Size {
    let mut storage = Storage::default();
    for parameter in source.table.iter() {
        let values = source.values(&parameter.name);
        let is_matrix = parameter.shape.len() == 2;
        let columns = parameter.shape.last().copied().unwrap_or(1);
        let scales = source.quantization.as_ref().and_then(|q| q.weights.get(&parameter.name));
        let zeros = zeros(values, columns, scales.map(|s| s.scales.as_slice()));
        let quantized = scales.map(|s| Quantized { bits: s.bits, scales: s.scales.len() });
        storage.add(&parameter.name, values.len(), zeros, is_matrix, quantized);
    }
    storage.counted
}

/// The size of an export's file or folder.
///
/// # Errors
/// A file that cannot be read.
pub fn written(format: Format, path: &Path) -> Result<Size, Diagnostic> {
    let io = |e: io::Error| failed(path, &e);
    let (file, mut size) = match format {
        Format::Engine => {
            let directory = Opened::file(path)?.directory;
            let bytes = std::fs::read(path).map_err(io)?;
            let part = |offset: u64, length: u64| {
                bytes.get(offset as usize..(offset + length) as usize).unwrap_or(&[])
            };
            let all = directory.sections.iter().filter(|(name, _)| *name != "tokenizer.json");
            let all = all.map(|(name, s)| (name.as_str(), part(s.offset, s.length).into()));
            (path.to_owned(), pieces(all).map_err(io)?)
        }
        Format::Onnx => {
            let bytes = std::fs::read(path).map_err(io)?;
            let model = proto::Model::decode(&bytes[..]).map_err(|e| io(io::Error::other(e)))?;
            let graph = model.graph.unwrap_or_default();
            let all = graph
                .initializer
                .iter()
                .map(|t| (t.name.as_deref().unwrap_or(""), t.raw_data.as_deref().unwrap_or(&[]).into()));
            (path.to_owned(), pieces(all).map_err(io)?)
        }
        Format::Dense | Format::CompressedTensors => {
            let file = path.join(compressed::FILE);
            let all = tensors::read(&file)?;
            let all = all.iter().map(|(name, raw)| (name.as_str(), raw.bytes.as_slice().into()));
            (file, pieces(all).map_err(io)?)
        }
    };
    // The size as a whole is that of the file.
    let bytes = std::fs::read(&file).map_err(io)?;
    size.bytes = bytes.len() as u64;
    size.zstd = Some(pieces([("", bytes.into())].into_iter()).map_err(io)?.zstd.unwrap_or(0));
    Ok(size)
}

fn failed(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::unlocated(
        Code::ModelNotReadable,
        format!("cannot read the size of `{}`: {error}", path.display()),
    )
    .help("is the file still there?")
}
