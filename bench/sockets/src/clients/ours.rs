use bytes::Bytes;
use sansocket_tokio::{ClientRequest, Config, Message, WebSocket, connect_on};
use tokio::net::TcpStream;

use super::Client;
use crate::Result;

pub(super) struct Sansocket(WebSocket<TcpStream>);

impl Client for Sansocket {
    async fn connect(address: &str) -> Result<Self> {
        let stream = super::peers::tcp(address).await?;
        let request = ClientRequest::new(&format!("ws://{address}/"))?;
        let (socket, _) = connect_on(stream, &request, &Config::new()).await?;
        Ok(Self(socket))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        for _ in 0..count {
            self.0.feed(&payload[..]).await?;
        }
        Ok(self.0.flush().await?)
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        match self.0.recv().await? {
            Some(Message::Binary(received)) => Ok(*received == *payload),
            _ => Ok(false),
        }
    }
}
