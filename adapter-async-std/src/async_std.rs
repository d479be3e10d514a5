//! async-std's tasks and TCP, as the driver wants them.

use core::future::Future;
use core::net::SocketAddr;
use std::io;

use async_std::net::{TcpListener, TcpStream};
use sansocket::{ClientRequest, Config};
use sansocket_driver::{Error, Handler, Runtime};

use crate::stream::{Stream, Timer};

/// What [`Server`] and [`Connector`] run on.
#[derive(Debug)]
pub enum AsyncStd {}

impl Runtime for AsyncStd {
    type Timer = Timer;
    type Tcp = Stream<TcpStream>;
    type Listener = TcpListener;

    fn timer() -> Timer {
        Timer::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        // A handle that is dropped lets its task run.
        drop(async_std::task::spawn(task));
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

sansocket_driver::runtime!(AsyncStd, "async-std", TcpListener);
