//! An HTTP head: collected from reads, its fields found, lists split (RFC 9110, RFC 9112).

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use smallvec::SmallVec;

use crate::frame::Input;

/// Collects a head up to its empty line, looking at each byte once.
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    /// Where the line begins that is being read.
    line: usize,
    lines: usize,
    max_head: usize,
    max_headers: usize,
    /// A server ignores an empty line before the request (RFC 9112 §2.2).
    empty_line_allowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    TooLong,
    TooManyHeaders,
    Malformed,
}

impl HeadReader {
    pub(super) fn request(max_head: usize, max_headers: usize) -> Self {
        Self { empty_line_allowed: true, ..Self::response(max_head, max_headers) }
    }

    pub(super) fn response(max_head: usize, max_headers: usize) -> Self {
        Self { bytes: Vec::new(), line: 0, lines: 0, max_head, max_headers, empty_line_allowed: false }
    }

    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the head's bytes, and none behind them; the head with its empty line, once that is there.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Vec<u8>>, HeadError> {
        // Once, if the whole head is there.
        self.reserve(input.remaining());
        while let Some(end) = input.peek().iter().position(|byte| *byte == b'\n') {
            self.append(input.take(end + 1))?;
            let line = &self.bytes[self.line..];
            if !line.ends_with(b"\r\n") {
                return Err(HeadError::Malformed);
            }
            if line.len() > 2 {
                self.line = self.bytes.len();
                self.lines += 1;
                // The first line is no header.
                if self.lines.saturating_sub(1) > self.max_headers {
                    return Err(HeadError::TooManyHeaders);
                }
            } else if self.lines > 0 {
                return Ok(Some(core::mem::take(&mut self.bytes)));
            } else if core::mem::replace(&mut self.empty_line_allowed, false) {
                self.bytes.clear();
            } else {
                return Err(HeadError::Malformed);
            }
        }
        self.append(input.take(usize::MAX))?;
        Ok(None)
    }

    /// Begins anew, for the response behind an interim one.
    pub(super) fn restart(&mut self) {
        *self = Self::response(self.max_head, self.max_headers);
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        if self.bytes.len() + bytes.len() > self.max_head {
            return Err(HeadError::TooLong);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// For as much of what is there as can belong to a head.
    fn reserve(&mut self, more: usize) {
        let (len, left) = (self.bytes.len(), self.max_head.saturating_sub(self.bytes.len()));
        if self.bytes.capacity() - len < more.min(left) {
            // Doubling, but never beyond the limit.
            self.bytes.reserve_exact(more.max(len).min(left));
        }
    }
}

impl fmt::Debug for HeadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadReader").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A parsed head, or one that is made: where its header fields are in its bytes.
#[derive(Clone, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

#[derive(Clone)]
pub(super) struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Field {
    /// Where `header`, which was parsed from `bytes`, is in them.
    pub(super) fn locate(bytes: &[u8], header: &httparse::Header<'_>) -> Self {
        Self { name: offsets(bytes, header.name.as_bytes()), value: offsets(bytes, header.value) }
    }
}

/// Memory for the headers of `head`, one a line.
pub(super) fn header_slots(head: &[u8]) -> SmallVec<[httparse::Header<'_>; 24]> {
    // In parts whose sums fit a byte: vector code, then.
    let lines = head.chunks(255).map(|part| part.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>());
    let lines = lines.map(usize::from).sum();
    SmallVec::from_elem(httparse::EMPTY_HEADER, lines)
}

impl Fields {
    pub(super) fn new(bytes: Vec<u8>, fields: Vec<Field>) -> Self {
        Self { bytes, fields }
    }

    /// Adds a field behind the others.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        let mut append = |part: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(part);
            start..self.bytes.len()
        };
        let (name, value) = (append(name.as_bytes()), append(value));
        self.fields.push(Field { name, value });
    }

    /// Removes the fields of this name.
    pub(super) fn remove(&mut self, name: &str) {
        let bytes = &self.bytes;
        self.fields.retain(|field| !bytes[field.name.clone()].eq_ignore_ascii_case(name.as_bytes()));
    }

    /// The whole head.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// All fields, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| {
            // A field name is a token: ASCII.
            (core::str::from_utf8(self.slice(&field.name)).unwrap_or_default(), self.slice(&field.value))
        })
    }

    /// The values of the fields of this name, in order.
    pub(super) fn all<'h, 'n>(&'h self, name: &'n str) -> impl Iterator<Item = &'h [u8]> + use<'h, 'n> {
        let named = move |field: &&Field| self.slice(&field.name).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|field| self.slice(&field.value))
    }

    /// The value of the one field of this name; the error says that there are several.
    pub(super) fn one(&self, name: &str) -> Result<Option<&[u8]>, ()> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(()),
        }
    }

    /// Whether a field of this name is a list that has `token`, in any case (RFC 9110 §5.6.1).
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(list).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// The offsets of `part` in `whole`, of which it is a part.
pub(super) fn offsets(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// The elements of a comma-separated list, trimmed; empty ones are skipped. Not for lists with quoted
/// strings.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether `bytes` is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_char(*byte))
}

pub(crate) const fn is_token_char(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [byte, more @ ..] = rest {
        table[*byte as usize] = true;
        rest = more;
    }
    table
};

/// Whether a field tells how its message is written, or what becomes of the connection (RFC 9112 §6, RFC 9110 §7.6.1).
pub(super) fn is_of_framing(name: &str) -> bool {
    is_one_of(name, &["connection", "content-length", "keep-alive", "trailer", "transfer-encoding"])
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|one| name.eq_ignore_ascii_case(one))
}

/// Checks a header field that the application wants to send.
pub(super) fn check_field(name: &str, value: &str) -> Result<(), InvalidHeader> {
    const PREFIX: &str = "sec-websocket-";
    if !is_token(name.as_bytes()) {
        return Err(InvalidHeader::Name);
    }
    let reserved = is_of_framing(name) || is_one_of(name, &["host", "upgrade"]);
    if reserved || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
        return Err(InvalidHeader::Reserved);
    }
    // White space around a value is not part of it: the receiver would get another.
    let is_trimmed = !value.starts_with([' ', '\t']) && !value.ends_with([' ', '\t']);
    if !is_trimmed || !value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7F) {
        return Err(InvalidHeader::Value);
    }
    Ok(())
}

/// A header field that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 §5.1).
    Name,
    /// The value has control characters, such as CR, LF or NUL, or begins or ends with white space (RFC 9110
    /// §5.5).
    Value,
    /// The field belongs to the handshake itself and is written by the library: `Connection`, `Upgrade`,
    /// `Host`, `Content-Length`, `Transfer-Encoding`, `Trailer`, `Keep-Alive` and `Sec-WebSocket-*`.
    Reserved,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a header field must be a token",
            Self::Value => {
                "the value of a header field must not have control characters, nor white space around it"
            }
            Self::Reserved => "this header field is written by the library",
        })
    }
}

impl core::error::Error for InvalidHeader {}
