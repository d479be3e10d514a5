//! permessage-deflate: offers and answers (RFC 7692 §5, §7.1).

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::header::{Offer, Param, offers};

const NAME: &str = "permessage-deflate";
const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// The size of an LZ77 sliding window as its base-2 logarithm: 8 to 15, for 256 bytes to 32 KiB (RFC 7692
/// §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB, what holds if nothing is said.
    pub const MAX: Self = Self(15);

    /// A window of 2^`bits` bytes, if there is one: 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        match bits {
            8..=15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// The logarithm.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// As it stands in a header: "without leading zeros" (§7.1.2.1).
    fn parse(value: &str) -> Option<Self> {
        (8..=15).map(Self).find(|bits| value == format!("{bits}"))
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one end wants of permessage-deflate.
///
/// By default nothing is asked for: contexts are taken over from message to message, and windows are 32 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: WindowBits,
    client_max_window_bits: WindowBits,
}

impl Settings {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
        }
    }

    /// Whether the server must begin each message anew (§7.1.1.1): less memory, at a lower ratio.
    pub const fn server_no_context_takeover(mut self, on: bool) -> Self {
        self.server_no_context_takeover = on;
        self
    }

    /// Whether the client must begin each message anew (§7.1.1.2).
    pub const fn client_no_context_takeover(mut self, on: bool) -> Self {
        self.client_no_context_takeover = on;
        self
    }

    /// The largest window that the server may compress with (§7.1.2.1).
    pub const fn server_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// The largest window that the client may compress with (§7.1.2.2).
    pub const fn client_max_window_bits(mut self, bits: WindowBits) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// A client's offer, as the value of `Sec-WebSocket-Extensions`.
    ///
    /// It always allows the server to limit the client's window: by default this is exactly what browsers
    /// send, `permessage-deflate; client_max_window_bits`. A smaller window of the client's own needs no
    /// word.
    pub fn offer(&self) -> String {
        let mut header = String::from(NAME);
        header.push_str("; ");
        header.push_str(CLIENT_BITS);
        flag(&mut header, self.client_no_context_takeover, CLIENT_TAKEOVER);
        flag(&mut header, self.server_no_context_takeover, SERVER_TAKEOVER);
        if self.server_max_window_bits < WindowBits::MAX {
            bits(&mut header, SERVER_BITS, self.server_max_window_bits);
        }
        header
    }

    /// A server's answer to the values of a request's `Sec-WebSocket-Extensions` headers: what holds from now
    /// on, and the value of the response's. The first offer that can be accepted is; `None` if none can, and
    /// then nothing is answered.
    pub fn answer<'h>(
        &self,
        headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Option<(PermessageDeflate, String)> {
        headers.into_iter().flat_map(offers).flatten().find_map(|offer| self.accept(&offer))
    }

    /// A client's judgement of the extensions in a server's response, after [`offer`](Self::offer): what
    /// holds from now on, `None` if the server chose no extension.
    ///
    /// # Errors
    /// [`InvalidAnswer`]: the client must fail the connection (RFC 6455 §4.1, RFC 7692 §7.1).
    pub fn verify<'h>(
        &self,
        headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Result<Option<PermessageDeflate>, InvalidAnswer> {
        let mut extensions = headers.into_iter().flat_map(offers);
        let Some(first) = extensions.next() else { return Ok(None) };
        let answer = first.map_err(|_| InvalidAnswer::Malformed)?;
        if answer.name() != NAME || extensions.next().is_some() {
            return Err(InvalidAnswer::NotOffered);
        }
        let given = Given::read(&answer).ok_or(InvalidAnswer::Parameters)?;
        // In an answer a window always has a size.
        if given.client_max_window_bits == Some(None) {
            return Err(InvalidAnswer::Parameters);
        }
        let server_bits = given.server_max_window_bits.unwrap_or(WindowBits::MAX);
        let is_granted = given.server_no_context_takeover || !self.server_no_context_takeover;
        if !is_granted || server_bits > self.server_max_window_bits {
            return Err(InvalidAnswer::NotGranted);
        }
        let client_bits = given.client_max_window_bits.flatten().unwrap_or(WindowBits::MAX);
        Ok(Some(PermessageDeflate {
            server_no_context_takeover: given.server_no_context_takeover,
            client_no_context_takeover: given.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits.min(self.client_max_window_bits),
        }))
    }

    fn accept(&self, offer: &Offer<'_>) -> Option<(PermessageDeflate, String)> {
        let given = Given::read(offer).filter(|_| offer.name() == NAME)?;
        // A client that does not say so cannot be told to use a smaller window (§7.1.2.2).
        if given.client_max_window_bits.is_none() && self.client_max_window_bits < WindowBits::MAX {
            return None;
        }
        let agreed = PermessageDeflate {
            server_no_context_takeover: given.server_no_context_takeover || self.server_no_context_takeover,
            client_no_context_takeover: given.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits: given
                .server_max_window_bits
                .unwrap_or(WindowBits::MAX)
                .min(self.server_max_window_bits),
            client_max_window_bits: given
                .client_max_window_bits
                .flatten()
                .unwrap_or(WindowBits::MAX)
                .min(self.client_max_window_bits),
        };
        let mut header = String::from(NAME);
        flag(&mut header, agreed.server_no_context_takeover, SERVER_TAKEOVER);
        flag(&mut header, agreed.client_no_context_takeover, CLIENT_TAKEOVER);
        if given.server_max_window_bits.is_some() || agreed.server_max_window_bits < WindowBits::MAX {
            bits(&mut header, SERVER_BITS, agreed.server_max_window_bits);
        }
        if given.client_max_window_bits.is_some() {
            bits(&mut header, CLIENT_BITS, agreed.client_max_window_bits);
        }
        Some((agreed, header))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// What both ends agreed upon (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermessageDeflate {
    /// The server begins each message anew.
    pub server_no_context_takeover: bool,
    /// The client begins each message anew.
    pub client_no_context_takeover: bool,
    /// The server's window, in which the client inflates.
    pub server_max_window_bits: WindowBits,
    /// The client's window, in which the server inflates.
    pub client_max_window_bits: WindowBits,
}

