//! The formats of `obertc pack`.

/// A format of an exported model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file for obert's runtime.
    Engine,
    /// A Hugging Face folder in float32.
    Dense,
    /// A Hugging Face folder in INT8, in the compressed-tensors format.
    CompressedTensors,
    /// An ONNX file.
    Onnx,
}

impl Format {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Engine => "engine",
            Format::Dense => "dense",
            Format::CompressedTensors => "compressed-tensors",
            Format::Onnx => "onnx",
        }
    }

    /// The ending of the default name of its file or folder.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Engine => ".obert-engine",
            Format::Dense => "-dense",
            Format::CompressedTensors => "-compressed-tensors",
            Format::Onnx => ".onnx",
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(self) -> bool {
        !matches!(self, Format::Engine | Format::Onnx)
    }
}
