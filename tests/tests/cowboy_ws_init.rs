//! Cowboy's `ws_SUITE` on each runtime: what a handler sends at once.
#![cfg(all(feature = "runtimes", not(miri)))]

use sansocket::{Cause, CloseCode, CloseFrame, Config, Message, Side};
use sansocket_driver::{Outcome, Reply};
use sansocket_tests::runtimes::Adapter;
use sansocket_tests::served::Served;
use sansocket_tests::stage::Call;

sansocket_tests::on_each_runtime!(
    ws_init_return_ok,
    ws_init_return_ok_hibernate,
    ws_init_return_reply,
    ws_init_return_reply_hibernate,
    ws_init_return_reply_close,
    ws_init_return_reply_close_hibernate,
    ws_init_return_reply_many,
    ws_init_return_reply_many_hibernate,
    ws_init_return_reply_many_close,
    ws_init_return_reply_many_close_hibernate,
    ws_send_many,
    ws_send_close,
    ws_send_close_payload,
);

type Send = fn(&mut Reply<'_, u32>) -> Outcome;

/// An open WebSocket whose handler does this when it opens, and then hibernates or not.
async fn open<R: Adapter>(send: Send, hibernate: bool) -> Served<R> {
    Served::open(Config::new(), move |call, reply| {
        if let Call::Open = call {
            send(reply)?;
            if hibernate {
                reply.hibernate();
            }
        }
        Ok(())
    })
    .await
}

async fn ws_init_return_ok<R: Adapter>() {
    nothing::<R>(false).await;
}

async fn ws_init_return_ok_hibernate<R: Adapter>() {
    nothing::<R>(true).await;
}

async fn nothing<R: Adapter>(hibernate: bool) {
    let mut served = open::<R>(|_| Ok(()), hibernate).await;
    served.expect_nothing().await;
    served.close().await;
}

async fn ws_init_return_reply<R: Adapter>() {
    text::<R>(false).await;
}

async fn ws_init_return_reply_hibernate<R: Adapter>() {
    text::<R>(true).await;
}

async fn text<R: Adapter>(hibernate: bool) {
    let mut served = open::<R>(|reply| Ok(reply.send("Hello")?), hibernate).await;
    served.client.expect(b"\x81\x05Hello").await;
    served.expect_nothing().await;
    served.close().await;
}

async fn ws_init_return_reply_close<R: Adapter>() {
    close::<R>(false).await;
}

async fn ws_init_return_reply_close_hibernate<R: Adapter>() {
    close::<R>(true).await;
}

async fn close<R: Adapter>(hibernate: bool) {
    let send = |reply: &mut Reply<'_, u32>| {
        reply.close(CloseFrame::empty());
        Ok(())
    };
    let end = open::<R>(send, hibernate).await.expect_close(&[]).await;
    assert_eq!(end.cause(), &Cause::Closed(Side::Local));
}

async fn ws_init_return_reply_many<R: Adapter>() {
    many::<R>(false).await;
}

async fn ws_init_return_reply_many_hibernate<R: Adapter>() {
    many::<R>(true).await;
}

async fn many<R: Adapter>(hibernate: bool) {
    let send = |reply: &mut Reply<'_, u32>| {
        reply.send("Hello")?;
        Ok(reply.send(Message::binary(&b"World"[..]))?)
    };
    let mut served = open::<R>(send, hibernate).await;
    served.client.expect(b"\x81\x05Hello\x82\x05World").await;
    served.expect_nothing().await;
    served.close().await;
}

async fn ws_init_return_reply_many_close<R: Adapter>() {
    many_close::<R>(false).await;
}

async fn ws_init_return_reply_many_close_hibernate<R: Adapter>() {
    many_close::<R>(true).await;
}

async fn many_close<R: Adapter>(hibernate: bool) {
    let send = |reply: &mut Reply<'_, u32>| {
        reply.send("Hello")?;
        reply.close(CloseFrame::empty());
        Ok(())
    };
    let mut served = open::<R>(send, hibernate).await;
    served.client.expect(b"\x81\x05Hello").await;
    served.expect_close(&[]).await;
}

async fn ws_send_many<R: Adapter>() {
    let send = |reply: &mut Reply<'_, u32>| {
        for text in ["one", "two", "seven!"] {
            reply.send(text)?;
        }
        Ok(())
    };
    let mut served = sent_later::<R>(send).await;
    served.client.expect(b"\x81\x03one\x81\x03two\x81\x06seven!").await;
    served.close().await;
}

async fn ws_send_close<R: Adapter>() {
    let send = |reply: &mut Reply<'_, u32>| {
        reply.send("send")?;
        reply.close(CloseFrame::empty());
        Ok(reply.send("won't be received")?)
    };
    let mut served = sent_later::<R>(send).await;
    served.client.expect(b"\x81\x04send").await;
    served.expect_close(&[]).await;
}

async fn ws_send_close_payload<R: Adapter>() {
    let send = |reply: &mut Reply<'_, u32>| {
        reply.send("send")?;
        reply.close(CloseFrame::new(CloseCode::GOING_AWAY, "some text!")?);
        Ok(reply.send("won't be received")?)
    };
    let mut served = sent_later::<R>(send).await;
    served.client.expect(b"\x81\x04send").await;
    let end = served.expect_close(b"\x03\xE9some text!").await;
    assert_eq!(end.sent().map(CloseFrame::reason), Some("some text!"));
}

/// An open WebSocket whose handler does this when it is next reached by its address.
async fn sent_later<R: Adapter>(send: Send) -> Served<R> {
    Served::open(Config::new(), move |call, reply| match call {
        Call::Open => Ok(reply.address().send(0)?),
        Call::Info(_) => send(reply),
        _ => Ok(()),
    })
    .await
}
