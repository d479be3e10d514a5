//! What the fuzz targets share: streams and their cuts, a reader of output, a second opinion on input, sessions.

pub mod compression;
pub mod cut;
pub mod frames;
pub mod http;
pub mod output;
pub mod reference;
pub mod session;
pub mod settings;
pub mod stream;
pub mod transport;
pub mod world;

pub use cut::Cut;
pub use output::Output;
