//! What a run leaves behind: the model's folder ([`folder`]), the log of events ([`log`]) and a
//! summary for people ([`summary`]).

pub mod folder;
pub mod log;
pub mod summary;
