//! Streams that cost their sender little and are meant to cost the receiver much, as long as is asked for.

use sansocket::{Compression, Config, Connection, Delivery, Role};

use crate::compressed::{self, RSV1, deflate, deflater};
use crate::heads::but;
use crate::inflate::noise;
use crate::pair::Dice;
use crate::wire::{self, BINARY, CONTINUATION, PING, PONG, TEXT};
use crate::{START, open};

/// What such a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A server that waits for its request.
    Opening,
    Open,
    /// An open connection that has agreed upon permessage-deflate.
    Compressed,
}

/// A stream of about as many bytes as its maker is told.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub name: &'static str,
    pub on: On,
    pub make: fn(receiver: Role, len: usize) -> Vec<u8>,
}

impl Stream {
    /// A connection in its state, with these settings.
    pub fn connection(&self, receiver: Role, config: &Config, delivery: Delivery) -> Connection {
        let config = config.clone().delivery(delivery).compression(Some(Compression::new()));
        match self.on {
            On::Opening => Connection::server(&config, START),
            On::Open => open(receiver, &config),
            On::Compressed => compressed::open(receiver, &config),
        }
    }

    /// The roles that it can be sent to.
    pub fn receivers(&self) -> &'static [Role] {
        if self.on == On::Opening { &[Role::Server] } else { &crate::ROLES }
    }
}

pub const STREAMS: &[Stream] = &[
    opening("a line without end", |_, len| request("X: ", "x", "", len)),
    opening("headers without end", |_, len| request("", "X: y\r\n", "", len)),
    opening("empty lines", |_, len| b"\r\n".repeat(len / 2)),
    opening("a list of extensions", |_, len| request(EXTENSIONS, "a;b=\"c\",", "a", len)),
    opening("a list of offers", |_, len| {
        request(EXTENSIONS, "permessage-deflate,", "permessage-deflate", len)
    }),
    opening("parameters of an extension", |_, len| request(EXTENSIONS, "a;", "b", len)),
    opening("spaces in an extension", |_, len| request("Sec-WebSocket-Extensions: b", " ", "x", len)),
    opening("a quote that is not closed", |_, len| {
        request("Sec-WebSocket-Extensions: a; b=\"", r"\x", "", len)
    }),
    opening("commas", |_, len| request(EXTENSIONS, ",", "", len)),
    opening("a list of subprotocols", |_, len| {
        let names: Vec<_> = (0..len / 7).map(|name| format!("{name:06}")).collect();
        request("Sec-WebSocket-Protocol: ", &names.join(","), "", 0)
    }),
    opening("one subprotocol again and again", |_, len| request("Sec-WebSocket-Protocol: ", "a,", "a", len)),
    opening("spaces in a subprotocol", |_, len| request("Sec-WebSocket-Protocol: b", " ", "x", len)),
    opening("tokens of Connection", |_, len| request("Connection: ", "a,", "Upgrade", len)),
    opening("names of protocols", |_, len| request("Upgrade: ", "a,", "websocket", len)),
    opening("forwarded hosts", |_, len| request("Origin: http://a\r\nForwarded: ", "for=a;host=b,", "", len)),
    opening("an origin that is escaped", |_, len| request("Origin: ", "\u{300}", "", len)),
    plain("a frame", |role, len| wire::frame(role, BINARY, vec![b'x'; len])),
    plain("a frame of text", |role, len| wire::frame(role, TEXT, "é".repeat(len / 2))),
    plain("a frame that does not end", |role, len| {
        let mut frame = wire::frame(role, TEXT, vec![b'x'; 2 * len]);
        frame.truncate(len);
        frame
    }),
    plain("fragments of 1 byte", |role, len| fragments(role, b"x", len)),
    plain("fragments of 16 bytes", |role, len| fragments(role, &[b'x'; 16], len)),
    plain("fragments of 256 bytes", |role, len| fragments(role, &[b'x'; 256], len)),
    plain("empty fragments", |role, len| fragments(role, b"", len)),
    plain("characters in pieces", |role, len| {
        let parts: Vec<_> = "😀".bytes().map(|byte| wire::fragment(role, CONTINUATION, [byte])).collect();
        [wire::fragment(role, TEXT, ""), repeat(&parts.concat(), len)].concat()
    }),
    plain("messages of 1 byte", |role, len| repeat(&wire::frame(role, TEXT, "x"), len)),
    plain("empty messages", |role, len| repeat(&wire::frame(role, BINARY, ""), len)),
    plain("Pings", |role, len| repeat(&wire::frame(role, PING, [7; 125]), len)),
    plain("empty Pings", |role, len| repeat(&wire::frame(role, PING, ""), len)),
    plain("Pongs", |role, len| repeat(&wire::frame(role, PONG, [7; 125]), len)),
    plain("Pings between fragments", |role, len| {
        let both = [wire::frame(role, PING, "?"), wire::fragment(role, CONTINUATION, "x")].concat();
        [wire::fragment(role, TEXT, ""), repeat(&both, len)].concat()
    }),
    plain("what follows a fault", |role, len| repeat(&wire::frame(role, 3, "x"), len)),
    plain("what follows a Close", |role, len| {
        [wire::close(role, 1000, ""), repeat(&wire::frame(role, TEXT, "x"), len)].concat()
    }),
    packed("empty blocks", |role, len| message(role, &b"\x00\x00\x00\xFF\xFF".repeat(len / 5))),
    packed("blocks of 1 byte", |role, len| message(role, &b"\x00\x01\x00\xFE\xFFx".repeat(len / 6))),
    packed("blocks of 1 byte that end the stream", |role, len| {
        message(role, &b"\x01\x01\x00\xFE\xFFx".repeat(len / 6))
    }),
    packed("zeros", |role, len| {
        let mut piece = Vec::new();
        deflater().piece(&[0; 4096], &mut piece);
        message(role, &repeat(&piece, len))
    }),
    packed("noise", |role, len| message(role, &deflate(noise(&mut Dice::new(1), len)))),
    packed("blocks in fragments of 1 byte", |role, len| {
        let payload = b"\x00\x01\x00\xFE\xFFx".repeat(len / 24);
        compressed::frames(role, sansocket::Kind::Text, &payload.chunks(1).collect::<Vec<_>>()).concat()
    }),
    packed("empty messages, compressed", |role, len| repeat(&wire::frame(role, RSV1 | TEXT, [0]), len)),
    packed("messages of 1 byte, compressed", |role, len| {
        repeat(&wire::frame(role, RSV1 | TEXT, deflate("x")), len)
    }),
];

