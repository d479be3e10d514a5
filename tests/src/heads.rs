//! Requests on the wire, and what a server answers.

use sansocket::{ClientRequest, Config, Connection, Event, Request};

use crate::splits::{Record, run};
use crate::{START, at_every_split, receive, receive_accepting, take_output};

/// The request of §1.2, with the key of §1.3.
pub const GOOD: &str = "GET /chat?room=1&x=?/ HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The good request with `from` replaced.
pub fn but(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// The good request with these header lines at its end.
pub fn with(lines: &str) -> String {
    but("13\r\n\r\n", &format!("13\r\n{lines}\r\n\r\n"))
}

/// The good request with so many header lines, five or more, of which the one that matters is the last.
pub fn of_headers(count: usize) -> String {
    but("Upgrade: websocket\r\n", &"X: y\r\n".repeat(count - 5)).replacen(
        "\r\n\r\n",
        "\r\nUpgrade: websocket\r\n\r\n",
        1,
    )
}

/// A server that waits for a request.
pub fn server() -> Connection {
    Connection::server(&Config::new(), START)
}

/// A server that waits for the application's answer to `request`.
pub fn asked(request: &str) -> (Connection, Request) {
    let mut server = server();
    let (events, rest) = receive(&mut server, START, request.as_bytes());
    let [Event::Request(request)] = &events[..] else { panic!("{request}: {events:?}") };
    assert_eq!(rest, 0);
    (server, request.clone())
}

/// What our server answers to a client's request, accepted with this configuration. (The RFC's example has
/// checked its accept value.)
pub fn answer_to(request: &[u8], config: &Config) -> String {
    let mut server = Connection::server(config, START);
    receive_accepting(&mut server, START, request);
    String::from_utf8(take_output(&mut server)).unwrap()
}

/// A response on the wire, taken apart: names in lower case, sorted.
#[derive(Debug)]
pub struct Answer {
    pub status: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let text = core::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let mut headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        headers.sort_unstable();
        Self { status, headers, body: body.to_owned() }
    }

    /// The value of the one header of this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let value = values.next().map(|(_, value)| &value[..]);
        assert!(values.next().is_none(), "{self:?}");
        value
    }

    /// Has these headers and no other, and a body of the length that it says.
    pub fn assert_headers(&self, expected: &[(&str, &str)]) {
        let length = self.body.len().to_string();
        let mut expected: Vec<_> = [expected, &[("content-length", &length)]].concat();
        expected.sort_unstable();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(headers, expected);
    }
}

/// Like `at_every_split`; a stream that is long is cut at every place near its ends and the limit, and at some between.
pub fn at_many_splits(make: impl Fn() -> Connection, stream: &[u8]) -> Record {
    if stream.len() < 4096 {
        return at_every_split(make, stream);
    }
    let whole = run(make(), [stream]);
    let limit = (16 << 10) - 64..stream.len().min((16 << 10) + 64);
    let cuts =
        (1..400).chain(limit).chain((400..stream.len()).step_by(487)).chain(stream.len() - 300..stream.len());
    for cut in cuts {
        let (first, second) = stream.split_at(cut);
        assert_eq!(run(make(), [first, second]), whole, "cut at {cut}");
    }
    assert_eq!(run(make(), stream.chunks(1)), whole, "byte by byte");
    whole
}

/// The status of a record's one response, behind which nothing else stands.
pub fn status(record: &Record) -> u16 {
    let text = String::from_utf8_lossy(&record.output);
    let mut lines =
        text.match_indices("HTTP/1.1 ").filter(|(at, _)| text.as_bytes()[at + 9].is_ascii_digit());
    assert_eq!((lines.next().map(|(at, _)| at), lines.next()), (Some(0), None), "{text}");
    text.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap()
}

/// What tells a server who asks.
pub const CREDENTIALS: [&str; 3] =
    ["Authorization: Bearer of-secrets", "Cookie: session=1", "Proxy-Authorization: Basic xyz"];

/// A request for this URL with credentials and more.
pub fn credentials(url: &str) -> ClientRequest {
    let request = ClientRequest::new(url).unwrap().subprotocol("chat").unwrap();
    CREDENTIALS.iter().fold(request.header("X-Own", "kept").unwrap(), |request, field| {
        let (name, value) = field.split_once(": ").unwrap();
        request.header(&name.to_lowercase(), value).unwrap()
    })
}

/// Which credentials are in a head.
pub fn has_credentials(head: &str) -> [bool; 3] {
    CREDENTIALS.map(|field| {
        let (name, value) = field.split_once(": ").unwrap();
        head.contains(&format!("\r\n{}: {value}\r\n", name.to_lowercase()))
    })
}
