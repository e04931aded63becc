//! What needs no engine: the language, its diagnostics, plans, and the rules of the house.

mod command_line;
mod console;
mod diagnostics;
mod docs;
mod explain;
mod format;
mod house;
mod recipes;
mod schedules;
