//! Our side of the family `conversation`: as a client, and as a server on either surface.

use std::sync::{Arc, Mutex, PoisonError};

use sansocket_interop::commands::{Close, Content, Failure, Host, Record, Visit, cut};
use sansocket_tokio::{
    Accept, ClientRequest, CloseCode, CloseFrame, Compression, Config, Decision, Disconnect, Error, Handler,
    Message, Outcome, Reply, Request, Response, Status, WebSocket, connect_on, incoming, serve_connection,
};
use tokio::net::TcpStream;

use crate::report::describe;

pub(crate) async fn visit(visit: Visit) -> Result<Record, Failure> {
    let mut request = ClientRequest::new(&visit.url)?;
    for (name, value) in &visit.headers {
        request = request.header(name, value)?;
    }
    for name in &visit.protocols {
        request = request.subprotocol(name)?;
    }
    let stream = TcpStream::connect((request.host(), request.port())).await?;
    stream.set_nodelay(true)?;
    let (mut socket, response) = match connect_on(stream, &request, &config(visit.compression)).await {
        Ok(opened) => opened,
        Err(Error::Rejected(response)) => {
            let (status, body) = (response.status().get(), String::from_utf8_lossy(response.body()));
            return Ok(Record { status: Some(status), body: Some(body.into()), ..Record::default() });
        }
        Err(error) => return Err(error.into()),
    };
    let mut record = opened(&socket);
    record.status = Some(response.status().get());

    ping(&mut socket, &visit.pings)?;
    for content in &visit.send {
        send(&mut socket, &message(content)?, visit.fragments).await?;
        let Ok(Some(echo)) = socket.recv().await else { break };
        record.received.push(self::content(&echo));
    }
    if let Some(close) = &visit.close {
        socket.start_close(frame(close)?);
    }
    listen_to_the_end(&mut socket, &mut record).await;
    Ok(record)
}

/// A server that receives and sends where it wants to.
pub(crate) async fn host_a_stream(stream: TcpStream, host: Host) -> Result<Record, Failure> {
    let incoming = incoming(stream, &config(host.compression)).await?;
    let headers = Some(fields(incoming.request()));
    if let Some(response) = refusal(&host) {
        incoming.reject(response).await?;
        return Ok(Record { headers, ..Record::default() });
    }
    let accept = accept(&host, incoming.request());
    let mut socket = incoming.accept(accept).await?;
    let mut record = Record { headers, ..opened(&socket) };

    ping(&mut socket, &host.pings)?;
    while let Ok(Some(message)) = socket.recv().await {
        record.received.push(content(&message));
        send(&mut socket, &message, host.fragments).await?;
        if let Some(close) = &host.close {
            socket.start_close(frame(close)?);
            break;
        }
    }
    listen_to_the_end(&mut socket, &mut record).await;
    Ok(record)
}

pub(crate) async fn host_a_handler(stream: TcpStream, host: Host) -> Result<Record, Failure> {
    let record = Arc::new(Mutex::new(Record::default()));
    let config = config(host.compression);
    let refuses = host.refuse.is_some();
    let served = serve_connection(stream, config, Echo { host, record: Arc::clone(&record) }).await;
    match served {
        Err(error) if !refuses => Err(error.into()),
        _ => Ok(record.lock().unwrap_or_else(PoisonError::into_inner).clone()),
    }
}

struct Echo {
    host: Host,
    record: Arc<Mutex<Record>>,
}

