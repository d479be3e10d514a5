//! Through a proxy: what a client says to it before the server hears anything.

mod error;
mod http;
mod socks;

use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use std::io::{ErrorKind, IoSlice};

use sansocket::{ClientRequest, InvalidUrl};

pub use self::error::{InvalidProxy, ProxyError};
use self::http::Connect;
use self::socks::Socks5;
use crate::error::Error;
use crate::io::Io;
use crate::runtime::Runtime;

/// A proxy that a [`Connector`](crate::Connector) goes through.
///
/// It learns the server's name and port, and for `ws://` everything else too; the TLS of `wss://` begins
/// behind it.
#[derive(Clone)]
pub struct Proxy {
    protocol: Protocol,
    host: String,
    port: u16,
    login: Option<Login>,
}

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http,
    Socks5,
}

#[derive(Clone)]
struct Login {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Proxy {
    /// The proxy at a URL:
    ///
    /// * `http://user:password@host:port`: HTTP's CONNECT (RFC 9110 §9.3.6), for `ws://` too, so that the
    ///   proxy need not know WebSocket. The port is 80 by default, the user is asserted with `Basic` (RFC
    ///   7617).
    /// * `socks5://user:password@host:port`: SOCKS 5 (RFC 1928, RFC 1929). The port is 1080 by default. The
    ///   proxy looks up the server's name, as others do for `socks5h://`, which means the same here.
    ///
    /// User and password may be left out. Percent-encode what has a meaning in URLs, such as `@` and `/`.
    ///
    /// # Errors
    /// [`InvalidProxy`] says what is wrong with it.
    pub fn new(url: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidProxy::Scheme)?;
        let (protocol, default_port) = match &scheme.to_ascii_lowercase()[..] {
            "http" => (Protocol::Http, 80),
            "socks5" | "socks5h" => (Protocol::Socks5, 1080),
            _ => return Err(InvalidProxy::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidProxy::Path);
        }
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(Login::parse(login, protocol)?), authority),
            None => (None, rest),
        };
        let url = match authority.rsplit_once(':') {
            Some((_, "")) => return Err(InvalidProxy::Port),
            Some((_, port)) if !port.ends_with(']') => format!("ws://{authority}"),
            _ => format!("ws://{authority}:{default_port}"),
        };
        let place = ClientRequest::new(&url).map_err(|error| match error {
            InvalidUrl::Port => InvalidProxy::Port,
            _ => InvalidProxy::Host,
        })?;
        Ok(Self { protocol, host: place.host().into(), port: place.port(), login })
    }

    /// The proxy's host. An IPv6 address is without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has the proxy connect `stream`, which leads to it, to the server of `request`. A
    /// [`Connector`](crate::Connector) does this by itself; it is for streams of the caller's own.
    ///
    /// # Errors
    /// [`Error::Proxy`] with what the proxy answered; [`Error::Io`].
    ///
    /// # Cancel safety
    /// Not safe: nobody knows how much was said to the proxy.
    pub async fn tunnel<I: Io + Unpin>(&self, stream: &mut I, request: &ClientRequest) -> Result<(), Error> {
        let (host, port, login) = (request.host(), request.port(), self.login.as_ref());
        match self.protocol {
            Protocol::Http => {
                let (mut handshake, first) = Connect::new(host, port, login);
                converse(stream, first, |answer| handshake.receive(answer)).await
            }
            Protocol::Socks5 => {
                let (mut handshake, first) = Socks5::new(host, port, login)?;
                converse(stream, first, |answer| handshake.receive(answer)).await
            }
        }
    }

    /// A connection through the proxy to the server of `request`.
    pub(crate) async fn connect<R: Runtime>(&self, request: &ClientRequest) -> Result<R::Tcp, Error> {
        let mut stream = R::connect(&self.host, self.port).await?;
        self.tunnel(&mut stream, request).await?;
        Ok(stream)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Login {
    fn parse(text: &str, protocol: Protocol) -> Result<Self, InvalidProxy> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let decode = |part| percent_decode(part).ok_or(InvalidProxy::Login);
        let login = Self { user: decode(user)?, password: decode(password)? };
        let fits = match protocol {
            // RFC 7617 §2.
            Protocol::Http => {
                !login.user.contains(&b':')
                    && !login.user.iter().chain(&login.password).any(u8::is_ascii_control)
            }
            // RFC 1929 §2, but that a password may be empty.
            Protocol::Socks5 => login.user.len() <= 255 && login.password.len() <= 255,
        };
        if fits && !login.user.is_empty() { Ok(login) } else { Err(InvalidProxy::Login) }
    }
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?].map(char::from);
                let [high, low] = digits.map(|digit| digit.to_digit(16));
                u8::try_from(high? * 16 + low?).ok()?
            }
            byte => byte,
        });
    }
    Some(out)
}

/// How a conversation with a proxy goes on.
enum Next {
    /// There is more to its answer.
    Receive,
    Send(Vec<u8>),
    /// What follows is between us and the server.
    Done,
}

/// Says `first`, and then what `receive` makes of the answers.
async fn converse<I: Io + Unpin>(
    stream: &mut I,
    first: Vec<u8>,
    mut receive: impl FnMut(&[u8]) -> Result<Next, ProxyError>,
) -> Result<(), Error> {
    let mut buffer = [0; 512];
    let mut next = Next::Send(first);
    loop {
        match next {
            Next::Receive => {}
            Next::Send(bytes) => write(stream, &bytes).await?,
            Next::Done => return Ok(()),
        }
        let n = match poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                next = Next::Receive;
                continue;
            }
            result => result?,
        };
        let answer = buffer.get(..n).filter(|answer| !answer.is_empty()).ok_or(ProxyError::Ended)?;
        next = receive(answer)?;
    }
}

async fn write<I: Io + Unpin>(stream: &mut I, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, &[IoSlice::new(bytes)])).await {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}
