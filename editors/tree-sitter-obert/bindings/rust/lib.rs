//! The grammar of `.obert` recipes for tree-sitter, with queries for editors.

use tree_sitter_language::LanguageFn;

unsafe extern "C" {
    fn tree_sitter_obert() -> *const ();
}

/// The language, for `tree_sitter::Parser::set_language`.
// SAFETY: the function is the generated parser's, which returns a valid `TSLanguage`.
pub const LANGUAGE: LanguageFn = unsafe { LanguageFn::from_raw(tree_sitter_obert) };

/// Names of tokens for colours, as nvim-treesitter and Helix know them.
pub const HIGHLIGHTS: &str = include_str!("../../queries/highlights.scm");
/// Ranges that can be folded.
pub const FOLDS: &str = include_str!("../../queries/folds.scm");
/// Lines that are indented.
pub const INDENTS: &str = include_str!("../../queries/indents.scm");
