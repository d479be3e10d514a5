//! tokio's tasks and TCP, as the driver wants them.

use core::future::Future;
use core::net::SocketAddr;
use std::io;

use sansocket::{ClientRequest, Config};
use sansocket_driver::{Error, Handler, Runtime};
use tokio::net::{TcpListener, TcpStream};

use crate::stream::{Stream, Timer};

/// What [`Server`] and [`Connector`] run on.
#[derive(Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    type Timer = Timer;
    type Tcp = Stream<TcpStream>;
    type Listener = TcpListener;

    fn timer() -> Timer {
        Timer::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn connect(host: &str, port: u16) -> io::Result<Stream<TcpStream>> {
        TcpStream::connect((host, port)).await.map(Stream)
    }

    async fn accept(listener: &mut TcpListener) -> io::Result<(Stream<TcpStream>, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        Ok((Stream(stream), peer))
    }

    fn set_nodelay(stream: &Stream<TcpStream>, nodelay: bool) -> io::Result<()> {
        stream.0.set_nodelay(nodelay)
    }
}

sansocket_driver::runtime!(Tokio, "tokio", TcpListener);
