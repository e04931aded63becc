//! The standard library: templates and parameter sets, written in the language and compiled in.

use std::sync::{Arc, LazyLock};

use crate::diag::{FileId, Findings, Sources};

use super::syntax::ast::File;
use super::syntax::parse_file;

/// Every module with its text.
pub const MODULES: &[(&str, &str)] = &[
    ("std.albert", include_str!("../../stdlib_recipes/std/albert.obert")),
    ("std.bert", include_str!("../../stdlib_recipes/std/bert.obert")),
    ("std.camembert", include_str!("../../stdlib_recipes/std/camembert.obert")),
    ("std.deberta_v2", include_str!("../../stdlib_recipes/std/deberta_v2.obert")),
    ("std.distilbert", include_str!("../../stdlib_recipes/std/distilbert.obert")),
    ("std.electra", include_str!("../../stdlib_recipes/std/electra.obert")),
    ("std.embeddings", include_str!("../../stdlib_recipes/std/embeddings.obert")),
    ("std.modernbert", include_str!("../../stdlib_recipes/std/modernbert.obert")),
    ("std.mpnet", include_str!("../../stdlib_recipes/std/mpnet.obert")),
    ("std.obert", include_str!("../../stdlib_recipes/std/obert.obert")),
    ("std.roberta", include_str!("../../stdlib_recipes/std/roberta.obert")),
    ("std.xlm_roberta", include_str!("../../stdlib_recipes/std/xlm_roberta.obert")),
];

/// The parsed modules, shared by all compilations of a process.
struct Library {
    sources: Sources,
    modules: Vec<(FileId, Arc<File>)>,
}

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let mut sources = Sources::new();
    // A test checks that there are no diagnostics.
    let mut findings = Findings::new();
    let modules = MODULES.iter().map(|(name, text)| {
        let id = sources.add(*name, *text);
        (id, Arc::new(parse_file(id, text, &mut findings).file))
    });
    let modules = modules.collect();
    Library { sources, modules }
});

/// The library's texts, with which the sources of every compilation start.
pub fn sources() -> Sources {
    LIBRARY.sources.clone()
}

/// A module such as `std.bert`.
pub fn module(name: &str) -> Option<(FileId, Arc<File>)> {
    let index = MODULES.iter().position(|(known, _)| *known == name)?;
    LIBRARY.modules.get(index).cloned()
}
