//! Tests that need no engine: the language, its diagnostics, plans, and the module graph.

mod command_line;
mod console;
mod diagnostics;
mod docs;
mod editors;
mod explain;
mod findings;
mod format;
mod help;
mod hostile;
mod import_cycles;
mod library;
mod lsp;
mod models;
mod module_graph;
mod past;
mod plans;
mod public_items;
mod recipes;
mod report;
mod run_log;
mod schedules;
mod tuning;
mod watch;
mod words;
mod yaml;
