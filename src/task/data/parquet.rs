//! Reads Parquet files as `datasets` writes them, with the names of class labels from their metadata.

use std::cell::Cell as Flag;
use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use parquet::basic::{Compression, ConvertedType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, reader::RowIter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use crate::diag::{Code, Diagnostic, counted};

use super::cell::Cell;

/// An open Parquet file.
pub struct Parquet {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    columns: Vec<String>,
    classes: HashMap<String, Vec<String>>,
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("path", &self.path).field("columns", &self.columns).finish()
    }
}

impl Parquet {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// A file that is not Parquet, is truncated, has no row, or has an unsupported compression.
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        guarded(path, || Self::described(path))
    }

    fn described(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|e| unreadable(path, &e.to_string()))?;
        let reader = SerializedFileReader::new(file).map_err(|e| unreadable(path, &why(&e)))?;
        let metadata = reader.metadata();
        let codecs = metadata.row_groups().iter().flat_map(|group| group.columns());
        let codec = codecs.map(|column| column.compression()).find(|codec| !is_known_codec(*codec));
        if let Some(codec) = codec {
            let name = format!("{codec:?}");
            let name = name.split('(').next().unwrap_or("");
            return Err(unreadable(path, &format!("its pages are compressed with {name}"))
                .help("write it anew with Snappy, Zstandard or no compression"));
        }
        if metadata.file_metadata().num_rows() <= 0 {
            return Err(Diagnostic::unlocated(Code::DataEmpty, format!("`{}` is empty", path.display()))
                .help("is it the right file, and was it downloaded to its end?"));
        }
        let fields = metadata.file_metadata().schema().get_fields();
        let columns = fields.iter().map(|field| field.name().to_owned()).collect();
        let classes = metadata
            .file_metadata()
            .key_value_metadata()
            .and_then(|pairs| pairs.iter().find(|pair| pair.key == "huggingface"))
            .and_then(|pair| pair.value.as_deref())
            .map(classes)
            .unwrap_or_default();
        Ok(Parquet { path: path.to_owned(), reader, columns, classes })
    }

    /// The names of the columns, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether a column is a `ClassLabel` of `datasets`; -1 then means no label.
    pub fn is_class(&self, column: &str) -> bool {
        self.classes.contains_key(column)
    }

    /// Reads these columns, row by row; class labels by name.
    ///
    /// # Errors
    /// A row that cannot be read, or a cell that is not a text, a number, a list or null.
    pub fn cells(&self, columns: &[&str]) -> Result<Vec<Vec<Cell>>, Diagnostic> {
        let mut rows = Vec::new();
        self.each(columns, |row, fields| {
            let cells = columns.iter().zip(fields).map(|(column, field)| self.cell(row, column, &field));
            rows.push(cells.collect::<Result<_, _>>()?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Calls `take` with the number of each row, from 1, and its fields in these columns.
    ///
    /// # Errors
    /// A missing column, a page that cannot be read, or an error of `take`.
    pub fn each(
        &self,
        columns: &[&str],
        take: impl FnMut(usize, Vec<Field>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        guarded(&self.path, || self.walk(columns, take))
    }

    fn walk(
        &self,
        columns: &[&str],
        mut take: impl FnMut(usize, Vec<Field>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let broken = |e: ParquetError| unreadable(&self.path, &why(&e));
        let schema = self.reader.metadata().file_metadata().schema();
        let wanted = columns.iter().map(|name| self.column(schema, name)).collect::<Result<Vec<_>, _>>()?;
        let projection = Type::group_type_builder(schema.name()).with_fields(wanted).build();
        let projection = projection.map_err(broken)?;
        let mut number = 0;
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).map_err(broken)?;
            for row in RowIter::from_row_group(Some(projection.clone()), &*group).map_err(broken)? {
                number += 1;
                // In the order of the projection, which is that of `columns`.
                take(
                    number,
                    row.map_err(broken)?.into_columns().into_iter().map(|(_, field)| field).collect(),
                )?;
            }
        }
        // A truncated page can end early without an error of the reader.
        let promised = self.reader.metadata().file_metadata().num_rows();
        if number as i64 != promised {
            let promised = counted(promised, "row", "rows");
            return Err(unreadable(&self.path, &format!("it promises {promised} and holds {number}")));
        }
        Ok(())
    }

    /// The schema of a column, if its type can be read.
    fn column(&self, schema: &Type, name: &str) -> Result<TypePtr, Diagnostic> {
        let found = schema.get_fields().iter().find(|field| field.name() == name);
        let found = found.ok_or_else(|| {
            let message = format!("`{}` has no column `{name}`", self.path.display());
            Diagnostic::unlocated(Code::ColumnMissing, message)
                .help(format!("its columns are {}", self.columns.join(", ")))
        })?;
        if is_supported(found) {
            return Ok(found.clone());
        }
        Err(self.other(name, "is of a kind that is not read"))
    }

    fn cell(&self, row: usize, column: &str, field: &Field) -> Result<Cell, Diagnostic> {
        let class = |number: i64| {
            let names = self.classes.get(column)?;
            names.get(usize::try_from(number).ok()?).cloned()
        };
        let whole = |number: i64| class(number).unwrap_or_else(|| number.to_string());
        Ok(Cell::Text(match field {
            Field::Null => return Ok(Cell::Nothing),
            Field::ListInternal(list) => {
                let text = |item: &Field| match item {
                    // Words are not trimmed, unlike texts.
                    Field::Str(text) => Ok(text.clone()),
                    Field::ListInternal(_) => Ok("[…]".to_owned()),
                    other => self.cell(row, column, other).map(Cell::into_text),
                };
                return Ok(Cell::List(list.elements().iter().map(text).collect::<Result<_, _>>()?));
            }
            Field::Str(text) => text.trim().to_owned(),
            Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
                Ok(text) => text.trim().to_owned(),
                Err(_) => return Err(self.other(column, &format!("holds no UTF-8 text in row {row}"))),
            },
            Field::Bool(value) => value.to_string(),
            Field::Byte(n) => whole(i64::from(*n)),
            Field::Short(n) => whole(i64::from(*n)),
            Field::Int(n) => whole(i64::from(*n)),
            Field::Long(n) => whole(*n),
            Field::UByte(n) => whole(i64::from(*n)),
            Field::UShort(n) => whole(i64::from(*n)),
            Field::UInt(n) => whole(i64::from(*n)),
            Field::Float(n) => format!("{n:?}"),
            Field::Double(n) => format!("{n:?}"),
            _ => return Err(self.other(column, "holds neither text nor numbers")),
        }))
    }

    /// The error of a column with unexpected content.
    pub fn other(&self, column: &str, why: &str) -> Diagnostic {
        let message = format!("the column `{column}` of `{}` {why}", self.path.display());
        Diagnostic::unlocated(Code::ParquetColumn, message).help("is it the column that you mean?")
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

thread_local! {
    /// Whether this thread is in [`guarded`].
    static READS: Flag<bool> = const { Flag::new(false) };
}

/// Runs `read`, and turns a panic of the `parquet` crate, which a damaged file can cause, into an error without a
/// backtrace.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, Diagnostic>) -> Result<T, Diagnostic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !READS.get() {
                before(info);
            }
        }));
    });
    let outer = READS.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    READS.set(outer);
    result.unwrap_or_else(|_| Err(unreadable(path, "its parts contradict each other")))
}