/// A server's answer is none to what was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// The header does not follow its grammar.
    Malformed,
    /// An extension that was not offered, or one twice.
    NotOffered,
    /// A parameter that is unknown, there twice, or has a value that it must not have.
    Parameters,
    /// A limit on the server that was asked for, and is not in the answer.
    NotGranted,
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "Sec-WebSocket-Extensions is malformed",
            Self::NotOffered => "the server chose an extension that was not offered",
            Self::Parameters => "a parameter of permessage-deflate is not a valid one",
            Self::NotGranted => "the server accepted permessage-deflate without a limit that was asked for",
        })
    }
}

impl core::error::Error for InvalidAnswer {}

/// The parameters of one offer or answer.
#[derive(Default)]
struct Given {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    /// In an offer it may stand without a value.
    client_max_window_bits: Option<Option<WindowBits>>,
}

impl Given {
    /// `None` if a parameter is unknown, there twice, or has a value that it must not have (§7.1).
    fn read(offer: &Offer<'_>) -> Option<Self> {
        let mut given = Self::default();
        for Param { name, value } in offer.params() {
            let is_new = match (name, value.as_deref()) {
                (SERVER_TAKEOVER, None) => !core::mem::replace(&mut given.server_no_context_takeover, true),
                (CLIENT_TAKEOVER, None) => !core::mem::replace(&mut given.client_no_context_takeover, true),
                (SERVER_BITS, Some(bits)) => {
                    given.server_max_window_bits.replace(WindowBits::parse(bits)?).is_none()
                }
                (CLIENT_BITS, None) => given.client_max_window_bits.replace(None).is_none(),
                (CLIENT_BITS, Some(bits)) => {
                    given.client_max_window_bits.replace(Some(WindowBits::parse(bits)?)).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(given)
    }
}

fn flag(header: &mut String, on: bool, name: &str) {
    if on {
        header.push_str("; ");
        header.push_str(name);
    }
}

fn bits(header: &mut String, name: &str, bits: WindowBits) {
    header.push_str(&format!("; {name}={bits}"));
}
