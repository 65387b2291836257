//! The admin's commands.

pub(crate) mod create_operator;
pub(crate) mod database;
pub(crate) mod migrate;
pub(crate) mod rebuild_queue;
pub(crate) mod reset_second_factor;
pub(crate) mod serve;
pub(crate) mod verify_audit;
