//! Other libraries' servers, each by what it has for use without a socket: bytes in and out (sockudo-ws), or a
//! stream that is memory (wtx, yawc).
//!
//! Each is set as its documentation advises for speed. wtx cannot keep contexts. soketto is missing: where it is in
//! a build, flate2 turns to zlib in C, for all the others too; and with the flate2 that sockudo-ws asks for,
//! it takes every compressed message for incomplete.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, SinkExt};

use crate::codecs::Messages;
use crate::{Compress, Decompress, Params, Sink};

/// More than any message here.
const MAX: usize = 1024 * 1024;

/// A stream whose other end is the benchmark. What is not there yet is pending.
#[derive(Clone, Debug, Default)]
struct Memory(Rc<RefCell<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
}

impl Memory {
    fn offer(&self, bytes: &[u8]) {
        let mut ends = self.0.borrow_mut();
        assert_eq!(ends.taken, ends.input.len());
        ends.taken = 0;
        ends.input.clear();
        ends.input.extend_from_slice(bytes);
    }

    fn show_output(&self, sink: Sink<'_>) {
        let output = &mut self.0.borrow_mut().output;
        sink(output);
        output.clear();
    }

    fn read(&self, buffer: &mut [u8]) -> usize {
        let mut ends = self.0.borrow_mut();
        let there = &ends.input[ends.taken..];
        let len = there.len().min(buffer.len());
        buffer[..len].copy_from_slice(&there[..len]);
        ends.taken += len;
        len
    }

    fn write(&self, bytes: &[u8]) {
        self.0.borrow_mut().output.extend_from_slice(bytes);
    }
}

impl tokio::io::AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.0.borrow_mut();
        let there = &ends.input[ends.taken..];
        let len = there.len().min(buffer.remaining());
        if len == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&there[..len]);
        ends.taken += len;
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Memory {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(Self::read(self, bytes))
    }
}

impl wtx::stream::StreamWriter for Memory {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        for slice in slices {
            self.write(slice);
        }
        Ok(())
    }
}

/// What needs nothing that is not there.
fn now<T>(future: impl Future<Output = T>) -> T {
    match future.now_or_never() {
        Some(output) => output,
        None => panic!("waits for what will not come"),
    }
}

fn expect<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

/// Some want the messages that they send owned.
fn owned(input: &Messages) -> Vec<Bytes> {
    input.iter().map(|message| Bytes::copy_from_slice(message)).collect()
}

pub struct Sockudo {
    protocol: sockudo_ws::CompressedProtocol,
    input: Vec<sockudo_ws::Message>,
    frames: Messages,
    buffer: BytesMut,
    messages: Vec<sockudo_ws::Message>,
}

impl Sockudo {
    pub fn new(input: &Messages, params: Params) -> Self {
        let config = sockudo_ws::DeflateConfig {
            server_no_context_takeover: !params.takeover,
            client_no_context_takeover: !params.takeover,
            compression_level: u32::from(params.level),
            ..Default::default()
        };
        Self {
            protocol: sockudo_ws::CompressedProtocol::server(MAX, MAX, config),
            input: owned(input).into_iter().map(sockudo_ws::Message::Binary).collect(),
            frames: input.clone(),
            buffer: BytesMut::with_capacity(64 * 1024),
            messages: Vec::new(),
        }
    }
}

impl Compress for Sockudo {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        self.buffer.clear();
        expect(self.protocol.encode_message(&self.input[index], &mut self.buffer));
        sink(&self.buffer);
    }
}

impl Decompress for Sockudo {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        self.buffer.extend_from_slice(&self.frames[index]);
        expect(self.protocol.process_into(&mut self.buffer, &mut self.messages));
        for message in &self.messages {
            sink(message.as_bytes());
        }
    }
}

pub struct Yawc {
    socket: yawc::WebSocket<Memory>,
    memory: Memory,
    input: Vec<Bytes>,
    frames: Messages,
}

impl Yawc {
    pub fn new(input: &Messages, params: Params) -> Self {
        let memory = Memory::default();
        let mut options = yawc::Options::default()
            .with_limits(MAX, 2 * MAX)
            .with_compression_level(yawc::CompressionLevel::new(u32::from(params.level)));
        let mut agreed = String::from("permessage-deflate");
        if !params.takeover {
            agreed += "; server_no_context_takeover; client_no_context_takeover";
            options = options
                .server_no_context_takeover()
                .client_no_context_takeover()
                .with_deflate_pool(yawc::DeflatePool::new(4));
        }
        let socket = yawc::WebSocket::from_stream_with_extensions(
            memory.clone(),
            yawc::Role::Server,
            Some(&agreed),
            options,
        );
        Self { socket: expect(socket), memory, input: owned(input), frames: input.clone() }
    }
}

impl Compress for Yawc {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        let frame = yawc::Frame::binary(self.input[index].clone());
        expect(now(self.socket.send(frame)));
        self.memory.show_output(sink);
    }
}

impl Decompress for Yawc {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        self.memory.offer(&self.frames[index]);
        let frame = expect(now(self.socket.next_frame()));
        sink(frame.payload());
    }
}

type WtxSocket = wtx::web_socket::WebSocketOwned<
    Option<wtx::web_socket::compression::NegotiatedFlate2>,
    wtx::rng::Xorshift64,
    Memory,
    false,
>;

pub struct Wtx {
    socket: WtxSocket,
    memory: Memory,
    frames: Messages,
    /// It wants what it sends to be mutable.
    input: Vec<Vec<u8>>,
    message: wtx::collection::Vector<u8>,
}

impl Wtx {
    pub fn new(input: &Messages, params: Params) -> Self {
        use wtx::web_socket::compression::{Compression, Flate2, WindowBits};
        use wtx::web_socket::{CompressionLevel, DeflateConfig, WebSocketBuffer};

        let memory = Memory::default();
        let flate2 = Flate2::from(DeflateConfig {
            client_max_window_bits: WindowBits::Fifteen,
            compression_level: if params.level == 1 { CompressionLevel::One } else { CompressionLevel::Six },
            server_max_window_bits: WindowBits::Fifteen,
        });
        let offer = [[&b"sec-websocket-extensions"[..], &b"permessage-deflate"[..]]];
        let agreed = expect(Compression::<false>::negotiate(flate2, offer.into_iter()));
        assert!(agreed.is_some());
        let rng = wtx::rng::Xorshift64::new(7);
        Self {
            socket: WtxSocket::new(agreed, false, rng, memory.clone(), WebSocketBuffer::new()),
            memory,
            frames: input.clone(),
            input: input.to_vec(),
            message: wtx::collection::Vector::new(),
        }
    }
}

impl Compress for Wtx {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        let payload = &mut self.input[index][..];
        let mut frame = wtx::web_socket::Frame::new_fin(wtx::web_socket::OpCode::Binary, payload);
        expect(now(self.socket.write_frame(&mut frame)));
        self.memory.show_output(sink);
    }
}

impl Decompress for Wtx {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        self.memory.offer(&self.frames[index]);
        self.message.clear();
        let origin = wtx::web_socket::WebSocketPayloadOrigin::Adaptive;
        let frame = expect(now(self.socket.read_frame(&mut self.message, origin)));
        sink(frame.payload());
    }
}
