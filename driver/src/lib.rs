//! Placeholder until the driver stands.
