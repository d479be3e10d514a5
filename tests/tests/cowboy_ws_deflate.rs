//! Cowboy's `ws_SUITE` on each runtime: compression. What we answer otherwise, and why, is in `COWBOY.md`.
#![cfg(all(feature = "runtimes", not(miri)))]

use sansocket::deflate::Strategy;
use sansocket::extension::WindowBits;
use sansocket::{Accept, Cause, Compression, Config, ProtocolError};
use sansocket_tests::runtimes::Adapter;
use sansocket_tests::served::{Served, request};
use sansocket_tests::stage::echo;
use sansocket_tests::wire;

/// Cowboy compresses messages of any length.
const COMPRESSION: Compression = Compression::new().min_size(0).accept_deflate_frame(true);
/// "Hello", compressed and masked; and as it comes back.
const HELLO: &[u8] = b"\xC1\x87\x11\x22\x33\x44\xE3\x6A\xFE\x8D\xD8\x25\x33";
const BACK: &[u8] = b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00";
const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
const TOO_BIG: &[u8] = b"\x88\x02\x03\xF1";
const NINE: WindowBits = WindowBits::new(9).unwrap();

sansocket_tests::on_each_runtime!(
    ws_deflate_max_frame_size_close,
    ws_deflate_max_frame_size_chunked_close,
    ws_deflate_opts_client_context_takeover,
    ws_deflate_opts_client_no_context_takeover,
    ws_deflate_opts_client_max_window_bits,
    ws_deflate_opts_client_max_window_bits_override,
    ws_deflate_opts_client_max_window_bits_only_in_server,
    ws_deflate_opts_server_context_takeover,
    ws_deflate_opts_server_no_context_takeover,
    ws_deflate_opts_server_max_window_bits,
    ws_deflate_opts_server_max_window_bits_override,
    ws_deflate_opts_zlevel,
    ws_deflate_opts_zmemlevel,
    ws_deflate_opts_zstrategy,
    ws_webkit_deflate,
    ws_webkit_deflate_fragments,
    ws_webkit_deflate_single_bytes,
);

const fn config(compression: Compression) -> Config {
    Config::new().compression(Some(compression))
}

/// An open WebSocket whose client offered this, and what the server agreed to.
async fn open<R: Adapter>(config: Config, offer: &str) -> (Served<R>, Option<String>) {
    let mut served = Served::<R>::new(config, Accept::new(), echo).await;
    let answer = served.ask(&request(&format!("Sec-WebSocket-Extensions: {offer}\r\n"), b"")).await;
    assert_eq!(answer.status, "HTTP/1.1 101 Switching Protocols");
    let agreed = answer.header("sec-websocket-extensions").map(str::to_owned);
    (served, agreed)
}

/// A server with this compression answers the offers like this, `permessage-deflate` before each.
async fn answers<R: Adapter>(compression: Compression, offers: &[(&str, Option<&str>)]) {
    let whole = |parameters: &str| format!("permessage-deflate{parameters}");
    for (offer, answer) in offers {
        let (served, agreed) = open::<R>(config(compression), &whole(offer)).await;
        assert_eq!(agreed, answer.map(whole), "{offer}");
        served.close().await;
    }
}

async fn ws_deflate_max_frame_size_close<R: Adapter>() {
    let (mut served, agreed) = open::<R>(config(COMPRESSION).max_message(8), "permessage-deflate").await;
    assert_eq!(agreed.as_deref(), Some("permessage-deflate"));
    // 100 bytes of zeros, in fewer than 8.
    served.client.write(&wire::raw(0xC1, Some(KEY), b"\x62\x60\xA0\x3D\x00\x00")).await.unwrap();
    let end = served.expect_last(TOO_BIG).await;
    assert!(matches!(end.cause(), Cause::Violation(ProtocolError::MessageTooBig { max: 8, .. })), "{end:?}");
}

async fn ws_deflate_max_frame_size_chunked_close<R: Adapter>() {
    let (mut served, agreed) = open::<R>(config(COMPRESSION).max_message(100), "permessage-deflate").await;
    assert_eq!(agreed.as_deref(), Some("permessage-deflate"));
    // Three times 50 bytes of zeros, each flushed, in one frame.
    let zeros = b"\x62\x60\x20\x15\x00\x00\x00\x00\xFF\xFF";
    let more = b"\x22\x1D\x00\x00\x00\x00\xFF\xFF";
    let frame = wire::raw(0xC1, Some(KEY), &[&zeros[..], more, &more[..4]].concat());
    let before = served.write_read(&frame[..6]).await;
    served.write_read(&frame[6..6 + 10]).await;
    let at_the_limit = served.write_read(&frame[6 + 10..6 + 18]).await;
    assert_eq!(at_the_limit, before, "nothing was written");
    served.client.write(&frame[6 + 18..]).await.unwrap();
    let end = served.expect_last(TOO_BIG).await;
    assert!(
        matches!(end.cause(), Cause::Violation(ProtocolError::MessageTooBig { max: 100, .. })),
        "{end:?}"
    );
}

