//! Responses of hostile servers (RFC 6455 §4.1; RFC 7692 §7.1), which no client goes on with.

use sansocket::{Cause, Compression, Config, HandshakeError, Role, State};

use crate::heads::{answer_to, at_many_splits};
use crate::{START, asking, receive, wire};

use HandshakeError::{
    Accept, Connection, Extension, HeadTooLong, Malformed, Subprotocol, TooManyHeaders, TooManyInterim,
    Upgrade,
};

/// Makes a response of the good one.
pub type Change = fn(&str) -> String;

/// A good response changed, and what is wrong with it then.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub error: HandshakeError,
    /// Whether the client has offered permessage-deflate.
    pub offers: bool,
    pub answer: Change,
}

impl Row {
    /// The client's settings.
    pub fn config(&self) -> Config {
        Config::new().compression(self.offers.then(Compression::new))
    }

    /// A client that gets it, and frames behind it, fails before it sends anything, wherever it is cut.
    #[track_caller]
    pub fn run(&self) {
        let make = || asking(&self.config()).0;
        let answer = (self.answer)(&answer_to(&asking(&self.config()).1, &Config::new()));
        let stream = [answer.as_bytes(), &wire::frame(Role::Client, wire::TEXT, "attack")].concat();
        let record = at_many_splits(make, &stream);
        assert_eq!(record.end.cause(), &Cause::Handshake(self.error), "{answer}");
        assert_eq!((record.events, record.output), (vec![], vec![]), "{answer}");
        assert_eq!((record.state, record.shutdown), (State::Closed, false));
        assert!(!record.end.is_orderly() && record.end.sent().is_none());
        assert_eq!(receive(&mut make(), START, &stream), (vec![], 0));
        assert!(record.end.to_string().ends_with(&self.error.to_string()));
    }
}

pub fn rows() -> Vec<Row> {
    let plain: &[(HandshakeError, Change)] = &[
        (Accept, |good| but(good, accept(good), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        (Accept, |good| but(good, &accept_line(good), "X: y")),
        (Accept, |good| with(good, &accept_line(good))),
        (Accept, |good| but(good, accept(good), &accept(good).to_ascii_lowercase())),
        (Accept, |good| but(good, accept(good), "")),
        (Accept, |good| but(good, accept(good), &format!("{}=", accept(good)))),
        (Upgrade, |good| but(good, "Upgrade: websocket\r\n", "")),
        (Upgrade, |good| but(good, "Upgrade: websocket", "Upgrade: h2c")),
        (Upgrade, |good| but(good, "Upgrade: websocket", "Upgrade: websocket, h2c")),
        (Upgrade, |good| but(good, "Upgrade: websocket", "Upgrade: websocket/13")),
        (Connection, |good| but(good, "Connection: Upgrade\r\n", "")),
        (Connection, |good| but(good, "Connection: Upgrade", "Connection: keep-alive")),
        (Subprotocol, |good| with(good, "Sec-WebSocket-Protocol: chat")),
        (Subprotocol, |good| with(good, "Sec-WebSocket-Protocol:")),
        (Extension, |good| with(good, "Sec-WebSocket-Extensions: permessage-deflate")),
        (Extension, |good| with(good, "Sec-WebSocket-Extensions: ;;")),
        (Malformed, |good| but(good, "HTTP/1.1", "HTTP/1.0")),
        (Malformed, |good| but(good, "HTTP/1.1", "HTTP/2.0")),
        (Malformed, |good| but(good, "HTTP/1.1 101", "SSH-2.0")),
        (Malformed, |good| but(good, " 101 ", " 1o1 ")),
        (Malformed, |good| but(good, " 101 ", " 600 ")),
        (Malformed, |good| but(good, " 101 ", " 99 ")),
        (Malformed, |good| but(good, "Upgrade: ", "Upgrade : ")),
        (Malformed, |good| but(good, "Connection: ", "X: y\r\n folded: ")),
        (Malformed, |good| but(good, "websocket\r\n", "websocket\n")),
        (Malformed, |good| but(good, "Switching", "Switch\ning")),
        (Malformed, |good| but(good, "websocket\r\n", "web\0socket\r\n")),
        (TooManyHeaders, |good| with(good, &["X: y"; 98].join("\r\n"))),
        (TooManyInterim, |good| "HTTP/1.1 100 Continue\r\n\r\n".repeat(9) + good),
        (HeadTooLong, |good| with(good, &format!("X: {}", "x".repeat(16 << 10)))),
    ];
    let compressed: &[Change] = &[
        |good| with(good, "Sec-WebSocket-Extensions: foo"),
        |good| with(good, "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"),
        |good| with(good, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7"),
        |good| with(good, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=999"),
        |good| with(good, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"\""),
    ];
    let plain = plain.iter().map(|(error, answer)| Row { error: *error, offers: false, answer: *answer });
    let compressed = compressed.iter().map(|answer| Row { error: Extension, offers: true, answer: *answer });
    plain.chain(compressed).collect()
}

/// The good response with `from` replaced.
pub fn but(good: &str, from: &str, to: &str) -> String {
    assert!(good.contains(from), "{from}");
    good.replacen(from, to, 1)
}

/// The good response with these header lines at its end.
pub fn with(good: &str, lines: &str) -> String {
    format!("{}{lines}\r\n\r\n", good.strip_suffix("\r\n").unwrap())
}

fn accept(good: &str) -> &str {
    good.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Accept: ")).unwrap()
}

fn accept_line(good: &str) -> String {
    format!("Sec-WebSocket-Accept: {}", accept(good))
}
