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

/// What both ends agreed upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    subprotocol: Option<String>,
}

impl Agreed {
    /// No subprotocol and no extension.
    pub const fn new() -> Self {
        Self { subprotocol: None }
    }

    /// With this subprotocol.
    pub fn with_subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// The subprotocol (§1.9), if one was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}