async fn ws_deflate_opts_client_context_takeover<R: Adapter>() {
    let no = "; client_no_context_takeover";
    answers::<R>(COMPRESSION, &[("", Some("")), (no, Some(no))]).await;
}

async fn ws_deflate_opts_client_no_context_takeover<R: Adapter>() {
    let no = "; client_no_context_takeover";
    let compression = COMPRESSION.client_no_context_takeover(true);
    answers::<R>(compression, &[("", Some(no)), (no, Some(no))]).await;
}

async fn ws_deflate_opts_client_max_window_bits<R: Adapter>() {
    let compression = COMPRESSION.client_max_window_bits(NINE);
    let answer = "; client_max_window_bits=9";
    answers::<R>(compression, &[("; client_max_window_bits", Some(answer))]).await;
}

async fn ws_deflate_opts_client_max_window_bits_override<R: Adapter>() {
    let compression = COMPRESSION.client_max_window_bits(NINE);
    let eight = "; client_max_window_bits=8";
    let rows = [(eight, Some(eight)), ("; client_max_window_bits=12", Some("; client_max_window_bits=9"))];
    answers::<R>(compression, &rows).await;
}

/// RFC 7692 §7.1.2.2: a client that does not know the parameter cannot be told.
async fn ws_deflate_opts_client_max_window_bits_only_in_server<R: Adapter>() {
    answers::<R>(COMPRESSION.client_max_window_bits(NINE), &[("", None)]).await;
}

async fn ws_deflate_opts_server_context_takeover<R: Adapter>() {
    let no = "; server_no_context_takeover";
    answers::<R>(COMPRESSION, &[("", Some("")), (no, Some(no))]).await;
}

async fn ws_deflate_opts_server_no_context_takeover<R: Adapter>() {
    let no = "; server_no_context_takeover";
    let compression = COMPRESSION.server_no_context_takeover(true);
    answers::<R>(compression, &[("", Some(no)), (no, Some(no))]).await;
}

async fn ws_deflate_opts_server_max_window_bits<R: Adapter>() {
    let compression = COMPRESSION.server_max_window_bits(NINE);
    answers::<R>(compression, &[("", Some("; server_max_window_bits=9"))]).await;
}

async fn ws_deflate_opts_server_max_window_bits_override<R: Adapter>() {
    let compression = COMPRESSION.server_max_window_bits(NINE);
    let eight = "; server_max_window_bits=8";
    let rows = [(eight, Some(eight)), ("; server_max_window_bits=12", Some("; server_max_window_bits=9"))];
    answers::<R>(compression, &rows).await;
}

async fn ws_deflate_opts_zlevel<R: Adapter>() {
    hello::<R>(COMPRESSION.level(1)).await;
}

async fn ws_deflate_opts_zmemlevel<R: Adapter>() {
    hello::<R>(COMPRESSION.mem_level(1)).await;
}

async fn ws_deflate_opts_zstrategy<R: Adapter>() {
    hello::<R>(COMPRESSION.strategy(Strategy::Rle)).await;
}

async fn hello<R: Adapter>(compression: Compression) {
    let (mut served, agreed) = open::<R>(config(compression), "permessage-deflate").await;
    assert_eq!(agreed.as_deref(), Some("permessage-deflate"));
    served.client.write(HELLO).await.unwrap();
    served.client.expect(BACK).await;
    served.close().await;
}

async fn webkit<R: Adapter>() -> Served<R> {
    let (served, agreed) = open::<R>(config(COMPRESSION), "x-webkit-deflate-frame").await;
    assert_eq!(agreed.as_deref(), Some("x-webkit-deflate-frame"));
    served
}

async fn ws_webkit_deflate<R: Adapter>() {
    let mut served = webkit::<R>().await;
    served.client.write(HELLO).await.unwrap();
    served.client.expect(BACK).await;
    served.close().await;
}

/// One stream in two frames, which is how Cowboy reads this extension.
async fn ws_webkit_deflate_fragments<R: Adapter>() {
    let mut served = webkit::<R>().await;
    served.write_read(&wire::raw(0x41, Some(KEY), b"\xF2\x48\xCD\xC9")).await;
    served.client.write(&wire::raw(0xC0, Some(KEY), b"\xC9\x07\x00")).await.unwrap();
    served.client.expect(BACK).await;
    served.close().await;
}

async fn ws_webkit_deflate_single_bytes<R: Adapter>() {
    let mut served = webkit::<R>().await;
    served.write_single_bytes(HELLO).await;
    served.client.expect(BACK).await;
    served.close().await;
}
