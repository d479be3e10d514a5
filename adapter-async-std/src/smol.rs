//! smol's tasks and TCP: clients and servers on its global executor.

use core::future::Future;
use core::net::SocketAddr;
use std::io;

use sansocket::{ClientRequest, Config};
use sansocket_driver::{Error, Handler, Runtime};
use smol::net::{TcpListener, TcpStream};

use crate::stream::{Stream, Timer};

/// What [`Server`] and [`Connector`] run on.
#[derive(Debug)]
pub enum Smol {}

impl Runtime for Smol {
    type Timer = Timer;
    type Tcp = Stream<TcpStream>;
    type Listener = TcpListener;

    fn timer() -> Timer {
        Timer::new()
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
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

sansocket_driver::runtime!(Smol, "smol", TcpListener);
