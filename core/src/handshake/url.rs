//! `ws` and `wss` URLs (RFC 6455 §3).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
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
        if !has_url_characters(rest) {
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

    /// What `reference` means to who got it from this URL (RFC 3986 §5.2). `http` stands for `ws` here, and
    /// `https` for `wss`; a fragment says nothing to a server and is left out.
    pub(super) fn join(&self, reference: &str) -> Result<Self, InvalidUrl> {
        let reference = reference.split('#').next().unwrap_or_default();
        let mut url = if let Some((scheme, rest)) = split_scheme(reference) {
            let secure = scheme.eq_ignore_ascii_case("wss") || scheme.eq_ignore_ascii_case("https");
            if !secure && !scheme.eq_ignore_ascii_case("ws") && !scheme.eq_ignore_ascii_case("http") {
                return Err(InvalidUrl::Scheme);
            }
            Self::parse(&format!("{}:{rest}", if secure { "wss" } else { "ws" }))?
        } else if reference.starts_with("//") {
            Self::parse(&format!("{}:{reference}", if self.secure { "wss" } else { "ws" }))?
        } else {
            let path = self.target.split('?').next().unwrap_or_default();
            let target = match reference.chars().next() {
                None => self.target.clone(),
                Some('/') => reference.to_owned(),
                Some('?') => format!("{path}{reference}"),
                Some(_) => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(parent, _)| parent)),
            };
            if !has_url_characters(&target) {
                return Err(InvalidUrl::Character);
            }
            Self { target, ..self.clone() }
        };
        url.target = without_dots(&url.target);
        if self.secure && !url.secure { Err(InvalidUrl::Downgrade) } else { Ok(url) }
    }

    /// Whether both have the same origin (RFC 6454 §5).
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.host.eq_ignore_ascii_case(&other.host) && self.port == other.port
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

