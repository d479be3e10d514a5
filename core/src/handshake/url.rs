//! `ws` and `wss` URLs (RFC 6455 §3).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Where a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) secure: bool,
    /// As in the URL; an IPv6 address keeps its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) target: String,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        if rest.contains('#') {
            return Err(InvalidUrl::Fragment);
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(InvalidUrl::Character);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(InvalidUrl::Userinfo);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, "")) => (host, default_port(secure)),
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(port).ok_or(InvalidUrl::Port)?),
            _ => (authority, default_port(secure)),
        };
        if !is_host(host) {
            return Err(InvalidUrl::Host);
        }
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, host: host.to_owned(), port, target })
    }

    /// The value of `Host`: without the port if it is the scheme's own.
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Whether `authority` is a host with or without a port, as in `Host`; it may be empty (RFC 9112 §3.2).
pub(super) fn is_authority(authority: &str) -> bool {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            is_host(host) && (port.is_empty() || parse_port(port).is_some())
        }
        _ => authority.is_empty() || is_host(authority),
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|number| digits && *number != 0)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| v6.parse::<core::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte))
        }
    }
}

/// Not a URL that a WebSocket can be opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It does not begin with `ws://` or `wss://`.
    Scheme,
    /// The host is missing or malformed.
    Host,
    /// The port is not a number from 1 to 65,535.
    Port,
    /// A user name in the URL: send an `Authorization` header instead.
    Userinfo,
    /// A fragment (`#…`), which has no meaning here (§3): write `%23` for the character.
    Fragment,
    /// A space, a control character, one outside ASCII, or one of `"<>\^{|}` and the backtick: percent-encode
    /// it.
    Character,
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the URL must begin with ws:// or wss://",
            Self::Host => "the URL's host is missing or malformed",
            Self::Port => "the URL's port must be a number from 1 to 65535",
            Self::Userinfo => "the URL must not name a user: send an Authorization header instead",
            Self::Fragment => "the URL must not have a fragment: write %23 for the character #",
            Self::Character => "the URL has a character that must be percent-encoded",
        })
    }
}

impl core::error::Error for InvalidUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_host_port_and_target() {
        for (url, secure, host, port, target, authority) in [
            ("ws://example.com", false, "example.com", 80, "/", "example.com"),
            ("wss://example.com/", true, "example.com", 443, "/", "example.com"),
            (
                "WS://example.com:8080/chat?room=1",
                false,
                "example.com",
                8080,
                "/chat?room=1",
                "example.com:8080",
            ),
            ("ws://example.com?q=a/b", false, "example.com", 80, "/?q=a/b", "example.com"),
            ("ws://[::1]:9001/x", false, "[::1]", 9001, "/x", "[::1]:9001"),
            ("ws://[::1]", false, "[::1]", 80, "/", "[::1]"),
            ("ws://example.com:/", false, "example.com", 80, "/", "example.com"),
            ("wss://example.com:443/@x", true, "example.com", 443, "/@x", "example.com"),
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(
                (parsed.secure, &parsed.host[..], parsed.port, &parsed.target[..]),
                (secure, host, port, target)
            );
            assert_eq!(parsed.authority(), authority);
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_told() {
        for (url, error) in [
            ("http://example.com", InvalidUrl::Scheme),
            ("example.com", InvalidUrl::Scheme),
            ("ws://", InvalidUrl::Host),
            ("ws:///path", InvalidUrl::Host),
            ("ws://[::1/", InvalidUrl::Host),
            ("ws://[nonsense]/", InvalidUrl::Host),
            ("ws://exa<mple/", InvalidUrl::Character),
            ("ws://example.com:0/", InvalidUrl::Port),
            ("ws://example.com:65536/", InvalidUrl::Port),
            ("ws://example.com:+80/", InvalidUrl::Port),
            ("ws://user:secret@example.com/", InvalidUrl::Userinfo),
            ("ws://example.com/#top", InvalidUrl::Fragment),
            ("ws://example.com/a b", InvalidUrl::Character),
            ("ws://example.com/\r\nX: y", InvalidUrl::Character),
            ("ws://example.com/ü", InvalidUrl::Character),
        ] {
            assert_eq!(Url::parse(url), Err(error), "{url:?}");
        }
    }
}
