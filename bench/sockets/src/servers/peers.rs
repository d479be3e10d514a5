//! Servers of other libraries, each as its documentation and examples advise for speed.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::TcpListener;
use std::pin::pin;
use std::task::Poll;

use ::axum::Router;
use ::axum::extract::WebSocketUpgrade;
use ::axum::serve::ListenerExt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncReadCompatExt;

use super::{each, tokio};
use crate::{Error, Result};

/// Sends each message for itself.
pub async fn send_each<S, M, E>(mut socket: S, is_data: fn(&M) -> bool) -> Result<()>
where
    S: Stream<Item = std::result::Result<M, E>> + Sink<M, Error = E> + Unpin,
    Error: From<E>,
{
    while let Some(message) = socket.next().await {
        let message = message?;
        if is_data(&message) {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Flushes when nothing more is there to receive.
async fn feed_all<S, M, E>(mut socket: S, is_data: fn(&M) -> bool) -> Result<()>
where
    S: Stream<Item = std::result::Result<M, E>> + Sink<M, Error = E> + Unpin,
    Error: From<E>,
{
    loop {
        let next = match futures::poll!(socket.next()) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                socket.flush().await?;
                socket.next().await
            }
        };
        let Some(message) = next else { return Ok(()) };
        let message = message?;
        if is_data(&message) {
            socket.feed(message).await?;
        }
    }
}

fn is_tungstenite_data(message: &tokio_tungstenite::tungstenite::Message) -> bool {
    message.is_text() || message.is_binary()
}

/// Its buffer of 128 KiB is what it recommends for a high load.
pub fn tungstenite(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        send_each(tokio_tungstenite::accept_async(stream).await?, is_tungstenite_data).await
    })
}

pub fn tungstenite_feed(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        feed_all(tokio_tungstenite::accept_async(stream).await?, is_tungstenite_data).await
    })
}

/// With the small buffer that it recommends for many connections, since it fills the buffer with zeros before each read.
pub fn tungstenite_feed_small(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let config =
            tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4 << 10);
        let socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
        feed_all(socket, is_tungstenite_data).await
    })
}

type Http = Response<Empty<Bytes>>;

/// Answers one request by hyper, which upgrades.
async fn http<F>(stream: TcpStream, answer: fn(Request<Incoming>) -> F) -> Result<()>
where
    F: Future<Output = std::result::Result<Http, Infallible>> + Send,
{
    let http = hyper::server::conn::http1::Builder::new();
    Ok(http.serve_connection(TokioIo::new(stream), service_fn(answer)).with_upgrades().await?)
}

fn bad_request() -> Http {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
    response
}

/// As its `echo_server`: without tokio's budget.
pub fn fastwebsockets(listener: TcpListener) -> Result<()> {
    async fn echo(upgrade: fastwebsockets::upgrade::UpgradeFut) -> Result<()> {
        let mut socket = fastwebsockets::FragmentCollector::new(upgrade.await?);
        loop {
            let frame = socket.read_frame().await?;
            match frame.opcode {
                fastwebsockets::OpCode::Close => return Ok(()),
                fastwebsockets::OpCode::Text | fastwebsockets::OpCode::Binary => {
                    socket.write_frame(frame).await?;
                }
                _ => {}
            }
        }
    }
    each(listener, false, |stream| {
        http(stream, |mut request| {
            let Ok((response, upgrade)) = fastwebsockets::upgrade::upgrade(&mut request) else {
                return ready(Ok(bad_request()));
            };
            tokio::spawn(tokio::task::unconstrained(echo(upgrade)));
            ready(Ok(response))
        })
    })
}

fn is_tokio_websockets_data(message: &tokio_websockets::Message) -> bool {
    message.is_text() || message.is_binary()
}

pub fn tokio_websockets(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let (_, socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
        send_each(socket, is_tokio_websockets_data).await
    })
}

pub fn tokio_websockets_feed(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let (_, socket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
        feed_all(socket, is_tokio_websockets_data).await
    })
}