/// A byte has the best part of a block, and a receiver may set up tables for each: the most work for a byte that there is.
pub const EMPTY_BLOCKS_OF_FIXED_CODES: Stream = packed("empty blocks of fixed codes", |role, len| {
    message(role, &[b"\x02\x08\x20\x80\x00".repeat(len / 5), vec![0]].concat())
});

const EXTENSIONS: &str = "Sec-WebSocket-Extensions: ";

const fn opening(name: &'static str, make: fn(Role, usize) -> Vec<u8>) -> Stream {
    Stream { name, on: On::Opening, make }
}

const fn plain(name: &'static str, make: fn(Role, usize) -> Vec<u8>) -> Stream {
    Stream { name, on: On::Open, make }
}

const fn packed(name: &'static str, make: fn(Role, usize) -> Vec<u8>) -> Stream {
    Stream { name, on: On::Compressed, make }
}

/// A good request but for a field that has this again and again.
fn request(begin: &str, again: &str, end: &str, len: usize) -> Vec<u8> {
    let again = again.repeat((len / again.len()).max(1));
    let line_end = if begin.is_empty() { "" } else { "\r\n" };
    but("Upgrade: websocket\r\n", &format!("Upgrade: websocket\r\n{begin}{again}{end}{line_end}"))
        .into_bytes()
}

fn repeat(frame: &[u8], len: usize) -> Vec<u8> {
    frame.repeat(len / frame.len())
}

fn fragments(receiver: Role, payload: &[u8], len: usize) -> Vec<u8> {
    let begin = wire::fragment(receiver, TEXT, payload);
    [begin, repeat(&wire::fragment(receiver, CONTINUATION, payload), len)].concat()
}

/// A compressed message in one frame.
fn message(receiver: Role, payload: &[u8]) -> Vec<u8> {
    wire::frame(receiver, RSV1 | BINARY, payload)
}
