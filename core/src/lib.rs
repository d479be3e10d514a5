//! A WebSocket, sans socket.

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_alloc, clippy::wildcard_enum_match_arm)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
mod config;
mod connection;
mod error;
mod event;
pub mod extension;
pub mod frame;
pub mod handshake;
mod keys;
pub mod message;
mod outbox;
mod time;
mod timers;

pub use close::{CloseCode, CloseFrame, ReasonTooLong};
pub use config::{Config, Delivery, Keepalive, Origins};
pub use connection::{Connection, Endpoint, Role, State};
pub use error::{ProtocolError, Rejected, SendError};
pub use event::{Cause, Disconnect, Event, Side, Transport};
pub use frame::{Input, Opcode};
pub use handshake::{
    Accept, AcceptError, Agreed, ClientRequest, HandshakeError, InvalidHeader, InvalidUrl, Refusal, Request,
    Response, Status, Version,
};
pub use keys::Seed;
pub use message::{Data, Kind, Message, Prepared};
pub use outbox::Transmit;
pub use time::{Deadline, Instant, Timer};
