//! Which pages may connect (RFC 6455 §10.2), and to which hosts.

use alloc::string::String;

use super::refusal::Refusal;
use super::request::Request;
use crate::config::Origins;

/// Checks the host that the request is for against those that the server goes by, if there is a list.
pub(super) fn check_host(allowed: Option<&[String]>, request: &Request) -> Result<(), Refusal> {
    let (Some(allowed), Some(host)) = (allowed, request.host()) else { return Ok(()) };
    let (name, port) = split(host);
    let is_allowed = allowed.iter().any(|allowed| {
        let (allowed_name, allowed_port) = split(allowed);
        allowed_name.eq_ignore_ascii_case(name) && (allowed_port.is_none() || allowed_port == port)
    });
    if is_allowed { Ok(()) } else { Err(Refusal::ForeignHost { host: quote(host) }) }
}

/// Checks the request's origin, if it names one.
pub(super) fn check(policy: &Origins, request: &Request) -> Result<(), Refusal> {
    let Some(origin) = request.origin() else { return Ok(()) };
    let allowed = match policy {
        Origins::Any => true,
        Origins::Listed(list) => list.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)),
        Origins::SameHost => hosts(request).any(|host| is_same_host(origin, host)),
    };
    if allowed {
        return Ok(());
    }
    let host = hosts(request).next().unwrap_or_default();
    Err(Refusal::Origin { origin: quote(origin), host: quote(host) })
}

/// What a refusal repeats of what the peer wrote: enough to know it by, and little enough for an answer and a log line.
fn quote(text: &str) -> String {
    const CUT: &str = "…";
    if text.len() <= Refusal::MAX_QUOTED {
        return String::from(text);
    }
    let mut end = Refusal::MAX_QUOTED - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    [&text[..end], CUT].concat()
}

/// The host that the request is for: what it says itself, and what a proxy says that it said. A page cannot
/// set either.
fn hosts(request: &Request) -> impl Iterator<Item = &str> {
    let forwarded =
        request.header("x-forwarded-host").into_iter().flat_map(|list| list.split(',')).map(str::trim);
    let standard =
        request.header("forwarded").into_iter().flat_map(|list| list.split([',', ';'])).filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            name.eq_ignore_ascii_case("host").then(|| value.trim_matches('"'))
        });
    request.host().into_iter().chain(forwarded).chain(standard)
}

fn is_same_host(origin: &str, host: &str) -> bool {
    let (default_port, authority) = match origin.split_once("://") {
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("https") => ("443", authority),
        Some((scheme, authority)) if scheme.eq_ignore_ascii_case("http") => ("80", authority),
        // "null", an extension's page, a file.
        _ => return false,
    };
    let (name, port) = split(authority);
    let (host_name, host_port) = split(host);
    if is_loopback(name) && is_loopback(host_name) {
        return true;
    }
    // A host without a port has the default one of its scheme, which behind a TLS proxy is the page's and not
    // ours.
    name.eq_ignore_ascii_case(host_name) && port.unwrap_or(default_port) == host_port.unwrap_or(default_port)
}

fn split(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (authority, None),
    }
}

fn is_loopback(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let is_v4 = name.parse::<core::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_v4 || name == "[::1]" || name.eq_ignore_ascii_case("localhost") || {
        let suffix = name.len().checked_sub(".localhost".len()).and_then(|start| name.get(start..));
        suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(".localhost"))
    }
}

#[cfg(test)]
mod tests {
    use super::is_same_host;

    #[test]
    fn a_page_of_the_same_host_and_port_is_let_in_and_no_other() {
        for (origin, host) in [
            ("http://example.com", "example.com"),
            ("http://example.com", "example.com:80"),
            ("https://example.com", "example.com"),
            ("https://example.com:443", "example.com"),
            ("https://example.com", "example.com:443"),
            ("HTTP://EXAMPLE.com:8080", "example.COM:8080"),
            ("http://localhost:3000", "localhost:9001"),
            ("http://localhost:3000", "127.0.0.1:9001"),
            ("http://[::1]:3000", "localhost:9001"),
            ("http://app.localhost:3000", "127.0.0.1:9001"),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8080"),
        ] {
            assert!(is_same_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://evil.example", "example.com"),
            ("http://example.com.evil.example", "example.com"),
            ("http://example.com:8080", "example.com"),
            ("http://example.com", "example.com:8080"),
            ("http://evil.example", "localhost:9001"),
            ("http://localhost.evil.example", "localhost"),
            ("http://127.0.0.1.evil.example", "127.0.0.1"),
            ("null", "example.com"),
            ("file://", ""),
            ("chrome-extension://abc", "abc"),
            ("http://[2001:db8::1]", "[2001:db8::2]"),
        ] {
            assert!(!is_same_host(origin, host), "{origin} {host}");
        }
    }
}