/// The response to a request, for who has no handshake of its own.
pub fn response(request: &[u8]) -> Option<Vec<u8>> {
    let request = str::from_utf8(request).ok()?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Key").then(|| value.trim())
    })?;
    let hash = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    let accept = STANDARD.encode(hash);
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept";
    Some(format!("{head}: {accept}\r\n\r\n").into())
}

/// It has no handshake.
async fn open_web_socket(mut stream: TcpStream) -> Result<TcpStream> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Err("no request".into());
        }
    }
    stream.write_all(&response(&request).ok_or("no key")?).await?;
    Ok(stream)
}

/// It reads a frame in three pieces, so it is given a buffer.
async fn echo_web_socket<S>(stream: S, feed: bool) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = web_socket::WebSocket::server(BufReader::with_capacity(16 << 10, stream));
    loop {
        if feed && socket.stream.buffer().is_empty() {
            socket.flash().await?;
        }
        match socket.recv().await? {
            web_socket::Event::Data { ty: web_socket::DataType::Complete(kind), data } if kind.is_text() => {
                // It leaves this to the application.
                socket.send(str::from_utf8(&data)?).await?;
            }
            web_socket::Event::Data { data, .. } => socket.send(&data[..]).await?,
            web_socket::Event::Ping(data) => socket.send_pong(data).await?,
            web_socket::Event::Pong(_) => {}
            web_socket::Event::Error(error) => return Err(error.into()),
            web_socket::Event::Close { .. } => return Ok(socket.close(()).await?),
        }
    }
}

pub fn web_socket(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async { echo_web_socket(open_web_socket(stream).await?, false).await })
}

pub fn web_socket_feed(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let stream = BufWriter::with_capacity(16 << 10, open_web_socket(stream).await?);
        echo_web_socket(stream, true).await
    })
}

/// As its `autobahn_server`.
async fn echo_soketto(stream: TcpStream, feed: bool) -> Result<()> {
    use futures::io::{BufReader, BufWriter};
    use soketto::handshake::{Server, server::Response};

    let mut server = Server::new(BufReader::new(BufWriter::new(stream.compat())));
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        let received = {
            let mut receive = pin!(receiver.receive_data(&mut message));
            match futures::poll!(receive.as_mut()) {
                Poll::Ready(received) => received,
                Poll::Pending => {
                    if feed {
                        sender.flush().await?;
                    }
                    receive.await
                }
            }
        };
        match received {
            Ok(soketto::Data::Binary(_)) => sender.send_binary_mut(&mut message).await?,
            // It leaves this to the application.
            Ok(soketto::Data::Text(_)) => sender.send_text(str::from_utf8(&message)?).await?,
            Err(soketto::connection::Error::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if !feed {
            sender.flush().await?;
        }
    }
}

pub fn soketto(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| echo_soketto(stream, false))
}

pub fn soketto_feed(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| echo_soketto(stream, true))
}

pub fn wtx(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let acceptor = wtx::web_socket::WebSocketAcceptor::default();
        echo_wtx(&mut acceptor.accept::<TcpStream>(stream).await?).await
    })
}

type WtxSocket<C> = wtx::web_socket::WebSocketOwned<C, wtx::rng::Xorshift64, TcpStream, false>;

