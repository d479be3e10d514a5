//! permessage-deflate for a WebSocket library of your own: negotiation and codecs, without a connection.
//!
//! `cargo run -p sansocket --no-default-features --features deflate --example compression_alone`

use core::error::Error;

use sansocket::deflate::{Deflater, InflateError, Inflater, Params};
use sansocket::extension::{Negotiated, Settings};

/// The longest message that is received.
const MAX_MESSAGE: usize = 1 << 20;

/// What a server of yours keeps for a connection.
struct Compression {
    agreed: Negotiated,
    deflater: Deflater,
    inflater: Inflater,
}

impl Compression {
    /// From the request's `Sec-WebSocket-Extensions` headers; with the value of the response's.
    fn accept(headers: &[&[u8]]) -> Option<(Self, String)> {
        let (agreed, answer) = Settings::new().answer(headers.iter().copied())?;
        let params = Params::new().level(1).window(agreed.server_max_window_bits);
        let compression = Self {
            deflater: Deflater::new(&params),
            inflater: Inflater::new(agreed.client_max_window_bits),
            agreed,
        };
        Some((compression, answer))
    }

    /// The payload of a frame with RSV1 set.
    fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        self.deflater.finish(message, &mut payload);
        if self.agreed.server_no_context_takeover {
            self.deflater.reset();
        }
        payload
    }

    /// The message of a frame with RSV1 set. Its length is checked before it is stored.
    fn decompress(&mut self, payload: &[u8]) -> Result<Vec<u8>, InflateError> {
        let message = self.inflater.message(payload, MAX_MESSAGE)?;
        if self.agreed.client_no_context_takeover {
            self.inflater.reset();
        }
        Ok(message)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // What a browser asks for.
    let offer = b"permessage-deflate; client_max_window_bits";
    let (mut server, answer) = Compression::accept(&[offer]).ok_or("no offer could be accepted")?;
    println!("Sec-WebSocket-Extensions: {answer}");

    // What it sends: RFC 7692 §7.2.3.1, and §7.2.3.2, which refers back to it.
    for payload in [&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
        println!("{}", String::from_utf8(server.decompress(payload)?)?);
    }

    let message = "Hello, hello, hello! ".repeat(20);
    println!("{} bytes as {}", message.len(), server.compress(message.as_bytes()).len());
    println!("and once more as {}", server.compress(message.as_bytes()).len());
    Ok(())
}
