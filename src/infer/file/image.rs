//! Writing a packed model.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::layout::{ALIGNMENT, Attention, Directory, HEADER, Head, Header, Linear, Section, hash};
use crate::diag::Diagnostic;
use crate::files;
use crate::params::{BertConfig, Settings};

/// A packed model before it is written.
#[derive(Debug)]
pub struct Image {
    directory: Directory,
    sections: Vec<Vec<u8>>,
    end: u64,
}

/// Numbers that are written little-endian.
pub trait Number: Copy {
    /// The name of the type in a directory.
    const NAME: &'static str;
    /// Appends its bytes.
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

impl Image {
    /// A model without layers.
    pub fn new(config: BertConfig, head: Head) -> Self {
        let directory = Directory {
            config,
            settings: None,
            head,
            linears: BTreeMap::new(),
            attention: Vec::new(),
            sections: BTreeMap::new(),
        };
        Image { directory, sections: Vec::new(), end: HEADER as u64 }
    }

    /// Adds a section behind the others.
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

    /// Describes a linear layer, whose sections are added apart.
    pub fn linear(&mut self, name: &str, linear: Linear) {
        self.directory.linears.insert(name.to_owned(), linear);
    }

    /// Describes the attention of the next layer.
    pub fn attention(&mut self, attention: Attention) {
        self.directory.attention.push(attention);
    }

    /// Says what the model was made with.
    pub fn set_settings(&mut self, settings: Settings) {
        self.directory.settings = Some(settings);
    }

    /// What it holds.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Writes everything.
    ///
    /// # Errors
    /// What the writer says.
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

    /// All bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // invariant: writing to a vector cannot fail, and a directory of strings and numbers is JSON.
        self.write(&mut bytes).expect("memory to write to");
        bytes
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// A diagnostic that names the file.
    pub fn save(&self, path: &Path) -> Result<(), Diagnostic> {
        files::write_with(path, |file| self.write(file))
    }
}
