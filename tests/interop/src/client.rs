//! The client: sends messages to an echo server, several at a time, and compares what comes back.

use std::collections::VecDeque;
use std::sync::Arc;

use sansocket_interop::commands::Failure;
use sansocket_tokio::{ClientRequest, CloseCode, Config, WebSocket, connect_on};
use tokio::net::TcpStream;

use crate::messages::Messages;
use crate::report::{Counted, Report, Wire, describe};

/// This much is sent ahead of what was received: little enough to fit into sockets' buffers, since a `feed`
/// that waits for room does not receive.
const MESSAGES_AHEAD: usize = 64;
const BYTES_AHEAD: usize = 64 << 10;

pub(crate) async fn run(url: &str, config: &Config, messages: usize, seed: u64) -> Result<(), Failure> {
    let request = ClientRequest::new(url)?;
    let stream = TcpStream::connect((request.host(), request.port())).await?;
    stream.set_nodelay(true)?;
    let wire = Arc::new(Wire::default());
    let (mut socket, _) = connect_on(Counted::new(stream, Arc::clone(&wire)), &request, config).await?;
    let agreed = describe(socket.connection().agreed().and_then(|agreed| agreed.compression()));

    let result = converse(&mut socket, Messages::new(messages, seed)).await;
    // Whatever it was, the peer is told, and the line printed.
    let disconnect = socket.close(CloseCode::NORMAL_CLOSURE).await;
    let payload = *result.as_ref().unwrap_or(&0);
    println!("{}", Report { agreed: &agreed, messages, payload, wire: &wire, disconnect: &disconnect });
    result?;
    let code = disconnect.received().and_then(|frame| frame.code());
    match disconnect.is_clean() && code == Some(CloseCode::NORMAL_CLOSURE) {
        true => Ok(()),
        false => Err(format!("not a clean close: {disconnect}").into()),
    }
}

/// Returns the length of all payloads together.
async fn converse(
    socket: &mut WebSocket<Counted<TcpStream>>,
    mut messages: Messages,
) -> Result<usize, Failure> {
    let (mut ahead, mut bytes_ahead) = (VecDeque::new(), 0);
    let (mut done, mut payload) = (0, 0);
    loop {
        while ahead.len() < MESSAGES_AHEAD && bytes_ahead < BYTES_AHEAD {
            let Some(message) = messages.next() else { break };
            bytes_ahead += message.len();
            socket.feed(message.borrow()).await?;
            ahead.push_back(message);
        }
        let Some(message) = ahead.pop_front() else { return Ok(payload) };
        let Some(echo) = socket.recv().await? else {
            return Err(format!("the peer closed after {done} messages").into());
        };
        if echo != message {
            let (sent, came) = (message.len(), echo.len());
            let (of, kind) = (message.kind(), echo.kind());
            return Err(
                format!("message {done}: {came} bytes of {kind:?} came back for {sent} of {of:?}").into()
            );
        }
        bytes_ahead -= message.len();
        payload += message.len();
        done += 1;
    }
}
