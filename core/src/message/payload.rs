//! The types that carry payloads in and out.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

#[cfg(feature = "deflate")]
use crate::compression::Compression;
#[cfg(feature = "deflate")]
use crate::deflate::Deflater;
#[cfg(feature = "deflate")]
use crate::extension::WindowBits;

/// Text or binary (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message.
///
/// Received, it is *lent* (`Cow::Borrowed`, from the caller's own read buffer) if it arrived in one piece,
/// and *owned* if it had to be put together; `into_owned` makes the one into the other and costs nothing for
/// the latter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message<'b> {
    /// Text, valid UTF-8 on its way in and out.
    Text(Cow<'b, str>),
    /// Any bytes.
    Binary(Cow<'b, [u8]>),
}

impl<'b> Message<'b> {
    /// A text message.
    pub fn text(text: impl Into<Cow<'b, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Cow<'b, [u8]>>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The message, owning its payload.
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
        }
    }

    /// The payload's bytes, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_owned().into_bytes(),
            Self::Binary(bytes) => bytes.into_owned(),
        }
    }

    /// The same message, borrowed from this one.
    pub fn borrow(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(Cow::Borrowed(text)),
            Self::Binary(bytes) => Message::Binary(Cow::Borrowed(bytes)),
        }
    }
}

impl<'b> From<&'b str> for Message<'b> {
    fn from(text: &'b str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'b> From<&'b String> for Message<'b> {
    fn from(text: &'b String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'b> From<Cow<'b, str>> for Message<'b> {
    fn from(text: Cow<'b, str>) -> Self {
        Self::Text(text)
    }
}

impl<'b> From<Cow<'b, [u8]>> for Message<'b> {
    fn from(bytes: Cow<'b, [u8]>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'b, const N: usize> From<&'b [u8; N]> for Message<'b> {
    fn from(bytes: &'b [u8; N]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl<'b> From<&'b Vec<u8>> for Message<'b> {
    fn from(bytes: &'b Vec<u8>) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'b> From<&'b [u8]> for Message<'b> {
    fn from(bytes: &'b [u8]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(Cow::Owned(bytes))
    }
}

/// A piece of a message, as it arrived ([`Delivery::Streaming`](crate::Delivery::Streaming)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data<'b> {
    /// Text or binary. A piece of a text is valid so far, but may end within a character.
    pub kind: Kind,
    /// The piece. Empty only if the message's end came without further bytes.
    pub payload: Cow<'b, [u8]>,
    /// Whether the message begins with this piece.
    pub first: bool,
    /// Whether the message ends with this piece.
    pub last: bool,
}

impl Data<'_> {
    /// The piece, owning its payload.
    pub fn into_owned(self) -> Data<'static> {
        Data { payload: Cow::Owned(self.payload.into_owned()), ..self }
    }
}

/// A message to be sent on many connections: the payload is held once, and a big one is not copied per
/// connection.
#[derive(Clone, Debug)]
pub struct Prepared {
    kind: Kind,
    payload: Bytes,
    #[cfg(feature = "deflate")]
    deflated: Option<Deflated>,
}

/// A payload that was compressed ahead, and refers to nothing before it.
#[cfg(feature = "deflate")]
#[derive(Clone, Debug)]
struct Deflated {
    payload: Bytes,
    window: WindowBits,
}

impl Prepared {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Kind::Text, text.into().into())
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::new(Kind::Binary, bytes.into())
    }

    fn new(kind: Kind, payload: Bytes) -> Self {
        Self {
            kind,
            payload,
            #[cfg(feature = "deflate")]
            deflated: None,
        }
    }

    /// Compresses it once for all servers' connections that keep no context of what they send, as those of
    /// [`Compression::shared`]; others go on compressing it each for itself, as what they send later may refer
    /// to it.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compressed(mut self, compression: &Compression) -> Self {
        let window = compression.settings.server_max_window_bits;
        let mut payload = Vec::new();
        Deflater::new(&compression.params.window(window)).finish(&self.payload, &mut payload);
        payload.shrink_to_fit();
        self.deflated = Some(Deflated { payload: payload.into(), window });
        self
    }

    /// What was compressed ahead, if it refers no further back than a window of this size.
    #[cfg(feature = "deflate")]
    pub(crate) fn deflated(&self, window: WindowBits) -> Option<&Bytes> {
        let deflated = self.deflated.as_ref()?;
        let fits = deflated.window <= window || self.payload.len() <= 1 << window.get();
        fits.then_some(&deflated.payload)
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl From<Message<'_>> for Prepared {
    /// Of an owned payload nothing is copied.
    fn from(message: Message<'_>) -> Self {
        Self::new(message.kind(), message.into_bytes().into())
    }
}
