//! Clients of other libraries, set as the servers are.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::Client;
use crate::Result;
use crate::load::{REQUEST, check_response};

pub(super) async fn tcp(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) struct Tungstenite(tokio_tungstenite::WebSocketStream<TcpStream>);

impl Client for Tungstenite {
    async fn connect(address: &str) -> Result<Self> {
        let url = format!("ws://{address}/");
        Ok(Self(tokio_tungstenite::client_async(url, tcp(address).await?).await?.0))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.feed(payload.clone().into()).await?;
        }
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        let message = self.0.next().await.ok_or("closed")??;
        Ok(message.into_data() == payload)
    }
}

pub(super) struct Fastwebsockets(fastwebsockets::FragmentCollector<TokioIo<Upgraded>>);

/// hyper's tasks on tokio.
struct Spawn;

impl hyper::rt::Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Spawn {
    fn execute(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }
}

impl Client for Fastwebsockets {
    async fn connect(address: &str) -> Result<Self> {
        let request = Request::builder()
            .uri(format!("http://{address}/"))
            .header("Host", address)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header("Sec-WebSocket-Key", fastwebsockets::handshake::generate_key())
            .header("Sec-WebSocket-Version", "13")
            .body(Empty::<Bytes>::new())?;
        let (socket, _) = fastwebsockets::handshake::client(&Spawn, request, tcp(address).await?).await?;
        Ok(Self(fastwebsockets::FragmentCollector::new(socket)))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            let payload = fastwebsockets::Payload::Borrowed(payload);
            self.0.write_frame(fastwebsockets::Frame::binary(payload)).await?;
        }
        Ok(())
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        Ok(*self.0.read_frame().await?.payload == *payload)
    }
}

pub(super) struct TokioWebsockets(tokio_websockets::WebSocketStream<TcpStream>);

impl Client for TokioWebsockets {
    async fn connect(address: &str) -> Result<Self> {
        let builder = tokio_websockets::ClientBuilder::new();
        let builder = builder.uri(&format!("ws://{address}/"))?;
        Ok(Self(builder.connect_on(tcp(address).await?).await?.0))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.feed(tokio_websockets::Message::binary(payload.clone())).await?;
        }
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        let message = self.0.next().await.ok_or("closed")??;
        Ok(message.as_payload()[..] == *payload)
    }
}

pub(super) struct WebSocket(web_socket::WebSocket<BufReader<BufWriter<TcpStream>>>);

impl Client for WebSocket {
    async fn connect(address: &str) -> Result<Self> {
        let mut stream = tcp(address).await?;
        stream.write_all(REQUEST).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("closed".into());
            }
        }
        check_response(&head)?;
        let buffered = BufReader::with_capacity(16 << 10, BufWriter::with_capacity(16 << 10, stream));
        Ok(Self(web_socket::WebSocket::client(buffered)))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.send(&payload[..]).await?;
        }
        Ok(self.0.flash().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        match self.0.recv().await? {
            web_socket::Event::Data { data, .. } => Ok(*data == *payload),
            _ => Ok(false),
        }
    }
}

type Buffered = futures::io::BufReader<futures::io::BufWriter<Compat<TcpStream>>>;

pub(super) struct Soketto {
    sender: soketto::Sender<Buffered>,
    receiver: soketto::Receiver<Buffered>,
    message: Vec<u8>,
}

impl Client for Soketto {
    async fn connect(address: &str) -> Result<Self> {
        let stream = futures::io::BufWriter::new(tcp(address).await?.compat());
        let mut client = soketto::handshake::Client::new(futures::io::BufReader::new(stream), address, "/");
        let soketto::handshake::ServerResponse::Accepted { .. } = client.handshake().await? else {
            return Err("refused".into());
        };
        let (sender, receiver) = client.into_builder().finish();
        Ok(Self { sender, receiver, message: Vec::new() })
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.sender.send_binary(payload).await?;
        }
        Ok(self.sender.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        self.message.clear();
        self.receiver.receive_data(&mut self.message).await?;
        Ok(self.message == payload)
    }
}

pub(super) struct Wtx {
    socket: wtx::web_socket::WebSocketOwned<(), wtx::rng::Xorshift64, TcpStream, true>,
    buffer: wtx::collection::Vector<u8>,
    /// It masks in place what it sends.
    payload: Vec<u8>,
}

impl Client for Wtx {
    async fn connect(address: &str) -> Result<Self> {
        let uri = format!("ws://{address}/");
        let connector = wtx::web_socket::WebSocketConnector::default().no_masking(false);
        let socket =
            connector.connect::<TcpStream>(tcp(address).await?, &wtx::misc::UriRef::new(&uri)).await?;
        Ok(Self { socket, buffer: wtx::collection::Vector::new(), payload: Vec::new() })
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.payload.clear();
            self.payload.extend_from_slice(payload);
            let op_code = wtx::web_socket::OpCode::Binary;
            self.socket
                .write_frame(&mut wtx::web_socket::Frame::new_fin(op_code, &mut self.payload[..]))
                .await?;
        }
        Ok(())
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        let origin = wtx::web_socket::WebSocketPayloadOrigin::Adaptive;
        Ok(**self.socket.read_frame(&mut self.buffer, origin).await?.payload() == *payload)
    }
}

pub(super) struct Yawc(yawc::WebSocket<TcpStream>);

impl Client for Yawc {
    async fn connect(address: &str) -> Result<Self> {
        let url = format!("ws://{address}/").parse()?;
        let stream = tcp(address).await?;
        Ok(Self(yawc::WebSocket::handshake(url, stream, crate::servers::yawc_options()).await?))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.feed(yawc::Frame::binary(payload.clone())).await?;
        }
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        Ok(self.0.next_frame().await?.payload() == payload)
    }
}

pub(super) struct Sockudo(sockudo_ws::WebSocketStream<TcpStream>);

impl Client for Sockudo {
    async fn connect(address: &str) -> Result<Self> {
        let mut stream = tcp(address).await?;
        sockudo_ws::handshake::client_handshake(&mut stream, address, "/", None).await?;
        Ok(Self(sockudo_ws::WebSocketStream::client(stream, sockudo_ws::Config::default())))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.feed(sockudo_ws::Message::Binary(payload.clone())).await?;
        }
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        let message = self.0.next().await.ok_or("closed")??;
        Ok(message.into_bytes() == payload)
    }
}
