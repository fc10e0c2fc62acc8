//! The state database: what cannot be recomputed from the stores.

pub mod accounts;
pub mod answers;
pub mod deliveries;
