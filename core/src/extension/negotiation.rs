//! What both ends want of compression, and what they agree upon (RFC 6455 §9.1, RFC 7692 §5).

use alloc::string::String;
use core::fmt;

use super::header::{Offer, offers};
use super::window::WindowBits;
use super::{deflate_frame, permessage_deflate};

/// What one end wants of compression.
///
/// By default nothing is asked for: contexts are taken over from message to message, windows are 32 KiB, and a
/// server takes part in whichever extension the client names first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(crate) server_max_window_bits: WindowBits,
    pub(super) client_max_window_bits: WindowBits,
    accept_deflate_frame: bool,
    offer_deflate_frame: bool,
}

impl Settings {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
            // Forked, or it might be, it is inflated by miniz_oxide on either backend.
            accept_deflate_frame: !cfg!(feature = "zlib-rs"),
            offer_deflate_frame: false,
        }
    }

    /// Whether the server must begin each message anew (RFC 7692 §7.1.1.1): less memory, at a lower ratio.
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

    /// Whether a server accepts `x-webkit-deflate-frame` and `deflate-frame`, the forerunners of
    /// permessage-deflate.
    ///
    /// On, as Safari up to 14 knows nothing else; off with the feature `zlib-rs`, as what comes is inflated by
    /// miniz_oxide all the same, unless it is said how to read it: see [`Compression::accept_deflate_frame`].
    ///
    /// [`Compression::accept_deflate_frame`]: crate::Compression::accept_deflate_frame
    pub const fn accept_deflate_frame(mut self, on: bool) -> Self {
        self.accept_deflate_frame = on;
        self
    }

    /// Whether a client offers `x-webkit-deflate-frame` and `deflate-frame` behind permessage-deflate.
    ///
    /// Off: servers that know nothing else are rare, and gateways that fail on several offers are not.
    pub const fn offer_deflate_frame(mut self, on: bool) -> Self {
        self.offer_deflate_frame = on;
        self
    }

    /// A client's offer, as the value of `Sec-WebSocket-Extensions`.
    ///
    /// It always allows the server to limit the client's window: by default this is exactly what browsers
    /// send, `permessage-deflate; client_max_window_bits`. A smaller window of the client's own needs no
    /// word.
    pub fn offer(&self) -> String {
        let mut header = permessage_deflate::offer(self);
        if self.offer_deflate_frame {
            for extension in [Extension::XWebkitDeflateFrame, Extension::DeflateFrame] {
                header.push_str(", ");
                header.push_str(&deflate_frame::offer(self, extension));
            }
        }
        header
    }

    /// A server's answer to the values of a request's `Sec-WebSocket-Extensions` headers: what holds from now
    /// on, and the value of the response's. The first offer that can be accepted is; `None` if none can, and
    /// then nothing is answered.
    pub fn answer<'h>(&self, headers: impl IntoIterator<Item = &'h [u8]>) -> Option<(Negotiated, String)> {
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
    ) -> Result<Option<Negotiated>, InvalidAnswer> {
        let mut extensions = headers.into_iter().flat_map(offers);
        let Some(first) = extensions.next() else { return Ok(None) };
        let answer = first.map_err(|_| InvalidAnswer::Malformed)?;
        if extensions.next().is_some() {
            return Err(InvalidAnswer::NotOffered);
        }
        match Extension::named(answer.name()) {
            Some(Extension::PermessageDeflate) => permessage_deflate::verify(self, &answer).map(Some),
            Some(extension) if self.offer_deflate_frame => {
                deflate_frame::verify(self, extension, &answer).map(Some)
            }
            Some(_) | None => Err(InvalidAnswer::NotOffered),
        }
    }

    fn accept(&self, offer: &Offer<'_>) -> Option<(Negotiated, String)> {
        match Extension::named(offer.name())? {
            Extension::PermessageDeflate => permessage_deflate::accept(self, offer),
            extension @ (Extension::XWebkitDeflateFrame | Extension::DeflateFrame) => {
                self.accept_deflate_frame.then(|| deflate_frame::accept(self, extension, offer))?
            }
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// A compression extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// `permessage-deflate` (RFC 7692): messages are compressed.
    PermessageDeflate,
    /// `x-webkit-deflate-frame`: frames are compressed, as Safari up to 14 does
    /// (draft-tyoshino-hybi-websocket-perframe-deflate).
    XWebkitDeflateFrame,
    /// `deflate-frame`: the same under the name that the draft gave it.
    DeflateFrame,
}

impl Extension {
    /// Its name in headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PermessageDeflate => "permessage-deflate",
            Self::XWebkitDeflateFrame => "x-webkit-deflate-frame",
            Self::DeflateFrame => "deflate-frame",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::PermessageDeflate, Self::XWebkitDeflateFrame, Self::DeflateFrame]
            .into_iter()
            .find(|extension| extension.name() == name)
    }
}

/// What both ends agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The extension.
    pub extension: Extension,
    /// The server begins each message anew (of `deflate-frame`: each frame).
    pub server_no_context_takeover: bool,
    /// The client begins each message anew (of `deflate-frame`: each frame).
    pub client_no_context_takeover: bool,
    /// The server's window, in which the client inflates.
    pub server_max_window_bits: WindowBits,
    /// The client's window, in which the server inflates.
    pub client_max_window_bits: WindowBits,
}

impl Negotiated {
    /// An extension without parameters.
    pub const fn new(extension: Extension) -> Self {
        Self {
            extension,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: WindowBits::MAX,
            client_max_window_bits: WindowBits::MAX,
        }
    }
}

/// A server's answer is none to what was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// The header does not follow its grammar.
    Malformed,
    /// An extension that was not offered, or more than one.
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
            Self::Parameters => "a parameter of the compression extension is not a valid one",
            Self::NotGranted => "the server accepted permessage-deflate without a limit that was asked for",
        })
    }
}

impl core::error::Error for InvalidAnswer {}
