//! Writes a packed file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::encoder::Encoder;
use super::layout::{ALIGNMENT, Attention, Directory, HEADER, HeadShape, Header, Linear, Section, hash};
use super::stored::{Int4Pair, Plain};
use crate::diag::Diagnostic;
use crate::files;
use crate::params::{BertConfig, Settings};

/// The content of a packed file in memory.
#[derive(Debug)]
pub struct Image {
    directory: Directory,
    sections: Vec<Vec<u8>>,
    end: u64,
}

/// An element type of arrays, written in little-endian order.
pub trait Number: Copy {
    /// The name of the element type in the directory.
    const NAME: &'static str;
    /// Appends the bytes of the number to `to`.
    fn write(self, to: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($t:ty)*) => {
        $(impl Number for $t {
            const NAME: &'static str = stringify!($t);
            fn write(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
        })*
    };
}
numbers! { f32 u32 i32 u16 u8 i8 }

impl Number for Int4Pair {
    const NAME: &'static str = <Int4Pair as Plain>::NAME;
    fn write(self, to: &mut Vec<u8>) {
        to.push(self.0);
    }
}

impl Image {
    /// A file without sections.
    pub fn new(config: BertConfig, encoder: Encoder, head: HeadShape) -> Self {
        let HeadShape { head, transform, pooling } = head;
        let directory = Directory {
            config,
            encoder,
            settings: None,
            head,
            transform,
            pooling,
            linears: BTreeMap::new(),
            attention: Vec::new(),
            sections: BTreeMap::new(),
        };
        Image { directory, sections: Vec::new(), end: HEADER as u64 }
    }

    /// Adds an array as a section of this name.
    pub fn add<T: Number>(&mut self, name: &str, values: &[T]) {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        for value in values {
            value.write(&mut bytes);
        }
        let offset = self.end.next_multiple_of(ALIGNMENT as u64);
        let section = Section {
            kind: T::NAME.to_owned(),
            offset,
            length: bytes.len() as u64,
            hash: format!("{:016x}", hash(&bytes)),
        };
        self.end = offset + section.length;
        self.directory.sections.insert(name.to_owned(), section);
        self.sections.push(bytes);
    }

    /// Adds a linear layer to the directory; its sections are added by [`Image::add`].
    pub fn linear(&mut self, name: &str, linear: Linear) {
        self.directory.linears.insert(name.to_owned(), linear);
    }

    /// Adds the element types and quantization of attention to the directory; called once for each layer, in order.
    pub fn attention(&mut self, attention: Attention) {
        self.directory.attention.push(attention);
    }

    /// Sets the task and settings that the model was trained with.
    pub fn set_settings(&mut self, settings: Settings) {
        self.directory.settings = Some(settings);
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Writes the file to `to`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let text = serde_json::to_vec(&self.directory)?;
        let at = self.end.next_multiple_of(ALIGNMENT as u64);
        let header = Header {
            length: at + text.len() as u64,
            directory: at,
            directory_length: text.len() as u64,
            directory_hash: hash(&text),
        };
        to.write_all(&header.bytes())?;
        let mut written = HEADER;
        for bytes in self.sections.iter().chain([&text]) {
            let gap = written.next_multiple_of(ALIGNMENT) - written;
            to.write_all(&[0; ALIGNMENT][..gap])?;
            to.write_all(bytes)?;
            written += gap + bytes.len();
        }
        Ok(())
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // invariant: writing to a vector cannot fail, and a directory of strings and numbers is JSON.
        self.write(&mut bytes).expect("memory to write to");
        bytes
    }

    /// Writes the file to a path atomically.
    ///
    /// # Errors
    /// A diagnostic that names the file.
    pub fn save(&self, path: &Path) -> Result<(), Diagnostic> {
        files::write_with(path, |file| self.write(file))
    }
}
