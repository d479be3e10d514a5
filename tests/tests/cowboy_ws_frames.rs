//! Cowboy's `ws_SUITE` on each runtime: frames that come, limits, timeouts. What we answer otherwise, and
//! why, is in `COWBOY.md`.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;

use sansocket::{Cause, Config, Keepalive, ProtocolError, Timer};
use sansocket_driver::{Outcome, Reply, Timer as _};
use sansocket_tests::runtimes::{Adapter, sleep};
use sansocket_tests::served::Served;
use sansocket_tests::stage::{Call, echo};
use sansocket_tests::wire;

const CONFIG: Config = Config::new();
const EIGHT: Config = CONFIG.max_message(8);
/// "Hello" in a frame, and in fragments: the first, one between, the last. Masked with the key of RFC 6455
/// §5.7.
const HELLO: &[u8] = b"\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
const FIRST: &[u8] = b"\x01\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
const NEXT: &[u8] = b"\x00\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
const LAST: &[u8] = b"\x80\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58";
const TOO_BIG: &[u8] = b"\x88\x02\x03\xF1";
const NORMAL: &[u8] = b"\x88\x02\x03\xE8";

sansocket_tests::on_each_runtime!(
    ws_single_bytes,
    ws_text_fragments,
    ws_ping,
    ws_dont_validate_utf8,
    ws_max_frame_size_close,
    ws_max_frame_size_final_fragment_close,
    ws_max_frame_size_intermediate_fragment_close,
    ws_timeout_hibernate,
    ws_timeout_no_cancel,
    ws_timeout_reset,
);

async fn ws_single_bytes<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, echo).await;
    served.write_single_bytes(HELLO).await;
    served.client.expect(b"\x81\x05Hello").await;
    assert_eq!(served.notes.get()[2..], ["message Hello"]);
    served.close().await;
}

async fn ws_text_fragments<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, echo).await;
    served.write_read(FIRST).await;
    served.client.write(LAST).await.unwrap();
    served.client.expect(b"\x81\x0AHelloHello").await;
    served.client.write(&[FIRST, NEXT, LAST].concat()).await.unwrap();
    served.client.expect(b"\x81\x0FHelloHelloHello").await;
    served.close().await;
}

async fn ws_ping<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, |call, reply| match call {
        Call::Open => Ok(reply.ping(b"")?),
        Call::Pong => Ok(reply.send("OK!!")?),
        _ => Ok(()),
    })
    .await;
    served.client.expect(b"\x89\0").await;
    served.client.write(b"\x8A\x80\0\0\0\0").await.unwrap();
    served.client.expect(b"\x81\x04OK!!").await;
    served.close().await;
}

/// Text is UTF-8: it cannot be had unvalidated. The same bytes in a binary message are not looked at.
async fn ws_dont_validate_utf8<R: Adapter>() {
    let mut served = Served::<R>::open(CONFIG, echo).await;
    served.client.write(b"\x82\x84\x37\xFA\x21\x3D\xC8\x05\xDE\xC2").await.unwrap();
    served.client.expect(b"\x82\x04\xFF\xFF\xFF\xFF").await;
    served.client.write(b"\x81\x84\x37\xFA\x21\x3D\xC8\x05\xDE\xC2").await.unwrap();
    let end = served.expect_last(b"\x88\x02\x03\xEF").await;
    assert_eq!(end.cause(), &Cause::Violation(ProtocolError::InvalidUtf8));
}

async fn ws_max_frame_size_close<R: Adapter>() {
    let mut served = Served::<R>::open(EIGHT, echo).await;
    let hello_hello = wire::raw(0x82, Some([0x11, 0x22, 0x33, 0x44]), b"HelloHello");
    served.client.write(&hello_hello).await.unwrap();
    let end = served.expect_last(TOO_BIG).await;
    assert_eq!(end.cause(), &Cause::Violation(ProtocolError::MessageTooBig { len: 10, max: 8 }));
}

async fn ws_max_frame_size_final_fragment_close<R: Adapter>() {
    let mut served = Served::<R>::open(EIGHT, echo).await;
    served.write_read(FIRST).await;
    served.client.write(LAST).await.unwrap();
    let end = served.expect_last(TOO_BIG).await;
    assert_eq!(end.cause(), &Cause::Violation(ProtocolError::MessageTooBig { len: 10, max: 8 }));
}

async fn ws_max_frame_size_intermediate_fragment_close<R: Adapter>() {
    let mut served = Served::<R>::open(EIGHT, echo).await;
    served.write_read(FIRST).await;
    served.client.write(NEXT).await.unwrap();
    let end = served.expect_last(TOO_BIG).await;
    assert_eq!(end.cause(), &Cause::Violation(ProtocolError::MessageTooBig { len: 10, max: 8 }));
}

/// How long a peer may be silent here: short, and no Ping reminds it.
const IDLE: Duration = Duration::from_millis(50);

const fn idle_for(time: Duration) -> Config {
    CONFIG.keepalive(Keepalive::Off).idle_timeout(Some(time)).close_timeout(IDLE)
}

async fn ws_timeout_hibernate<R: Adapter>() {
    let hibernate = |call: Call<'_>, reply: &mut Reply<'_, u32>| -> Outcome {
        if let Call::Open = call {
            reply.hibernate();
        }
        Ok(())
    };
    // The client does not answer; the stream is closed all the same.
    let served = Served::<R>::open(idle_for(IDLE), hibernate).await;
    let end = served.expect_last(NORMAL).await;
    assert_eq!((end.cause(), end.is_clean()), (&Cause::TimedOut(Timer::Idle), false));
}

async fn ws_timeout_no_cancel<R: Adapter>() {
    let keep_calling = |call: Call<'_>, reply: &mut Reply<'_, u32>| -> Outcome {
        if let Call::Open = call {
            let address = reply.address();
            R::spawn(async move {
                while address.send(0).is_ok() {
                    sleep::<R>(IDLE / 10).await;
                }
            });
        }
        Ok(())
    };
    let served = Served::<R>::open(idle_for(IDLE), keep_calling).await;
    let notes = served.notes.clone();
    assert_eq!(served.expect_last(NORMAL).await.cause(), &Cause::TimedOut(Timer::Idle));
    assert!(notes.get().contains(&"info 0".to_owned()));
}

/// Data that comes in less than the timeout keeps the connection for longer than that. If this machine was
/// too busy to send it in time, that says nothing, and another attempt takes its time.
async fn ws_timeout_reset<R: Adapter>() {
    let timer = R::timer();
    let mut idle = IDLE;
    loop {
        let began = timer.now();
        let mut served = Served::<R>::open(idle_for(idle), echo).await;
        let (mut said, mut silence) = (began, Duration::ZERO);
        while silence < idle && timer.now() - began < idle * 3 {
            sleep::<R>(idle / 8).await;
            let says = timer.now();
            let written = served.client.write(HELLO).await;
            let echoed = served.client.read().await;
            silence = silence.max(timer.now() - said);
            if silence < idle {
                written.unwrap();
                assert_eq!(echoed.unwrap(), b"\x81\x05Hello", "it is given up after {silence:?} of silence");
            }
            said = says;
        }
        if silence < idle {
            // From now on there is nothing else.
            assert_eq!(served.expect_last(NORMAL).await.cause(), &Cause::TimedOut(Timer::Idle));
            return;
        }
        idle *= 2;
    }
}
