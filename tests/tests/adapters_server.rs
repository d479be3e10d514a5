//! Each adapter's server on real sockets: its limit, its end, and who is there meanwhile.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use futures_util::FutureExt;
use sansocket::{Accept, Cause, CloseCode, Config, Disconnect, Message, Request, Side, Status};
use sansocket_driver::{Connector, Decision, Error, Handler, Outcome, Reply, Server, Shutdown};
use sansocket_tests::echo::Echo;
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, listen, spawn, stream_to, yield_now};
use sansocket_tests::scripted::REQUEST;
use tokio::sync::{Notify, mpsc};

const CONFIG: Config = Config::new();
const LONG: Duration = Duration::from_secs(50);

sansocket_tests::on_each_runtime!(
    the_connection_beyond_the_limit_is_served_when_one_leaves,
    dropping_serve_takes_no_more_connections_and_keeps_those_there_are,
    a_shutdown_closes_what_is_open_with_1001_and_serve_returns,
    a_shutdown_of_a_server_without_connections_is_over_at_once,
    a_request_that_comes_behind_the_shutdown_gets_503,
    whoever_is_too_slow_for_a_shutdown_is_dropped_and_counted,
    a_connection_whose_init_is_at_work_is_opened_and_closed_with_1001,
    a_shutdown_ends_while_connections_flood_in,
);

/// A server of `Echo`s that has begun.
macro_rules! begin {
    ($server:expr) => {{
        let server: Server<R> = $server;
        let (listener, url) = listen::<R>().await;
        let (ends, told) = mpsc::unbounded_channel();
        let handle = server.handle();
        let serving = spawn::<R, _>(server.serve(listener, move |_| Echo(ends.clone())));
        (url, handle, serving, told)
    }};
}

async fn the_connection_beyond_the_limit_is_served_when_one_leaves<R: Adapter>() {
    let (url, handle, _serving, mut ends) = begin!(Server::new(CONFIG).max_connections(2));
    let mut one = R::connect_to(&url).await.unwrap();
    let mut two = R::connect_to(&url).await.unwrap();
    let third = {
        let url = url.clone();
        spawn::<R, _>(async move { R::connect_to(&url).await.unwrap() })
    };
    for _ in 0..50 {
        for socket in [&mut one, &mut two] {
            socket.send("m").await.unwrap();
            socket.recv().await.unwrap();
        }
        assert_eq!(handle.connections(), 2);
    }
    drop(one);
    let mut third = third.await;
    assert_eq!(ends.recv().await.unwrap().cause(), &Cause::Lost);
    assert_eq!(handle.connections(), 2);
    third.send("m").await.unwrap();
    assert_eq!(third.recv().await.unwrap(), Some(Message::from("m")));
}

async fn dropping_serve_takes_no_more_connections_and_keeps_those_there_are<R: Adapter>() {
    let (listener, url) = listen::<R>().await;
    let (ends, _told) = mpsc::unbounded_channel();
    let mut socket = {
        let serving = R::serve(listener, CONFIG, move |_| Echo(ends.clone()));
        tokio::select! {
            _ = serving => panic!("it goes on"),
            socket = R::connect_to(&url) => socket.unwrap(),
        }
    };
    R::connect_to(&url).await.unwrap_err();
    socket.send("m").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("m")));
}

async fn a_shutdown_closes_what_is_open_with_1001_and_serve_returns<R: Adapter>() {
    let (url, handle, serving, mut ends) = begin!(Server::new(CONFIG));
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut socket = R::connect_to(&url).await.unwrap();
        clients.push(spawn::<R, _>(async move {
            assert_eq!(socket.recv().await.unwrap(), None);
            socket.disconnect().unwrap().clone()
        }));
    }
    assert_eq!(handle.connections(), 5);
    let Shutdown { closed, aborted, .. } = handle.shutdown(LONG).await;
    assert_eq!((closed, aborted, handle.connections()), (5, 0, 0));
    serving.await.unwrap();
    for client in clients {
        let end = client.await;
        assert_eq!(end.received().unwrap().code(), Some(CloseCode::GOING_AWAY));
        assert!(end.is_clean());
    }
    for _ in 0..5 {
        let end = ends.recv().await.unwrap();
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Local), true));
    }
    assert!(ends.recv().await.is_none(), "each is told once");
    R::connect_to(&url).await.unwrap_err();
}

async fn a_shutdown_of_a_server_without_connections_is_over_at_once<R: Adapter>() {
    let (url, handle, serving, _ends) = begin!(Server::new(CONFIG));
    R::connect_to(&url).await.unwrap().close(CloseCode::NORMAL_CLOSURE).await;
    while handle.connections() > 0 {
        yield_now().await;
    }
    let Shutdown { closed, aborted, .. } = handle.shutdown(Duration::ZERO).await;
    assert_eq!((closed, aborted), (0, 0));
    serving.await.unwrap();
    let Shutdown { closed, aborted, .. } = handle.shutdown(Duration::ZERO).await;
    assert_eq!((closed, aborted), (0, 0), "again");
}