pub async fn echo_wtx<C>(socket: &mut WtxSocket<C>) -> Result<()>
where
    C: wtx::web_socket::compression::NegotiatedCompression,
{
    use wtx::web_socket::{OpCode, WebSocketPayloadOrigin};

    let (mut common, mut reader, mut writer) = socket.split_mut();
    let mut buffer = wtx::collection::Vector::new();
    loop {
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match frame.op_code() {
            OpCode::Binary | OpCode::Text => writer.write_frame(&mut common, &mut frame).await?,
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}

/// With the buffers of its own benchmark, which is said to be tuned. It checks texts only if it is told to.
pub fn yawc_options() -> yawc::Options {
    let options =
        yawc::Options::default().with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    options.with_limits(4 << 20, 8 << 20).with_utf8().with_no_delay()
}

/// With less memory.
fn yawc_small_options() -> yawc::Options {
    yawc::Options::default().with_utf8().with_no_delay()
}

async fn echo_yawc(upgrade: yawc::UpgradeFut, feed: bool) -> Result<()> {
    fn is_data(frame: &yawc::Frame) -> bool {
        matches!(frame.opcode(), yawc::OpCode::Text | yawc::OpCode::Binary)
    }
    let socket = upgrade.await?;
    let socket = socket.map(yawc::Result::Ok);
    if feed { feed_all(socket, is_data).await } else { send_each(socket, is_data).await }
}

macro_rules! yawc_server {
    ($name:ident, $options:expr, $feed:literal) => {
        pub fn $name(listener: TcpListener) -> Result<()> {
            each(listener, true, |stream| {
                http(stream, |mut request| {
                    let upgraded = yawc::WebSocket::upgrade_with_options(&mut request, $options);
                    let Ok((response, upgrade)) = upgraded else { return ready(Ok(bad_request())) };
                    tokio::spawn(echo_yawc(upgrade, $feed));
                    ready(Ok(response))
                })
            })
        }
    };
}

yawc_server!(yawc, yawc_options(), false);
yawc_server!(yawc_feed, yawc_options(), true);
yawc_server!(yawc_default, yawc_small_options(), false);
#[cfg(feature = "hostile")]
yawc_server!(
    yawc_compressing,
    yawc_small_options().with_compression_level(yawc::CompressionLevel::default()),
    false
);

type SockudoSocket = sockudo_ws::WebSocketStream<TcpStream>;

async fn open_sockudo(mut stream: TcpStream) -> Result<SockudoSocket> {
    sockudo_ws::handshake::server_handshake(&mut stream).await?;
    Ok(SockudoSocket::server(stream, sockudo_ws::Config::default()))
}

pub fn is_sockudo_data(message: &sockudo_ws::Message) -> bool {
    message.is_text() || message.is_binary()
}

pub fn sockudo(listener: TcpListener) -> Result<()> {
    each(listener, true, |stream| async { send_each(open_sockudo(stream).await?, is_sockudo_data).await })
}

pub fn sockudo_feed(listener: TcpListener) -> Result<()> {
    each(listener, true, |stream| async { feed_all(open_sockudo(stream).await?, is_sockudo_data).await })
}

/// Its state machine by hand, what one read brings in one write.
pub fn sockudo_protocol(listener: TcpListener) -> Result<()> {
    each(listener, false, |mut stream| async move {
        sockudo_ws::handshake::server_handshake(&mut stream).await?;
        let config = sockudo_ws::Config::default();
        let role = sockudo_ws::Role::Server;
        let mut protocol =
            sockudo_ws::protocol::Protocol::new(role, config.max_frame_size, config.max_message_size);
        let mut input = BytesMut::with_capacity(64 << 10);
        let mut output = BytesMut::with_capacity(64 << 10);
        let mut messages = Vec::new();
        loop {
            if input.capacity() - input.len() < 16 << 10 {
                input.reserve(64 << 10);
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
            protocol.process_into(&mut input, &mut messages)?;
            for message in messages.drain(..) {
                match &message {
                    sockudo_ws::Message::Ping(payload) => protocol.encode_pong(payload, &mut output),
                    sockudo_ws::Message::Close(_) => protocol.encode_close_response(&mut output),
                    sockudo_ws::Message::Pong(_) => {}
                    data => protocol.encode_message(data, &mut output)?,
                }
            }
            stream.write_all(&output).await?;
            output.clear();
            if protocol.is_closed() || protocol.is_closing() {
                return Ok(());
            }
        }
    })
}

pub fn axum(listener: TcpListener) -> Result<()> {
    tokio(true)?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let upgrade = |upgrade: WebSocketUpgrade| {
            ready(upgrade.on_upgrade(|socket| async {
                let is_data = |message: &::axum::extract::ws::Message| {
                    matches!(
                        message,
                        ::axum::extract::ws::Message::Text(_) | ::axum::extract::ws::Message::Binary(_)
                    )
                };
                let _ = send_each(socket, is_data).await;
            }))
        };
        Ok(::axum::serve(listener, Router::new().route("/", ::axum::routing::get(upgrade))).await?)
    })
}
