//! The language server, asked as an editor asks it.

mod actions;
mod client;
mod completion;
mod diagnostics;
mod documents;
mod hints;
mod hover;
mod navigation;
mod protocol;
mod typing;