fn has_url_characters(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// The scheme of a reference that has one (RFC 3986 §3.1), and what is behind its colon.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// A target whose path has no `.` and `..` as segments any more (RFC 3986 §5.2.4).
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut out = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_dots = segment == "." || segment == "..";
        if segment == ".." {
            out.pop();
        }
        match is_dots {
            false => out.push(segment),
            // What the last one names is a directory.
            true if segments.peek().is_none() => out.push(""),
            true => {}
        }
    }
    format!("/{}{query}", out.join("/"))
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
    /// A redirection from `wss` to `ws`, which would send in the clear what was meant to be secret.
    Downgrade,
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
            Self::Downgrade => "a redirection from wss:// to ws:// is not followed",
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

    fn join(base: &str, reference: &str) -> Result<String, InvalidUrl> {
        let url = Url::parse(base)?.join(reference)?;
        let scheme = if url.secure { "wss" } else { "ws" };
        Ok(format!("{scheme}://{}{}", url.authority(), url.target))
    }

    #[test]
    fn references_resolve_as_in_the_examples_of_rfc_3986_5_4() {
        for (reference, resolved) in [
            ("g", "ws://a/b/c/g"),
            ("./g", "ws://a/b/c/g"),
            ("g/", "ws://a/b/c/g/"),
            ("/g", "ws://a/g"),
            ("//g", "ws://g/"),
            ("?y", "ws://a/b/c/d;p?y"),
            ("g?y", "ws://a/b/c/g?y"),
            ("#s", "ws://a/b/c/d;p?q"),
            ("g#s", "ws://a/b/c/g"),
            ("g?y#s", "ws://a/b/c/g?y"),
            (";x", "ws://a/b/c/;x"),
            ("g;x", "ws://a/b/c/g;x"),
            ("g;x?y#s", "ws://a/b/c/g;x?y"),
            ("", "ws://a/b/c/d;p?q"),
            (".", "ws://a/b/c/"),
            ("./", "ws://a/b/c/"),
            ("..", "ws://a/b/"),
            ("../", "ws://a/b/"),
            ("../g", "ws://a/b/g"),
            ("../..", "ws://a/"),
            ("../../", "ws://a/"),
            ("../../g", "ws://a/g"),
            ("../../../g", "ws://a/g"),
            ("../../../../g", "ws://a/g"),
            ("/./g", "ws://a/g"),
            ("/../g", "ws://a/g"),
            ("g.", "ws://a/b/c/g."),
            (".g", "ws://a/b/c/.g"),
            ("g..", "ws://a/b/c/g.."),
            ("..g", "ws://a/b/c/..g"),
            ("./../g", "ws://a/b/g"),
            ("./g/.", "ws://a/b/c/g/"),
            ("g/./h", "ws://a/b/c/g/h"),
            ("g/../h", "ws://a/b/c/h"),
            ("g;x=1/./y", "ws://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "ws://a/b/c/y"),
            ("g?y/./x", "ws://a/b/c/g?y/./x"),
            ("g?y/../x", "ws://a/b/c/g?y/../x"),
            ("g#s/../x", "ws://a/b/c/g"),
        ] {
            assert_eq!(join("ws://a/b/c/d;p?q", reference).as_deref(), Ok(resolved), "{reference:?}");
        }
    }

    #[test]
    fn a_reference_may_be_a_url_and_http_stands_for_ws() {
        for (base, reference, resolved) in [
            ("ws://a/x", "ws://b/y?z", "ws://b/y?z"),
            ("ws://a/x", "HTTP://b", "ws://b/"),
            ("ws://a:1/x", "https://b:8443/../y", "wss://b:8443/y"),
            ("ws://a/x", "wss://a/x", "wss://a/x"),
            ("wss://a/x", "https://b/#top", "wss://b/"),
            ("wss://a:444/x", "//b:445/y", "wss://b:445/y"),
            ("wss://a:444/x?y", "z:1", "Scheme"),
            ("wss://a:444/x?y", "./z:1", "wss://a:444/z:1"),
            ("ws://[::1]:9/x", "y", "ws://[::1]:9/y"),
            ("ws://a?q", "y", "ws://a/y"),
        ] {
            let joined = join(base, reference).unwrap_or_else(|error| format!("{error:?}"));
            assert_eq!(joined, resolved, "{base} {reference:?}");
        }
    }

    #[test]
    fn a_reference_to_where_no_websocket_is_opened_is_told() {
        for (base, reference, error) in [
            ("wss://a/", "ws://a/", InvalidUrl::Downgrade),
            ("wss://a/", "http://b/", InvalidUrl::Downgrade),
            ("ws://a/", "ftp://a/", InvalidUrl::Scheme),
            ("ws://a/", "javascript:alert(1)", InvalidUrl::Scheme),
            ("ws://a/", "http:/b", InvalidUrl::Scheme),
            ("ws://a/", "http://", InvalidUrl::Host),
            ("ws://a/", "//", InvalidUrl::Host),
            ("ws://a/", "///b", InvalidUrl::Host),
            ("ws://a/", "//b:0/", InvalidUrl::Port),
            ("ws://a/", "//user:secret@b/", InvalidUrl::Userinfo),
            ("ws://a/", "/a b", InvalidUrl::Character),
            ("ws://a/", "b\r\nX: y", InvalidUrl::Character),
            ("ws://a/", "?ü", InvalidUrl::Character),
            ("ws://a/", "\\\\b", InvalidUrl::Character),
        ] {
            assert_eq!(join(base, reference), Err(error), "{reference:?}");
        }
    }

    #[test]
    fn no_reference_makes_a_target_that_is_none() {
        let pieces = ["/", "..", ".", "?", "#", ":", "a", "//", "http:", "[", "]", "@", "%", "é", " ", ""];
        let base = Url::parse("ws://a/b/c?d").unwrap();
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    for fourth in pieces {
                        let reference = [first, second, third, fourth].concat();
                        let Ok(url) = base.join(&reference) else { continue };
                        let again = Url::parse(&format!("ws://{}{}", url.authority(), url.target));
                        assert_eq!(again.as_ref().map(|url| &url.target), Ok(&url.target), "{reference:?}");
                        let path = url.target.split('?').next().unwrap_or_default();
                        assert!(!path.split('/').any(|part| part == "." || part == ".."), "{reference:?}");
                    }
                }
            }
        }
    }
}
