//! The peer `tokio-tungstenite`, a client and a server. It knows no extensions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::{SinkExt as _, StreamExt as _};
use sansocket_interop::commands::{Close, Content, Failure, Host, Record, Visit, cut, obey};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Message, frame::coding::CloseCode};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    obey(visit, host).await
}

const PROTOCOL: HeaderName = HeaderName::from_static("sec-websocket-protocol");

async fn visit(visit: Visit) -> Result<Record, Failure> {
    let mut request = visit.url.as_str().into_client_request()?;
    for (name, value) in &visit.headers {
        request.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    if !visit.protocols.is_empty() {
        request.headers_mut().insert(PROTOCOL, HeaderValue::try_from(visit.protocols.join(", "))?);
    }
    let address = visit.url.trim_start_matches("ws://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut socket, response) = match client_async(request, stream).await {
        Ok(opened) => opened,
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().map(|body| String::from_utf8_lossy(body).into_owned());
            return Ok(Record { status: Some(response.status().as_u16()), body, ..Record::default() });
        }
        // It fails what it cannot agree to.
        Err(Error::Protocol(_)) => return Ok(Record::default()),
        Err(error) => return Err(error.into()),
    };
    let mut record = opened(response.headers());
    record.status = Some(response.status().as_u16());

    for ping in visit.pings {
        socket.send(Message::Ping(ping.into())).await?;
    }
    for content in &visit.send {
        send(&mut socket, message(content)?, visit.fragments).await?;
        if !receive(&mut socket, &mut record).await? {
            break;
        }
    }
    if let Some(close) = &visit.close {
        socket.close(frame(close)).await?;
    }
    while receive(&mut socket, &mut record).await? {}
    Ok(record)
}

async fn host(stream: TcpStream, host: Host) -> Result<Record, Failure> {
    let fields = Mutex::new(None);
    let mut protocol = HeaderMap::new();
    #[expect(clippy::result_large_err, reason = "so it is asked for")]
    let judge = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if let Ok(mut fields) = fields.lock() {
            *fields = Some(headers(request.headers()));
        }
        if let Some(refuse) = &host.refuse {
            let mut answer = ErrorResponse::new(Some(refuse.body.clone()));
            *answer.status_mut() = refuse.status.try_into().unwrap_or_default();
            return Err(answer);
        }
        let offers =
            request.headers().get(PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let known = |offer: &&str| host.protocols.iter().any(|known| known == offer);
        let chosen = offers.split(',').map(str::trim).find(known);
        if let Some(value) = chosen.and_then(|chosen| HeaderValue::try_from(chosen).ok()) {
            protocol.insert(PROTOCOL, value.clone());
            response.headers_mut().insert(PROTOCOL, value);
        }
        Ok(response)
    };
    let accepted = accept_hdr_async(stream, judge).await;
    let fields = fields.into_inner()?;
    let mut socket = match accepted {
        Ok(socket) => socket,
        Err(Error::Http(_)) if host.refuse.is_some() => {
            return Ok(Record { headers: fields, ..Record::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let mut record = Record { headers: fields, ..opened(&protocol) };

    for ping in host.pings {
        socket.send(Message::Ping(ping.into())).await?;
    }
    while receive(&mut socket, &mut record).await? {
        let Some(echo) = record.received.last() else { break };
        send(&mut socket, message(echo)?, host.fragments).await?;
        if let Some(close) = &host.close {
            socket.close(frame(close)).await?;
            break;
        }
    }
    while receive(&mut socket, &mut record).await? {}
    Ok(record)
}

fn opened(headers: &HeaderMap) -> Record {
    let protocol = headers.get(PROTOCOL).and_then(|value| value.to_str().ok());
    Record {
        opened: true,
        protocol: Some(protocol.unwrap_or_default().into()),
        agreed: Some("none".into()),
        pings: Some(Vec::new()),
        pongs: Some(Vec::new()),
        ..Record::default()
    }
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().into(), text(value))).collect()
}

/// Takes note of what comes up to the next message; `false` at the end.
async fn receive(socket: &mut WebSocketStream<TcpStream>, record: &mut Record) -> Result<bool, Failure> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                record.received.push(Content::Text(text.to_string()));
                return Ok(true);
            }
            Message::Binary(bytes) => {
                record.received.push(Content::binary(&bytes));
                return Ok(true);
            }
            Message::Ping(payload) => record.pings.get_or_insert_default().push(text(&payload)),
            Message::Pong(payload) => record.pongs.get_or_insert_default().push(text(&payload)),
            Message::Close(frame) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                record.closed = Some(frame.unwrap_or((1005, String::new())));
            }
            Message::Frame(_) => {}
        }
    }
    Ok(false)
}

async fn send(
    socket: &mut WebSocketStream<TcpStream>,
    message: Message,
    fragments: bool,
) -> Result<(), Error> {
    if !fragments {
        return socket.send(message).await;
    }
    let first = if message.is_text() { Data::Text } else { Data::Binary };
    let bytes = message.into_data();
    let pieces = cut(&bytes);
    for (at, piece) in pieces.iter().enumerate() {
        let opcode = OpCode::Data(if at == 0 { first } else { Data::Continue });
        let frame = Frame::message(piece.to_vec(), opcode, at + 1 == pieces.len());
        socket.send(Message::Frame(frame)).await?;
    }
    Ok(())
}

fn frame(close: &Close) -> Option<CloseFrame> {
    (close.code != 1005)
        .then(|| CloseFrame { code: CloseCode::from(close.code), reason: close.reason.as_str().into() })
}

fn message(content: &Content) -> Result<Message, Failure> {
    match content {
        Content::Text(text) => Ok(Message::text(text.as_str())),
        Content::Hex(_) => Ok(Message::binary(content.decode()?)),
    }
}
