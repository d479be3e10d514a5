//! A WebSocket, sans socket: the whole protocol (RFC 6455) as one state machine that embeds in any event
//! loop.
//!
//! ```text
//!               bytes                                events
//!   transport ────────▶ receive(now, input)  ──────────────────▶ application
//!      ▲                                                              │
//!      │       bytes                               commands           │
//!      └─────────────── transmit() ◀── Connection ◀── send, close … ──┘
//!                       transport()         ▲
//!                       poll_timeout() ─────┘ handle_timeout(now)
//! ```
//!
//! A [`Connection`] is one endpoint. It owns no socket, no clock, no randomness and no receive buffer: bytes
//! are lent to it, time is an argument, a client brings a [`Seed`]. Received payloads are lent from the
//! caller's own bytes where they arrived in one piece. Output is kept until it is acknowledged. What the peer
//! does wrong becomes a close decision, never an `Err`.
//!
//! # Two connections that talk
//!
//! ```
//! use sansocket::{Agreed, Config, Connection, Endpoint, Event, Input, Instant, Message, Seed};
//!
//! let now = Instant::ORIGIN;
//! // `Connection::client` and `Connection::server` begin with the opening handshake; these are past it.
//! let seed = Seed::new([7; 32]); // from the operating system, in a program
//! let mut client = Connection::established(Endpoint::Client(seed), &Config::new(), Agreed::new(), now);
//! let mut server = Connection::established(Endpoint::Server, &Config::new(), Agreed::new(), now);
//!
//! client.send("Hello")?;
//!
//! // The transport's part: what one writes, the other reads.
//! let mut bytes = client.transmit().to_vec();
//! client.transmitted(bytes.len());
//!
//! let mut input = Input::new(&mut bytes);
//! while let Some(event) = server.receive(now, &mut input) {
//!     assert_eq!(event, Event::Message(Message::from("Hello")));
//! }
//! # Ok::<(), sansocket::SendError>(())
//! ```
//!
//! The repository has a whole server on a hand-written event loop in `core/examples/epoll.rs`. Programs on
//! tokio, smol or async-std take an adapter instead.
//!
//! # A loop around it
//!
//! 1. If [`wants_read`](Connection::wants_read): read, and hand the bytes to [`receive`](Connection::receive)
//!    until it returns `None`. It takes them all, unless it must wait. What it leaves, keep, and offer it
//!    again before anything else is read: after a write, a [`resume`](Connection::resume), an answer to a
//!    request. At the end of the stream, or an error, call [`receive_eof`](Connection::receive_eof).
//! 2. Write what [`transmit`](Connection::transmit) shows, and say how much with
//!    [`transmitted`](Connection::transmitted). If that fails, call
//!    [`write_failed`](Connection::write_failed), or [`transport_failed`](Connection::transport_failed) to
//!    have done with it.
//! 3. When all is written, do what [`transport`](Connection::transport) says: nothing, close the writing
//!    direction (once), or close.
//! 4. Sleep until there is something to read or write, or until [`poll_timeout`](Connection::poll_timeout).
//!    Read first what has come; then call [`handle_timeout`](Connection::handle_timeout).
//!
//! # Layers
//!
//! What the connection is built of is useful alone: [`frame`] has the header, masking and a decoder;
//! [`message::utf8`] validates text in pieces; [`extension`] reads
//! `Sec-WebSocket-Extensions` and negotiates permessage-deflate; `deflate` compresses and decompresses
//! messages.
//!
//! # Features
//!
//! * `std` (default): runtime detection of SIMD for UTF-8 validation, and [`Transmit::io_slices`]. Without it
//!   the crate is `no_std` with `alloc`.
//! * `deflate` (default): compression, off in every connection until `Config::compression` asks for it; and the
//!   module `deflate`, of use without a connection too.
//! * `zlib-rs`: compression by zlib-rs in place of miniz_oxide: faster, and smaller windows at full strength. It
//!   needs `std`.

#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_alloc, clippy::wildcard_enum_match_arm)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod close;
#[cfg(feature = "deflate")]
mod compression;
mod config;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
mod event;
pub mod extension;
pub mod frame;
mod handshake;
mod keys;
pub mod message;
mod outbox;
mod time;
mod timers;

pub use close::{CloseCode, CloseFrame, ReasonTooLong};
#[cfg(feature = "deflate")]
pub use compression::{Compression, DeflateFrameFragments};
pub use config::{Config, Delivery, Keepalive, Origins};
pub use connection::{Connection, Direct, Endpoint, Role, State, Stats};
pub use error::{ProtocolError, Rejected, SendError};
pub use event::{Cause, Disconnect, Event, Side, Transport};
pub use frame::{Input, Opcode};
pub use handshake::{
    Accept, AcceptError, Agreed, ClientRequest, HandshakeError, InvalidHeader, InvalidUrl, Refusal, Request,
    Response, Status, Version,
};
pub use keys::Seed;
pub use message::{Data, Kind, Message, Prepared};
pub use outbox::{Slices, Transmit};
pub use time::{Deadline, Instant, Timer};
