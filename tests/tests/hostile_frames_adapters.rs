//! RFC 6455 §5 to §8, RFC 7692 §6 and §7: what hostile peers send, over real sockets, to handlers and streams
//! on each runtime.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::Future;

use sansocket::{Accept, ClientRequest, Config, Delivery, Role};
use sansocket_driver::Runtime;
use sansocket_tests::compressed::DELIVERIES;
use sansocket_tests::heads::{answer_to, with};
use sansocket_tests::hostile::During;
use sansocket_tests::hostile::frames::{Attack, Seen, attacks, config};
use sansocket_tests::hostile::witness::{self, Testimony, converse, converse_in_halves};
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, Socket, stream_to, streams};

sansocket_tests::on_each_runtime!(
    a_handler_gets_nothing_of_hostile_frames_and_is_told_the_end,
    a_server_that_receives_gets_nothing_of_hostile_frames_and_is_told_the_end,
    a_client_gets_nothing_of_hostile_frames_and_is_told_the_end,
);

/// How a program receives that calls a `WebSocket`.
#[derive(Clone, Copy, Debug)]
enum Surface {
    Stream(Delivery),
    Halves,
}

const SURFACES: [Surface; 3] =
    [Surface::Stream(Delivery::Whole), Surface::Stream(Delivery::Streaming), Surface::Halves];

fn settings(attack: &Attack, surface: Surface) -> Config {
    let config = config(attack.compression);
    if let Surface::Stream(delivery) = surface { config.delivery(delivery) } else { config }
}

async fn run<R: Adapter>(socket: Socket<R>, surface: Surface) -> Testimony {
    match surface {
        Surface::Stream(delivery) => converse::<R>(socket, delivery).await,
        Surface::Halves => converse_in_halves::<R>(socket).await,
    }
}

/// Sends what there is as a client, in one write with the request if it goes on; what comes back behind the
/// response, up to the end of the stream.
async fn attack_server<R: Runtime>(mut raw: Raw<R::Tcp>, attack: &Attack) -> Vec<u8> {
    let request = with("Sec-WebSocket-Extensions: permessage-deflate");
    let (first, second) = match attack.goes_on {
        true => ([request.as_bytes(), &attack.stream()].concat(), vec![]),
        false => (request.into_bytes(), attack.stream()),
    };
    raw.write(&first).await.unwrap();
    let head = raw.read_until(b"\r\n\r\n").await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    raw.write(&second).await.unwrap();
    // The server ends it first (§7.1.1): our end is still open here.
    raw.read_to_end().await.unwrap()
}

/// Sends what there is as a server, in one write with the response if it goes on; what comes back, up to the
/// end of the stream.
async fn attack_client<R: Runtime>(mut raw: Raw<R::Tcp>, attack: &Attack) -> Vec<u8> {
    let request = raw.read_until(b"\r\n\r\n").await.unwrap();
    let answer = answer_to(&request, &config(attack.compression)).into_bytes();
    if attack.goes_on {
        raw.write(&[answer, attack.stream()].concat()).await.unwrap();
    } else {
        raw.write(&answer).await.unwrap();
        raw.write(&attack.stream()).await.unwrap();
    }
    // Who fails the connection ends it; else a client waits for the server (§7.1.1).
    if !attack.is_fatal() {
        raw.shut_down().await.unwrap();
    }
    raw.read_to_end().await.unwrap()
}

async fn check(
    attack: &Attack,
    output: impl Future<Output = Vec<u8>>,
    program: impl Future<Output = Testimony>,
) {
    let (output, testimony) = tokio::join!(output, program);
    let end = testimony.end();
    attack.check(true, &Seen { output, events: testimony.events, end });
}

async fn a_handler_gets_nothing_of_hostile_frames_and_is_told_the_end<R: Adapter>() {
    for delivery in DELIVERIES {
        // One server stands all of it.
        let mut servers = [
            witness::server::<R>(config(false).delivery(delivery)).await,
            witness::server::<R>(config(true).delivery(delivery)).await,
        ];
        for attack in attacks(Role::Server) {
            let _during = During::new(&format!("handler, {delivery:?}"), &attack);
            let (url, told) = &mut servers[usize::from(attack.compression)];
            let output = attack_server::<R>(Raw(stream_to::<R>(url).await), &attack);
            let program = async { told.recv().await.unwrap() };
            check(&attack, output, program).await;
        }
    }
}

async fn a_server_that_receives_gets_nothing_of_hostile_frames_and_is_told_the_end<R: Adapter>() {
    for surface in SURFACES {
        for attack in attacks(Role::Server) {
            let _during = During::new(&format!("server, {surface:?}"), &attack);
            let (one, other) = streams::<R>().await;
            let program = async {
                let incoming = R::incoming(other, &settings(&attack, surface)).await.unwrap();
                run::<R>(incoming.accept(Accept::new()).await.unwrap(), surface).await
            };
            let output = attack_server::<R>(Raw(one), &attack);
            check(&attack, output, program).await;
        }
    }
}

async fn a_client_gets_nothing_of_hostile_frames_and_is_told_the_end<R: Adapter>() {
    for surface in SURFACES {
        for attack in attacks(Role::Client) {
            let _during = During::new(&format!("client, {surface:?}"), &attack);
            let (one, other) = streams::<R>().await;
            let program = async {
                let request = ClientRequest::new("ws://example.com/chat").unwrap();
                let config = settings(&attack, surface);
                let (socket, _) = R::connect_on(one, &request, &config).await.unwrap();
                run::<R>(socket, surface).await
            };
            let output = attack_client::<R>(Raw(other), &attack);
            check(&attack, output, program).await;
        }
    }
}
