//! The alarms of a server's connections, which one task keeps for all of them.

use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use sansocket::CloseCode;
use sansocket_shuttle::{Io, Server};
use shuttle::future::spawn;

use crate::explore::explore;
use crate::pipe::Pipe;
use crate::server::{Counts, Echo, LONG, client, config};
use crate::world::{World, let_time_pass, listen};

/// What comes on a stream on which nothing is said.
async fn listen_on(mut stream: Pipe) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        let mut buffer = [0; 64];
        let n = poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut buffer)).await.unwrap();
        if n == 0 {
            return heard;
        }
        heard.extend_from_slice(&buffer[..n]);
    }
}

#[test]
fn who_says_nothing_is_cut_off_in_time() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let server =
            Server::<World>::new(config().handshake_timeout(Some(Duration::from_secs(1)))).max_connections(2);
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let serves = spawn(server.serve(listener, move |_| Echo::new(&of)));
        let time = let_time_pass();
        // The third takes the place of one of the others, and its alarm is not that one's.
        let silent = [(); 3].map(|()| spawn(listen_on(network.connect(256))));
        for silent in silent {
            assert!(silent.await.unwrap().is_empty(), "nobody has asked anything");
        }
        drop(time);
        let end = handle.shutdown(LONG).await;
        assert_eq!(end.aborted, 0);
        serves.await.unwrap().unwrap();
        assert_eq!((handle.connections(), counts.made.load(Ordering::Relaxed)), (0, 3));
        counts.assert_settled();
    });
}

#[test]
fn an_idle_connection_is_closed_in_time_while_others_come_and_go() {
    explore(|| async {
        let (network, listener) = listen();
        let counts = Arc::<Counts>::default();
        let config = config().idle_timeout(Some(Duration::from_secs(1))).keepalive(sansocket::Keepalive::Off);
        let server = Server::<World>::new(config);
        let handle = server.handle();
        let of = Arc::clone(&counts);
        let serves = spawn(server.serve(listener, move |_| Echo::new(&of)));
        let mut idle = client(&network).await.unwrap();
        let idle = spawn(async move {
            assert!(idle.recv().await.unwrap().is_none());
            let end = idle.disconnect().unwrap();
            assert_eq!(end.received().and_then(|frame| frame.code()), Some(CloseCode::NORMAL_CLOSURE));
        });
        let goes = spawn(async move {
            let Ok(mut socket) = client(&network).await else { return };
            // It may be late as well.
            socket.close(CloseCode::NORMAL_CLOSURE).await;
        });
        let time = let_time_pass();
        idle.await.unwrap();
        goes.await.unwrap();
        drop(time);
        let end = handle.shutdown(LONG).await;
        assert_eq!(end.aborted, 0);
        serves.await.unwrap().unwrap();
        assert_eq!(handle.connections(), 0);
        counts.assert_settled();
    });
}
