//! What needs no engine: the language, its diagnostics, plans, and the rules of the house.

mod circles;
mod command_line;
mod console;
mod diagnostics;
mod docs;
mod explain;
mod findings;
mod format;
mod help;
mod hostile;
mod house;
mod library;
mod models;
mod past;
mod plans;
mod recipes;
mod report;
mod run_log;
mod schedules;
mod tuning;
mod words;
mod yaml;
