use std::net::TcpListener;

use async_std::task::block_on;
use sansocket_async_std::smol::Smol;
use sansocket_async_std::{AsyncStd, serve as serve_async_std, smol::serve as serve_smol};
use sansocket_driver::sansocket::{Accept, Config, Data, Delivery, Message};
use sansocket_driver::{Handler, Incoming, Outcome, Reply, Runtime};
use sansocket_tokio::{Tokio, accept, serve};

use super::{each, tokio};
use crate::Result;

const CONFIG: Config = Config::new();
/// For messages of up to 1 GiB.
const LARGE: Config = Config::new().max_message(1 << 30);

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }

    fn data(&mut self, data: Data<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        if data.first {
            reply.begin(data.kind)?;
        }
        if data.last {
            reply.finish(&data.payload)?;
        } else {
            reply.push(&data.payload)?;
        }
        Ok(())
    }
}

pub fn handler(listener: TcpListener) -> Result<()> {
    serve_tokio(listener, CONFIG)
}

#[cfg(feature = "hostile")]
pub fn compressing_handler(listener: TcpListener) -> Result<()> {
    serve_tokio(listener, CONFIG.compression(Some(sansocket::Compression::new())))
}

/// Messages of up to 1 GiB go back as they come.
pub fn streaming(listener: TcpListener) -> Result<()> {
    serve_tokio(listener, LARGE.delivery(Delivery::Streaming))
}

/// Messages of up to 1 GiB are put together first.
pub fn whole(listener: TcpListener) -> Result<()> {
    serve_tokio(listener, LARGE)
}

fn serve_tokio(listener: TcpListener, config: Config) -> Result<()> {
    tokio(true)?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(serve(listener, config, |_| Echo).await?)
    })
}

/// As one writes it without a thought for memory: the future of the handshake is a part of the task's.
pub fn send(listener: TcpListener) -> Result<()> {
    each(listener, true, |stream| async {
        let mut socket = accept(stream).await?;
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    })
}

pub fn feed(listener: TcpListener) -> Result<()> {
    tokio(true)?.block_on(async { feed_each::<Tokio>(tokio::net::TcpListener::from_std(listener)?).await })
}

pub fn smol_handler(listener: TcpListener) -> Result<()> {
    let listener = smol::Async::try_from(listener)?.into();
    Ok(smol::block_on(smol::spawn(async { serve_smol(listener, CONFIG, |_| Echo).await }))?)
}

pub fn smol_feed(listener: TcpListener) -> Result<()> {
    let listener: smol::net::TcpListener = smol::Async::try_from(listener)?.into();
    smol::block_on(smol::spawn(feed_each::<Smol>(listener)))
}

pub fn async_std_handler(listener: TcpListener) -> Result<()> {
    Ok(block_on(async_std::task::spawn(async { serve_async_std(listener.into(), CONFIG, |_| Echo).await }))?)
}

pub fn async_std_feed(listener: TcpListener) -> Result<()> {
    block_on(async_std::task::spawn(feed_each::<AsyncStd>(listener.into())))
}

async fn feed_each<R: Runtime>(mut listener: R::Listener) -> Result<()> {
    loop {
        let (stream, _) = R::accept(&mut listener).await?;
        R::set_nodelay(&stream, true)?;
        R::spawn(async {
            // Boxed, since it is large and soon over.
            let open = Box::pin(async {
                Incoming::read(stream, R::timer(), &CONFIG).await?.accept(Accept::new()).await
            });
            let Ok(mut socket) = open.await else { return };
            while let Ok(Some(message)) = socket.recv().await {
                // Written when there is nothing more to receive from the last read.
                let _ = socket.feed(message).await;
            }
        });
    }
}
