//! Servers of other libraries, with permessage-deflate.

use std::net::TcpListener;

use bytes::BytesMut;
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::each;
use super::peers::{echo_wtx, is_sockudo_data, send_each};
use crate::Result;

pub fn wtx(listener: TcpListener) -> Result<()> {
    each(listener, false, |stream| async {
        let acceptor = wtx::web_socket::WebSocketAcceptor::default();
        let acceptor = acceptor.compression(wtx::web_socket::compression::Flate2::default());
        echo_wtx(&mut acceptor.accept::<TcpStream>(stream).await?).await
    })
}

/// As its `autobahn_server`, with its stream.
pub fn sockudo(listener: TcpListener) -> Result<()> {
    each(listener, true, |mut stream| async {
        let mut request = BytesMut::with_capacity(4096);
        loop {
            if stream.read_buf(&mut request).await? == 0 {
                return Err("no request".into());
            }
            let Some((asked, _)) = parse_request(&request)? else { continue };
            let offers = asked.extensions.unwrap_or_default();
            let agreed = negotiate_server_deflate(offers, &DeflateConfig::default()).ok_or("no offer")?;
            let accept = generate_accept_key(asked.key);
            let response = build_response(&accept, None, Some(&agreed.to_response_header()));
            stream.write_all(&response).await?;
            let config = sockudo_ws::Config::default();
            let socket = sockudo_ws::CompressedWebSocketStream::server(stream, config, agreed.config);
            return send_each(socket, is_sockudo_data).await;
        }
    })
}