fn is_known_codec(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
}

/// Whether the crate's record reader supports a type: primitive types, groups and lists.
fn is_supported(kind: &Type) -> bool {
    if kind.is_primitive() {
        return kind.get_physical_type() != Physical::INT96;
    }
    let fields = kind.get_fields();
    let is_list = kind.get_basic_info().converted_type() == ConvertedType::LIST;
    let is_map =
        matches!(kind.get_basic_info().converted_type(), ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE);
    let repeated = |field: &TypePtr| {
        let info = field.get_basic_info();
        info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED
    };
    !is_map
        && !fields.is_empty()
        && (!is_list || (fields.len() == 1 && repeated(&fields[0])))
        && fields.iter().all(|f| is_supported(f))
}

/// The names of class labels by column, from the metadata that `datasets` writes.
fn classes(description: &str) -> HashMap<String, Vec<String>> {
    let value: Value = serde_json::from_str(description).unwrap_or_default();
    let features = value.pointer("/info/features").and_then(Value::as_object);
    let class = |(column, feature): (&String, &Value)| {
        // A list of class labels has them as its `feature`.
        let names = feature.get("names").or_else(|| feature.pointer("/feature/names"))?.as_array()?;
        let names: Option<Vec<String>> = names.iter().map(|n| n.as_str().map(str::to_owned)).collect();
        Some((column.clone(), names?))
    };
    features.into_iter().flatten().filter_map(class).collect()
}

/// The error's message without the names of Rust types.
fn why(error: &ParquetError) -> String {
    match error {
        ParquetError::General(why) | ParquetError::EOF(why) | ParquetError::NYI(why) => why.clone(),
        other => other.to_string(),
    }
}

fn unreadable(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::unlocated(Code::ParquetNotReadable, format!("cannot read `{}`: {why}", path.display()))
        .help("is it a whole Parquet file? compare its size with the original")
}
