//! A client that sends whatever it is told to, and notes what comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;

/// A server that has said nothing for so long will say no more.
const SILENCE: Duration = Duration::from_millis(2500);

#[derive(Debug)]
pub struct Client(pub TcpStream);

/// How it was when nothing more came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Eof,
    Reset,
    Open,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self(stream))
    }

    /// Writes all, or as much as the server takes before it ends the connection: reading tells that.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// A response's head, or what there is of it.
    pub fn read_head(&mut self) -> Result<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.0.read(&mut byte)? == 1 {
            head.extend(byte);
        }
        Ok(String::from_utf8(head)?)
    }

    /// All that comes.
    pub fn read(&mut self) -> (Vec<u8>, End) {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let end = loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break End::Eof,
                Ok(len) => bytes.extend(&buffer[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break End::Open;
                }
                Err(_) => break End::Reset,
            }
        };
        (bytes, end)
    }
}

impl End {
    /// What there was in words, and how it ended.
    pub fn tell(self, mut words: Vec<String>) -> String {
        match self {
            Self::Eof if words.is_empty() => words.push("EOF".into()),
            Self::Eof => {}
            Self::Reset => words.push("RST".into()),
            Self::Open => words.push("open".into()),
        }
        words.join(", ")
    }
}
