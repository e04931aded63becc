//! The files that answers point to, and the links that open them.

use std::path::PathBuf;

use lsp_types::Uri;

use crate::diag::Code;

/// A file with a recipe or with definitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A module of the standard library, such as `std.bert`.
    Standard(&'static str),
    /// A file, by its canonical path; for a document without a file, its URI.
    File(PathBuf),
}

/// Links for a client.
pub trait Links {
    /// A URI under which the client can open a file; `None` if there is none.
    fn file(&self, place: &Place) -> Option<Uri>;
    /// A URI of the page that explains a code.
    fn page(&self, code: Code) -> Option<Uri>;
}

/// No links, for a client without files.
pub struct NoLinks;

impl Links for NoLinks {
    fn file(&self, _: &Place) -> Option<Uri> {
        None
    }

    fn page(&self, _: Code) -> Option<Uri> {
        None
    }
}
