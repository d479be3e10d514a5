//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::handshake::is_token_char;

/// One extension of a list: its name and its parameters, not yet judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'h> {
    name: &'h str,
    params: &'h [u8],
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<'h> {
    /// The name, a token.
    pub name: &'h str,
    /// The value, without quotes and escapes. Borrowed from the header but if it had escapes.
    pub value: Option<Cow<'h, str>>,
}

/// The header does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(());

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sec-WebSocket-Extensions is malformed")
    }
}

impl core::error::Error for Malformed {}

/// The extensions in one header value, in order. Ends behind the first error.
pub fn offers(value: &[u8]) -> impl Iterator<Item = Result<Offer<'_>, Malformed>> {
    let mut rest = Cursor(value);
    let mut failed = false;
    core::iter::from_fn(move || {
        if failed {
            return None;
        }
        // Empty elements may stand in a list (RFC 9110 §5.6.1).
        while rest.skip_space().eat(b',') {}
        if rest.is_empty() {
            return None;
        }
        let offer = rest.offer().ok_or(Malformed(()));
        failed = offer.is_err();
        Some(offer)
    })
}

impl<'h> Offer<'h> {
    /// The extension's name.
    pub fn name(&self) -> &'h str {
        self.name
    }

    /// The parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'h>> {
        self.params_up_to(usize::MAX)
    }

    /// The parameters, for who knows values of at most so many bytes: one that is longer, and would have to be copied without
    /// its escapes, is empty, which no value is.
    pub(super) fn params_up_to(&self, longest: usize) -> impl Iterator<Item = Param<'h>> {
        let mut rest = Cursor(self.params);
        // `Cursor::offer` has read them once.
        core::iter::from_fn(move || rest.param(longest).flatten())
    }
}

/// Reads from the front of a header value.
struct Cursor<'h>(&'h [u8]);

impl<'h> Cursor<'h> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn skip_space(&mut self) -> &mut Self {
        let spaces = self.0.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.0 = &self.0[spaces..];
        self
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.0.first() == Some(&byte);
        if eaten {
            self.0 = &self.0[1..];
        }
        eaten
    }

    /// A name and its parameters, up to a comma or the end.
    fn offer(&mut self) -> Option<Offer<'h>> {
        let name = self.token()?;
        let params = self.0;
        while self.param(0)?.is_some() {}
        let read = params.len() - self.0.len();
        (self.is_empty() || self.0.first() == Some(&b',')).then_some(Offer { name, params: &params[..read] })
    }

    /// `; name`, `; name=token` or `; name="token"`; nothing if no semicolon follows; `None` if it is
    /// malformed.
    fn param(&mut self, longest: usize) -> Option<Option<Param<'h>>> {
        if !self.skip_space().eat(b';') {
            return Some(None);
        }
        let name = self.skip_space().token()?;
        if !self.skip_space().eat(b'=') {
            return Some(Some(Param { name, value: None }));
        }
        let quoted = self.skip_space().eat(b'"');
        let value = if quoted { self.quoted(longest)? } else { Cow::Borrowed(self.token()?) };
        Some(Some(Param { name, value: Some(value) }))
    }

    /// A quoted string up to its closing quote. What it stands for must be a token too (§9.1), so only
    /// escapes can make it differ from one.
    fn quoted(&mut self, longest: usize) -> Option<Cow<'h, str>> {
        let (begin, mut len) = (self.0, 0);
        let rest = loop {
            self.0 = match self.0 {
                [b'"', rest @ ..] => break rest,
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] if is_token_char(*byte) => rest,
                _ => return None,
            };
            len += 1;
        };
        let value = core::str::from_utf8(&begin[..begin.len() - self.0.len()]).ok()?;
        self.0 = rest;
        match len {
            0 => None,
            _ if len == value.len() => Some(Cow::Borrowed(value)),
            _ if len > longest => Some(Cow::Borrowed("")),
            _ => {
                let mut unescaped = String::with_capacity(len);
                unescaped.extend(value.chars().filter(|character| *character != '\\'));
                Some(Cow::Owned(unescaped))
            }
        }
    }

    fn token(&mut self) -> Option<&'h str> {
        let len = self.0.iter().take_while(|byte| is_token_char(**byte)).count();
        let (token, rest) = self.0.split_at(len);
        self.0 = rest;
        if token.is_empty() { None } else { core::str::from_utf8(token).ok() }
    }
}
