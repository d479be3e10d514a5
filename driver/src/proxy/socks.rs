//! SOCKS 5 (RFC 1928) with user and password (RFC 1929), without IO.

use core::mem::take;
use core::net::IpAddr;

use super::{Login, Next, ProxyError};

/// The client's end of the conversation.
pub(super) struct Socks5 {
    expected: Expected,
    /// What has come of the answer that is expected.
    answer: Vec<u8>,
    login: Option<Vec<u8>>,
    request: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Expected {
    /// How to log in (RFC 1928 §3).
    Method,
    /// Whether that is done (RFC 1929 §2).
    Login,
    /// Whether the server was reached (RFC 1928 §6).
    Reply,
}

impl Socks5 {
    /// Asks for this server. Also what is said first.
    pub(super) fn new(host: &str, port: u16, login: Option<&Login>) -> Result<(Self, Vec<u8>), ProxyError> {
        // CONNECT, and the address (RFC 1928 §4, §5).
        let mut request = vec![VERSION, 1, 0];
        match host.parse() {
            Ok(IpAddr::V4(ip)) => {
                request.push(IPV4);
                request.extend(ip.octets());
            }
            Ok(IpAddr::V6(ip)) => {
                request.push(IPV6);
                request.extend(ip.octets());
            }
            Err(_) => {
                request.push(NAME);
                request.extend(counted(host.as_bytes())?);
            }
        }
        request.extend(port.to_be_bytes());
        let methods =
            if login.is_some() { &[VERSION, 2, NO_LOGIN, LOGIN][..] } else { &[VERSION, 1, NO_LOGIN] };
        let login = match login {
            Some(Login { user, password }) => {
                Some([&[LOGIN_VERSION][..], &counted(user)?, &counted(password)?].concat())
            }
            None => None,
        };
        Ok((Self { expected: Expected::Method, answer: Vec::new(), login, request }, methods.to_vec()))
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Next, ProxyError> {
        self.answer.extend_from_slice(bytes);
        let (expected, len, next) = match (self.expected, &self.answer[..]) {
            (_, [])
            | (Expected::Method | Expected::Reply, [VERSION])
            | (Expected::Login, [LOGIN_VERSION]) => {
                return Ok(Next::Receive);
            }
            (Expected::Method, [VERSION, NO_LOGIN, ..]) | (Expected::Login, [LOGIN_VERSION, 0, ..]) => {
                (Expected::Reply, 2, Next::Send(take(&mut self.request)))
            }
            (Expected::Method, [VERSION, LOGIN, ..]) => {
                let login = self.login.take().ok_or(ProxyError::Malformed)?;
                (Expected::Login, 2, Next::Send(login))
            }
            (Expected::Method, [VERSION, 0xFF, ..]) => return Err(ProxyError::Method),
            (Expected::Login, [LOGIN_VERSION, ..]) => return Err(ProxyError::Login),
            (Expected::Reply, [VERSION, 0, rest @ ..]) => {
                let len = match rest {
                    [] | [_] | [_, NAME] => return Ok(Next::Receive),
                    [_, IPV4, ..] => 10,
                    [_, IPV6, ..] => 22,
                    [_, NAME, len, ..] => 7 + usize::from(*len),
                    _ => return Err(ProxyError::Malformed),
                };
                (Expected::Reply, len, Next::Done)
            }
            (Expected::Reply, [VERSION, code, ..]) => return Err(ProxyError::Reply(*code)),
            _ => return Err(ProxyError::Malformed),
        };
        if self.answer.len() > len {
            return Err(ProxyError::Early);
        }
        if self.answer.len() < len {
            return Ok(Next::Receive);
        }
        self.answer.clear();
        self.expected = expected;
        Ok(next)
    }
}

/// With its length before it, in one byte.
fn counted(bytes: &[u8]) -> Result<Vec<u8>, ProxyError> {
    let len = u8::try_from(bytes.len()).map_err(|_| ProxyError::HostTooLong)?;
    Ok([&[len][..], bytes].concat())
}

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
// Methods (RFC 1928 §3).
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
// Types of addresses (RFC 1928 §5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
