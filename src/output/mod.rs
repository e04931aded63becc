//! What a run leaves behind: the model's folder ([`folder`]), the log of events ([`log`]) and a
//! summary for people ([`summary`]). What trials leave behind ([`trials`]), and how it looks ([`picture`]).

pub mod folder;
pub mod log;
pub mod picture;
pub mod summary;
pub mod trials;