impl Echo {
    fn record(&mut self, work: impl FnOnce(&mut Record)) {
        work(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Handler for Echo {
    type Info = ();

    async fn init(&mut self, request: Request) -> Decision {
        self.record(|record| record.headers = Some(fields(&request)));
        match refusal(&self.host) {
            Some(response) => response.into(),
            None => accept(&self.host, &request).into(),
        }
    }

    fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
        let agreed = reply.agreed().cloned().unwrap_or_default();
        self.record(|record| {
            record.opened = true;
            record.protocol = Some(agreed.subprotocol().unwrap_or_default().into());
            record.agreed = Some(describe(agreed.compression()));
            (record.pings, record.pongs) = (Some(Vec::new()), Some(Vec::new()));
        });
        for ping in &self.host.pings {
            reply.ping(ping.as_bytes())?;
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        self.record(|record| record.received.push(content(&message)));
        if self.host.fragments {
            let [first, second, third] = cut(bytes(&message));
            reply.begin(message.kind())?;
            reply.push(first)?;
            reply.push(second)?;
            reply.finish(third)?;
        } else {
            reply.send(message)?;
        }
        if let Some(close) = &self.host.close {
            reply.close(frame(close)?);
        }
        Ok(())
    }

    fn ping(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.record(|record| record.pings.get_or_insert_default().push(text(payload)));
        Ok(())
    }

    fn pong(&mut self, payload: &[u8], _: &mut Reply<'_, ()>) -> Outcome {
        self.record(|record| record.pongs.get_or_insert_default().push(text(payload)));
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.record(|record| closed(record, disconnect));
    }
}

fn config(compression: bool) -> Config {
    Config::new().compression(compression.then(|| Compression::new().min_size(0)))
}

fn accept(host: &Host, request: &Request) -> Accept {
    let known: Vec<&str> = host.protocols.iter().map(String::as_str).collect();
    Accept::new().first_subprotocol(request, &known)
}

fn refusal(host: &Host) -> Option<Response> {
    let refuse = host.refuse.as_ref()?;
    Some(Response::new(Status::new(refuse.status)?).text(refuse.body.as_str()))
}

fn fields(request: &Request) -> std::collections::BTreeMap<String, String> {
    request.headers().map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect()
}

fn opened(socket: &WebSocket<TcpStream>) -> Record {
    let agreed = socket.agreed();
    Record {
        opened: true,
        protocol: Some(agreed.subprotocol().unwrap_or_default().into()),
        agreed: Some(describe(agreed.compression())),
        ..Record::default()
    }
}

async fn send(
    socket: &mut WebSocket<TcpStream>,
    message: &Message<'_>,
    fragments: bool,
) -> Result<(), Error> {
    if !fragments {
        return socket.send(message.borrow()).await;
    }
    let [first, second, third] = cut(bytes(message));
    socket.begin(message.kind())?;
    socket.push(first).await?;
    socket.push(second).await?;
    socket.finish(third).await
}

/// The Pongs go by in silence, but for that of a Ping that is measured.
fn ping(socket: &mut WebSocket<TcpStream>, payloads: &[String]) -> Result<(), Error> {
    for payload in payloads {
        socket.ping(payload.as_bytes())?;
    }
    if payloads.is_empty() { Ok(()) } else { socket.probe() }
}

/// How it ended is in the record, also if that is an error.
async fn listen_to_the_end(socket: &mut WebSocket<TcpStream>, record: &mut Record) {
    while let Ok(Some(message)) = socket.recv().await {
        record.received.push(content(&message));
    }
    record.answered = Some(socket.connection().latency().is_some());
    if let Some(disconnect) = socket.disconnect() {
        closed(record, disconnect);
    }
}

fn closed(record: &mut Record, disconnect: &Disconnect) {
    record.clean = Some(disconnect.is_clean());
    record.closed = Some(match disconnect.received() {
        Some(frame) => (frame.code().map_or(1005, CloseCode::get), frame.reason().to_owned()),
        None => (1006, disconnect.to_string()),
    });
}

fn frame(close: &Close) -> Result<CloseFrame<'static>, Failure> {
    match (close.code, CloseCode::new(close.code)) {
        (1005, _) => Ok(CloseFrame::empty()),
        (_, Some(code)) => Ok(CloseFrame::new(code, close.reason.clone())?),
        (code, None) => Err(format!("{code} is not to be sent").into()),
    }
}

fn message(content: &Content) -> Result<Message<'static>, Failure> {
    match content {
        Content::Text(text) => Ok(Message::from(text.clone())),
        Content::Hex(_) => Ok(Message::from(content.decode()?)),
    }
}

fn content(message: &Message<'_>) -> Content {
    match message {
        Message::Text(text) => Content::Text(text.to_string()),
        Message::Binary(bytes) => Content::binary(bytes),
    }
}

fn bytes<'m>(message: &'m Message<'_>) -> &'m [u8] {
    match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
