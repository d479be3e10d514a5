use bytes::Bytes;
use sansocket_tokio::{ClientRequest, Config, Message, WebSocket, connect_on};
use tokio::net::TcpStream;

use super::Client;
use crate::Result;

pub(super) struct Sansocket(WebSocket<TcpStream>);

impl Sansocket {
    async fn connect(address: &str, config: &Config) -> Result<Self> {
        let stream = super::peers::tcp(address).await?;
        let request = ClientRequest::new(&format!("ws://{address}/"))?;
        let (socket, _) = connect_on(stream, &request, config).await?;
        Ok(Self(socket))
    }
}

impl Client for Sansocket {
    async fn connect(address: &str) -> Result<Self> {
        Self::connect(address, &Config::new()).await
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

/// It trusts its server to be there: no keepalive, and no other timer.
pub(super) struct Trusting(Sansocket);

impl Client for Trusting {
    async fn connect(address: &str) -> Result<Self> {
        let config = Config::new().idle_timeout(None);
        Ok(Self(Sansocket::connect(address, &config).await?))
    }

    async fn send(&mut self, payload: &Bytes, count: usize) -> Result<()> {
        self.0.send(payload, count).await
    }

    async fn receive(&mut self, payload: &[u8]) -> Result<bool> {
        self.0.receive(payload).await
    }
}
