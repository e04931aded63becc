//! What a run leaves behind: the model's folder ([`folder`]), the log of events ([`log`]) and a
//! summary for people ([`summary`]). While it goes it keeps [`checkpoints`] and a [`lock`] there.

pub mod checkpoints;
pub mod folder;
pub mod lock;
pub mod log;
pub mod summary;
