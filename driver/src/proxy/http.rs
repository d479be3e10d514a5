//! HTTP's CONNECT (RFC 9110 §9.3.6), without IO.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sansocket::Status;

use super::{Login, Next, ProxyError};

/// The client's end of the conversation.
pub(super) struct Connect {
    head: Vec<u8>,
    interim: u8,
}

impl Connect {
    /// Asks for this server. Also what is said first.
    pub(super) fn new(host: &str, port: u16, login: Option<&Login>) -> (Self, Vec<u8>) {
        let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
        if let Some(Login { user, password }) = login {
            let login = STANDARD.encode([&user[..], b":", password].concat());
            request += &format!("Proxy-Authorization: Basic {login}\r\n");
        }
        request += "\r\n";
        (Self { head: Vec::new(), interim: 0 }, request.into_bytes())
    }

    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Result<Next, ProxyError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            self.append(line)?;
            bytes = rest;
            if !self.head.ends_with(b"\r\n") {
                return Err(ProxyError::Malformed);
            }
            if !self.head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let status = parse(&self.head)?;
            match status.get() {
                // Whatever it says of a length: there is no body (RFC 9110 §9.3.6).
                200..=299 if bytes.is_empty() => return Ok(Next::Done),
                200..=299 => return Err(ProxyError::Early),
                100 | 102..=199 if self.interim < MAX_INTERIM => self.interim += 1,
                100 | 102..=199 => return Err(ProxyError::Malformed),
                _ => return Err(ProxyError::Status(status)),
            }
            self.head.clear();
        }
        self.append(bytes)?;
        Ok(Next::Receive)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ProxyError> {
        if self.head.len() + bytes.len() > MAX_HEAD {
            return Err(ProxyError::HeadTooLong);
        }
        self.head.extend_from_slice(bytes);
        Ok(())
    }
}

fn parse(head: &[u8]) -> Result<Status, ProxyError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => response.code.and_then(Status::new).ok_or(ProxyError::Malformed),
        _ => Err(ProxyError::Malformed),
    }
}

/// What the core allows a server.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 100;
const MAX_INTERIM: u8 = 8;
