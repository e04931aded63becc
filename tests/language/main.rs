//! What needs no engine: the language, its diagnostics, plans, and the rules of the house.

mod command_line;
mod diagnostics;
mod docs;
mod format;
mod house;
mod recipes;
mod schedules;
mod yaml;
