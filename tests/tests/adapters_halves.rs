//! Each adapter on real sockets, with a WebSocket's halves in two tasks on two threads.
#![cfg(all(feature = "runtimes", not(miri)))]

use futures_util::StreamExt;
use sansocket::{Cause, CloseCode, Config, Message, SendError, Side};
use sansocket_driver::Error;
use sansocket_tests::runtimes::{Adapter, pair, spawn};

const CONFIG: Config = Config::new();

sansocket_tests::on_each_runtime!(
    both_directions_carry_more_than_the_sockets_hold_and_neither_starves,
    a_half_that_sends_only_needs_nobody_to_receive,
    a_half_that_is_dropped_leaves_the_other_at_work,
    halves_are_put_together_again_and_go_on,
    when_one_half_closes_the_other_is_told,
);

async fn both_directions_carry_more_than_the_sockets_hold_and_neither_starves<R: Adapter>() {
    const MESSAGES: u32 = 300;
    fn message(i: u32) -> Vec<u8> {
        [&i.to_be_bytes()[..], &vec![i.to_le_bytes()[0]; 60_000]].concat()
    }
    let config = CONFIG.high_water(100_000);
    let (client, server) = pair::<R>(&config, &config).await;
    let mut tasks = Vec::new();
    for socket in [client, server] {
        let (mut sender, mut receiver) = socket.split();
        let sending = spawn::<R, _>(async move {
            for i in 0..MESSAGES {
                sender.send(message(i)).await.unwrap();
            }
            sender
        });
        let receiving = spawn::<R, _>(async move {
            for i in 0..MESSAGES {
                let came = receiver.recv().await.unwrap().unwrap();
                assert!(came.as_bytes() == message(i), "{i}");
            }
            receiver
        });
        tasks.push((sending, receiving));
    }
    for (sending, receiving) in tasks {
        // It is of no use to anybody before all of them are through.
        drop((sending.await, receiving.await));
    }
}

async fn a_half_that_sends_only_needs_nobody_to_receive<R: Adapter>() {
    let (client, mut server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut sender, _receiver) = client.split();
    let sending = spawn::<R, _>(async move {
        for i in 0..200_u8 {
            sender.send(vec![i; 100_000]).await.unwrap();
        }
    });
    // What the server says, nobody takes.
    server.send(vec![1; 10_000]).await.unwrap();
    for i in 0..200_u8 {
        assert!(server.recv().await.unwrap().unwrap().as_bytes() == vec![i; 100_000], "{i}");
    }
    sending.await;
}

async fn a_half_that_is_dropped_leaves_the_other_at_work<R: Adapter>() {
    let (client, server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut sender, receiver) = client.split();
    let (other_sender, mut other_receiver) = server.split();
    drop(receiver);
    drop(other_sender);
    let receiving = spawn::<R, _>(async move {
        for i in 0..100_u8 {
            assert!(other_receiver.recv().await.unwrap().unwrap().as_bytes() == vec![i; 50_000]);
        }
        assert!(matches!(other_receiver.recv().await, Ok(None)));
    });
    for i in 0..100_u8 {
        sender.send(vec![i; 50_000]).await.unwrap();
    }
    assert!(sender.close(CloseCode::NORMAL_CLOSURE).await.sent().is_some());
    drop(sender);
    receiving.await;
}

async fn halves_are_put_together_again_and_go_on<R: Adapter>() {
    let (client, mut server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut sender, mut receiver) = client.split();
    let sending = spawn::<R, _>(async move {
        sender.send("from a task").await.unwrap();
        sender
    });
    let receiving = spawn::<R, _>(async move {
        assert_eq!(receiver.recv().await.unwrap(), Some(Message::from("to a task")));
        receiver
    });
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("from a task")));
    server.send("to a task").await.unwrap();
    let Ok(mut client) = sansocket_driver::WebSocket::reunite(sending.await, receiving.await) else {
        panic!("they are of one WebSocket")
    };
    client.send("whole again").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("whole again")));
}

async fn when_one_half_closes_the_other_is_told<R: Adapter>() {
    let (client, mut server) = pair::<R>(&CONFIG, &CONFIG).await;
    let (mut sender, mut receiver) = client.split();
    let receiving = spawn::<R, _>(async move {
        assert_eq!(receiver.next().await.unwrap().unwrap(), Message::from("first"));
        assert!(receiver.next().await.is_none());
        assert!(matches!(receiver.recv().await, Ok(None)));
        receiver
    });
    server.send("first").await.unwrap();
    let ending = spawn::<R, _>(async move {
        while server.recv().await.unwrap().is_some() {}
        server.disconnect().unwrap().clone()
    });
    let mut receiver = {
        sender.start_close(CloseCode::GOING_AWAY);
        receiving.await
    };
    let end = sender.close(CloseCode::NORMAL_CLOSURE).await;
    assert_eq!(end.cause(), &Cause::Closed(Side::Local));
    assert_eq!(end.sent().unwrap().code(), Some(CloseCode::GOING_AWAY));
    assert_eq!(receiver.with_socket(|socket| socket.disconnect().cloned()), Some(end));
    assert!(matches!(sender.send("m").await, Err(Error::Send(SendError::Closed))));
    assert_eq!(ending.await.cause(), &Cause::Closed(Side::Remote));
}
