//! The opening handshake (RFC 6455 §4), both sides, from bytes to agreement.

mod body;
mod client;
mod head;
mod key;
mod origin;
mod refusal;
mod request;
mod response;
mod server;
mod url;

pub(crate) use client::{Answer, ClientHandshake};
pub use client::{ClientRequest, HandshakeError};
pub use head::InvalidHeader;
pub(crate) use head::is_token_char;
pub use refusal::Refusal;
pub use request::{Request, Version};
pub use response::{Response, Status};
pub use server::{Accept, AcceptError};
pub(crate) use server::{Progress, ServerHandshake};
pub use url::InvalidUrl;

use alloc::string::String;

use crate::extension::Negotiated;

/// What both ends agreed upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    subprotocol: Option<String>,
    compression: Option<Negotiated>,
}

impl Agreed {
    /// No subprotocol and no extension.
    pub const fn new() -> Self {
        Self { subprotocol: None, compression: None }
    }

    /// With this subprotocol.
    pub fn with_subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// With this compression: what [`Settings::answer`](crate::extension::Settings::answer) or
    /// [`verify`](crate::extension::Settings::verify) came to.
    #[cfg(feature = "deflate")]
    pub fn with_compression(mut self, compression: Negotiated) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The compression (§9), if one was agreed upon.
    #[cfg(feature = "deflate")]
    pub fn compression(&self) -> Option<&Negotiated> {
        self.compression.as_ref()
    }

    /// The subprotocol (§1.9), if one was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}
