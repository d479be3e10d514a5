//! The scenarios of two tasks.

use futures_util::{SinkExt, StreamExt};
use sansocket::{CloseCode, Message};
use sansocket_driver::{Receiver, WebSocket};
use tokio::sync::oneshot;

use super::Say::{Binary, Close, Hear, Pause, Pieces, Text};
use super::place::{Socket, View};
use super::scenarios::{KIB, both, opened};
use super::{AnyStream, FaultyAlarm, Scenario, payload};
use crate::insist;

pub(super) const HALVES: &[Scenario] = &[
    both(
        "sends by one half, receives by the other",
        &[Text(5), Hear(3), Binary(70), Close],
        opened!(|s, v| halves(s, v, 30, false).await),
    ),
    both(
        "closes by one half, receives by the other",
        &[Text(5), Binary(70)],
        opened!(|s, v| halves(s, v, 30, true).await),
    ),
    Scenario {
        room: 30 * KIB,
        ..both(
            "moves 100 KiB by both halves",
            &[Binary(100 * KIB), Text(20 * KIB), Hear(3), Close],
            opened!(|s, v| halves(s, v, 40 * KIB, false).await),
        )
    },
    both(
        "forwards one half to the other",
        &[Text(5), Binary(70), Hear(2), Close],
        opened!(|s, v| {
            let (mut sender, mut receiver) = s.split();
            while let Some(Ok(message)) = receiver.next().await {
                v.seen().messages.push(message.as_bytes().to_vec());
                if SinkExt::send(&mut sender, message).await.is_err() {
                    break;
                }
            }
            let _ = SinkExt::<Message<'_>>::close(&mut sender).await;
            sender.with_socket(|socket| v.tell_quietly(socket));
            v.seen().done = true;
        }),
    ),
    LEFT[0].0,
    LEFT[1].0,
];

/// Scenarios of which a task may be dropped, and which: the other one goes on.
pub const LEFT: [(Scenario, usize); 2] = [
    (
        Scenario {
            config: |config, _| config.high_water(100),
            room: 60,
            ..both(
                "receives beside a half that sends",
                &[Text(5), Pause(4), Binary(70), Pause(4), Pieces(40, 7), Pause(9), Close],
                opened!(|s, v| {
                    let (mut sender, mut receiver) = s.split();
                    let (seen, sees) = (v.clone(), v.clone());
                    v.run([
                        Box::pin(async move {
                            for i in 0..3 {
                                // The other one is told how it ends.
                                let _ = insist!(seen, sender.feed(payload(100 + i)));
                            }
                            let _ = insist!(seen, sender.flush());
                        }),
                        Box::pin(async move { receive_to_the_end(&mut receiver, &sees).await }),
                    ])
                    .await;
                    (v.seen().silent, v.seen().done) = (true, true);
                }),
            )
        },
        1,
    ),
    (
        Scenario {
            config: |config, _| config.high_water(100),
            room: 60,
            ..both(
                "sends and closes beside a half that receives",
                &[Text(5), Pause(1), Binary(70), Pause(1), Pieces(40, 7)],
                opened!(|s, v| {
                    let (mut sender, mut receiver) = s.split();
                    let (seen, sees) = (v.clone(), v.clone());
                    v.run([
                        Box::pin(async move {
                            for i in 0..3 {
                                let _ = seen.note(insist!(seen, sender.feed(payload(100 + i))));
                            }
                            let _ = seen.note(insist!(seen, sender.flush()));
                            let _ = insist!(seen, sender.close(CloseCode::NORMAL_CLOSURE));
                            sender.with_socket(|socket| seen.tell_quietly(socket));
                        }),
                        // What the other one waits for its end with may be what this one would have got.
                        Box::pin(async move { while let Ok(Some(_)) = insist!(sees, receiver.recv()) {} }),
                    ])
                    .await;
                    v.seen().done = true;
                }),
            )
        },
        2,
    ),
];

/// Two tasks, of which one sends, and closes, and one receives.
async fn halves(socket: Socket, view: View, len: usize, closes: bool) {
    let (mut sender, mut receiver) = socket.split();
    let (seen, sees) = (view.clone(), view.clone());
    let (give_sender, sender_back) = oneshot::channel();
    let (give_receiver, receiver_back) = oneshot::channel();
    let sends = async move {
        for i in 0..3 {
            if seen.note(insist!(seen, sender.feed(payload(len + i)))).is_none()
                || seen.note(insist!(seen, sender.flush())).is_none()
            {
                break;
            }
        }
        if closes {
            sender.start_close(CloseCode::NORMAL_CLOSURE);
        }
        assert!(give_sender.send(sender).is_ok());
    };
    let receives = async move {
        receive_to_the_end(&mut receiver, &sees).await;
        assert!(give_receiver.send(receiver).is_ok());
    };
    view.run([Box::pin(sends), Box::pin(receives)]).await;
    let (Ok(sender), Ok(receiver)) = (sender_back.await, receiver_back.await) else {
        panic!("both are through")
    };
    let Ok(socket) = WebSocket::reunite(sender, receiver) else { panic!("they are of one") };
    view.look_back(socket);
}

async fn receive_to_the_end(receiver: &mut Receiver<AnyStream, FaultyAlarm>, view: &View) {
    let end = loop {
        match insist!(view, receiver.recv()) {
            Ok(Some(message)) => view.seen().messages.push(message.as_bytes().to_vec()),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    receiver.with_socket(|socket| view.tell_end(socket, end));
    view.seen().drained = true;
}