async fn a_request_that_comes_behind_the_shutdown_gets_503<R: Adapter>() {
    let (url, handle, serving, mut ends) = begin!(Server::new(CONFIG));
    let mut early = Raw(stream_to::<R>(&url).await);
    while handle.connections() == 0 {
        yield_now().await;
    }
    let ending = {
        let handle = handle.clone();
        spawn::<R, _>(async move { handle.shutdown(LONG).await })
    };
    // Nobody listens any more once the end has begun.
    while Connector::<R>::new().connect(&sansocket::ClientRequest::new(&url).unwrap()).await.is_ok() {}
    early.write(REQUEST).await.unwrap();
    let answer = String::from_utf8(early.read_to_end().await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    drop(early);
    let Shutdown { aborted, .. } = ending.await;
    assert_eq!(aborted, 0);
    serving.await.unwrap();
    // Those that came in before the end and went again, if not before that, too.
    while let Some(end) = ends.recv().await {
        assert!(matches!(end.cause(), Cause::Closed(Side::Local) | Cause::Lost), "{end:?}");
    }
}

async fn whoever_is_too_slow_for_a_shutdown_is_dropped_and_counted<R: Adapter>() {
    let (url, handle, serving, mut ends) = begin!(Server::new(CONFIG));
    // Two that do not answer the Close, and one that never says what it wants.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw(stream_to::<R>(&url).await);
        raw.write(REQUEST).await.unwrap();
        raw.read_until(b"\r\n\r\n").await.unwrap();
        slow.push(raw);
    }
    let mut silent = Raw(stream_to::<R>(&url).await);
    while handle.connections() < 3 {
        yield_now().await;
    }
    let ending = {
        let handle = handle.clone();
        spawn::<R, _>(async move { handle.shutdown(Duration::from_secs(2)).await })
    };
    let Shutdown { closed, aborted, .. } = ending.await;
    assert_eq!((closed, aborted, handle.connections()), (0, 3, 0));
    serving.await.unwrap();
    for mut raw in slow {
        let close = raw.read().await.unwrap();
        assert_eq!(close, [0x88, 2, 3, 0xE9]);
        assert!(raw.read().await.is_ok_and(|rest| rest.is_empty()));
    }
    assert!(silent.read().await.is_ok_and(|rest| rest.is_empty()));
    let mut causes = Vec::new();
    while let Some(end) = ends.recv().await {
        causes.push(end.cause().clone());
    }
    assert_eq!(causes, [Cause::Lost, Cause::Lost], "the third was never open");
}

/// Decides when it is told to.
struct Slow {
    asked: Arc<Notify>,
    decide: Arc<Notify>,
    ends: mpsc::UnboundedSender<Disconnect>,
}

impl Handler for Slow {
    type Info = ();

    async fn init(&mut self, _: Request) -> Decision {
        self.asked.notify_one();
        self.decide.notified().await;
        Accept::new().into()
    }

    fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.ends.send(disconnect.clone()).unwrap();
    }
}

async fn a_connection_whose_init_is_at_work_is_opened_and_closed_with_1001<R: Adapter>() {
    let (listener, url) = listen::<R>().await;
    let (asked, decide) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (ends, mut told) = mpsc::unbounded_channel();
    let server = Server::<R>::new(CONFIG);
    let handle = server.handle();
    let serving = {
        let (asked, decide) = (Arc::clone(&asked), Arc::clone(&decide));
        spawn::<R, _>(server.serve(listener, move |_| Slow {
            asked: Arc::clone(&asked),
            decide: Arc::clone(&decide),
            ends: ends.clone(),
        }))
    };
    let client = spawn::<R, _>(async move {
        let mut socket = R::connect_to(&url).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), None);
        socket.disconnect().unwrap().received().unwrap().code()
    });
    asked.notified().await;
    let mut ending = core::pin::pin!(handle.shutdown(LONG));
    for _ in 0..20 {
        assert!(ending.as_mut().now_or_never().is_none());
        yield_now().await;
    }
    decide.notify_one();
    let Shutdown { closed, aborted, .. } = ending.await;
    assert_eq!((closed, aborted), (1, 0));
    assert_eq!(client.await, Some(CloseCode::GOING_AWAY));
    serving.await.unwrap();
    assert_eq!(told.recv().await.unwrap().cause(), &Cause::Closed(Side::Local));
    assert!(told.recv().await.is_none());
}

async fn a_shutdown_ends_while_connections_flood_in<R: Adapter>() {
    let (url, handle, serving, _ends) = begin!(Server::new(CONFIG));
    let opened = Arc::new(AtomicUsize::new(0));
    let mut floods = Vec::new();
    for _ in 0..8 {
        let (url, opened) = (url.clone(), Arc::clone(&opened));
        floods.push(spawn::<R, _>(async move {
            loop {
                match R::connect_to(&url).await {
                    Ok(mut socket) => {
                        opened.fetch_add(1, Ordering::SeqCst);
                        while let Ok(Some(_)) = socket.recv().await {}
                    }
                    Err(Error::Rejected(response)) => {
                        assert_eq!(response.status(), Status::SERVICE_UNAVAILABLE);
                    }
                    // Refused, or in the listener's queue when that was closed.
                    Err(_) => return,
                }
            }
        }));
    }
    while opened.load(Ordering::SeqCst) < 4 {
        yield_now().await;
    }
    let Shutdown { aborted, .. } = handle.shutdown(LONG).await;
    assert_eq!(aborted, 0);
    serving.await.unwrap();
    assert_eq!(handle.connections(), 0);
    for flood in floods {
        flood.await;
    }
}
