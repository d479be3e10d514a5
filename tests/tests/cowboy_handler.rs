//! Cowboy's `ws_handler_SUITE` on each runtime, each case without and with hibernation behind every callback.
//! What we answer otherwise, and why, is in `COWBOY.md`.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;

use sansocket::{
    Accept, Cause, CloseCode, CloseFrame, Compression, Config, Disconnect, Keepalive, Message, ProtocolError,
    Request, Role, Side, Timer,
};
use sansocket_driver::{Decision, Handler, Outcome, Reply, Server, Shutdown};
use sansocket_tests::heads::Answer;
use sansocket_tests::raw::Raw;
use sansocket_tests::runtimes::{Adapter, listen, spawn, stream_to};
use sansocket_tests::served::{Served, request};
use sansocket_tests::stage::{Actor, Call, Notes, echo, idle};
use sansocket_tests::wire::{self, BINARY, TEXT};
use tokio::sync::mpsc;

const CONFIG: Config = Config::new();
const GROUPS: [Group; 2] = [Group::H1, Group::H1Hibernate];

sansocket_tests::on_each_runtime!(
    websocket_init_nothing,
    websocket_handle_nothing,
    websocket_info_nothing,
    websocket_init_invalid,
    websocket_handle_invalid,
    websocket_info_invalid,
    websocket_init_one_frame,
    websocket_handle_one_frame,
    websocket_info_one_frame,
    websocket_init_many_frames,
    websocket_handle_many_frames,
    websocket_info_many_frames,
    websocket_init_close_frame,
    websocket_handle_close_frame,
    websocket_info_close_frame,
    websocket_init_many_frames_then_close_frame,
    websocket_handle_many_frames_then_close_frame,
    websocket_info_many_frames_then_close_frame,
    websocket_init_trap_exit_false,
    websocket_active_false,
    websocket_deflate_false,
    websocket_deflate_ignore_if_not_negotiated,
    websocket_set_options_idle_timeout,
    websocket_set_options_max_frame_size,
    websocket_shutdown_reason,
    websocket_terminate_close_normal,
    websocket_terminate_close_reason,
    websocket_terminate_socket_close,
    websocket_terminate_req_filter,
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    H1,
    H1Hibernate,
}

/// Cowboy's callbacks: our `open`, `message` and `info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Init,
    Handle,
    Info,
}

type Act = fn(Call<'_>, &mut Reply<'_, u32>) -> Outcome;
type Commands = fn(&mut Reply<'_, u32>) -> Outcome;

/// Acts, and then hibernates, if the group does.
fn in_group(
    group: Group,
    mut act: impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome,
) -> impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome {
    move |call, reply| {
        act(call, reply)?;
        if group == Group::H1Hibernate {
            reply.hibernate();
        }
        Ok(())
    }
}

async fn open<R: Adapter>(group: Group, config: Config, act: Act) -> Served<R> {
    Served::open(config, in_group(group, act)).await
}

/// An open WebSocket whose handler commands this in one of its callbacks, which is called.
async fn commanded<R: Adapter>(group: Group, callback: In, commands: Commands) -> Served<R> {
    let act = move |call: Call<'_>, reply: &mut Reply<'_, u32>| match (callback, call) {
        (In::Info, Call::Open) => Ok(reply.address().send(0)?),
        (In::Init, Call::Open) | (In::Handle, Call::Message(_)) | (In::Info, Call::Info(_)) => {
            commands(reply)
        }
        _ => Ok(()),
    };
    let mut served = Served::open(CONFIG, in_group(group, act)).await;
    if callback == In::Handle {
        served.client.write(&wire::frame(Role::Server, TEXT, "message")).await.unwrap();
    }
    served
}

async fn websocket_init_nothing<R: Adapter>() {
    nothing::<R>(In::Init).await;
}

async fn websocket_handle_nothing<R: Adapter>() {
    nothing::<R>(In::Handle).await;
}

async fn websocket_info_nothing<R: Adapter>() {
    nothing::<R>(In::Info).await;
}

async fn nothing<R: Adapter>(callback: In) {
    for group in GROUPS {
        let mut served = commanded::<R>(group, callback, |_| Ok(())).await;
        served.expect_nothing().await;
        served.close().await;
    }
}

async fn websocket_init_invalid<R: Adapter>() {
    invalid::<R>(In::Init).await;
}

async fn websocket_handle_invalid<R: Adapter>() {
    invalid::<R>(In::Handle).await;
}

async fn websocket_info_invalid<R: Adapter>() {
    invalid::<R>(In::Info).await;
}

/// What is no command does not compile; what cannot be carried out is an error, which a callback returns.
async fn invalid<R: Adapter>(callback: In) {
    for group in GROUPS {
        let served = commanded::<R>(group, callback, |reply| Ok(reply.ping(&[0; 126])?)).await;
        let notes = served.notes.clone();
        let end = served.expect_close(b"\x03\xF3").await;
        assert_eq!(end.sent().and_then(CloseFrame::code), Some(CloseCode::INTERNAL_ERROR));
        assert!(notes.get().contains(&"error a control frame's payload has at most 125 bytes".to_owned()));
    }
}

async fn websocket_init_one_frame<R: Adapter>() {
    one_frame::<R>(In::Init).await;
}

async fn websocket_handle_one_frame<R: Adapter>() {
    one_frame::<R>(In::Handle).await;
}

async fn websocket_info_one_frame<R: Adapter>() {
    one_frame::<R>(In::Info).await;
}

async fn one_frame<R: Adapter>(callback: In) {
    for group in GROUPS {
        let mut served = commanded::<R>(group, callback, |reply| Ok(reply.send("One frame!")?)).await;
        served.client.expect(b"\x81\x0AOne frame!").await;
        served.expect_nothing().await;
        served.close().await;
    }
}

async fn websocket_init_many_frames<R: Adapter>() {
    many_frames::<R>(In::Init).await;
}

async fn websocket_handle_many_frames<R: Adapter>() {
    many_frames::<R>(In::Handle).await;
}

async fn websocket_info_many_frames<R: Adapter>() {
    many_frames::<R>(In::Info).await;
}

async fn many_frames<R: Adapter>(callback: In) {
    for group in GROUPS {
        let mut served = commanded::<R>(group, callback, send_many).await;
        served.client.expect(b"\x81\x0AOne frame!\x82\x0BTwo frames!").await;
        served.expect_nothing().await;
        served.close().await;
    }
}

fn send_many(reply: &mut Reply<'_, u32>) -> Outcome {
    reply.send("One frame!")?;
    Ok(reply.send(Message::binary(&b"Two frames!"[..]))?)
}

async fn websocket_init_close_frame<R: Adapter>() {
    close_frame::<R>(In::Init).await;
}

async fn websocket_handle_close_frame<R: Adapter>() {
    close_frame::<R>(In::Handle).await;
}

async fn websocket_info_close_frame<R: Adapter>() {
    close_frame::<R>(In::Info).await;
}

async fn close_frame<R: Adapter>(callback: In) {
    for group in GROUPS {
        let commands: Commands = |reply| {
            reply.close(CloseFrame::empty());
            Ok(())
        };
        let end = commanded::<R>(group, callback, commands).await.expect_close(b"").await;
        assert_eq!(end.cause(), &Cause::Closed(Side::Local));
    }
}

async fn websocket_init_many_frames_then_close_frame<R: Adapter>() {
    many_frames_then_close_frame::<R>(In::Init).await;
}

async fn websocket_handle_many_frames_then_close_frame<R: Adapter>() {
    many_frames_then_close_frame::<R>(In::Handle).await;
}

async fn websocket_info_many_frames_then_close_frame<R: Adapter>() {
    many_frames_then_close_frame::<R>(In::Info).await;
}

async fn many_frames_then_close_frame<R: Adapter>(callback: In) {
    for group in GROUPS {
        let commands: Commands = |reply| {
            send_many(reply)?;
            reply.close(CloseFrame::empty());
            Ok(())
        };
        let mut served = commanded::<R>(group, callback, commands).await;
        served.client.expect(b"\x81\x0AOne frame!\x82\x0BTwo frames!").await;
        served.expect_close(b"").await;
    }
}

/// Cowboy's process flag lets its supervisor end a connection. Here a server does, whatever a handler is
/// about.
async fn websocket_init_trap_exit_false<R: Adapter>() {
    let (listener, url) = listen::<R>().await;
    let server = Server::<R>::new(CONFIG);
    let handle = server.handle();
    let serving = spawn::<R, _>(server.serve(listener, |_| {
        Actor::new(Notes::default(), Accept::new(), |call, reply| {
            if let Call::Open = call {
                reply.pause();
            }
            Ok(())
        })
    }));
    let mut client = Raw(stream_to::<R>(&url).await);
    client.write(&request("", b"")).await.unwrap();
    Answer::parse(&client.read_until(b"\r\n\r\n").await.unwrap());
    let Shutdown { closed, aborted, .. } = handle.shutdown(Duration::ZERO).await;
    assert_eq!((closed, aborted), (0, 1));
    serving.await.unwrap();
    client.read_to_end().await.unwrap();
}

/// Nothing is read before the handler resumes, and what was sent meanwhile is there then.
async fn websocket_active_false<R: Adapter>() {
    for group in GROUPS {
        let (gives, mut given) = mpsc::unbounded_channel();
        let act = move |call: Call<'_>, reply: &mut Reply<'_, u32>| match call {
            Call::Open => {
                reply.pause();
                Ok(gives.send(reply.address())?)
            }
            Call::Info(0) => Ok(reply.send("paused")?),
            Call::Info(_) => {
                reply.resume();
                Ok(())
            }
            call => echo(call, reply),
        };
        let mut served = Served::<R>::open(CONFIG, in_group(group, act)).await;
        let address = given.recv().await.unwrap();
        let read = served.read();
        let large = vec![0; 100_000];
        let text = "Not received until the handler enables active again.";
        let frames = [wire::frame(Role::Server, BINARY, &large), wire::frame(Role::Server, TEXT, text)];
        served.client.write(&frames.concat()).await.unwrap();
        // By the second answer, the task has been through a whole turn.
        for _ in 0..2 {
            address.send(0).unwrap();
            served.client.expect(b"\x81\x06paused").await;
        }
        assert_eq!(
            (served.read(), &served.notes.get()[2..]),
            (read, &["info 0", "info 0"].map(String::from)[..])
        );
        address.send(1).unwrap();
        served.client.expect(&wire::frame(Role::Client, BINARY, &large)).await;
        served.client.expect(&wire::frame(Role::Client, TEXT, text)).await;
        served.close().await;
    }
}

/// Echoes, and turns compression off or on behind each.
fn flip() -> impl FnMut(Call<'_>, &mut Reply<'_, u32>) -> Outcome {
    let mut on = true;
    move |call, reply| {
        if let Call::Message(message) = call {
            reply.send(message)?;
            on = !on;
            reply.set_compression(on);
        }
        Ok(())
    }
}

async fn websocket_deflate_false<R: Adapter>() {
    for group in GROUPS {
        // Cowboy compresses messages of any length.
        let config = CONFIG.compression(Some(Compression::new().min_size(0)));
        let mut served = Served::<R>::new(config, Accept::new(), in_group(group, flip())).await;
        let extension = "permessage-deflate; server_no_context_takeover";
        let answer = served.ask(&request(&format!("Sec-WebSocket-Extensions: {extension}\r\n"), b"")).await;
        assert_eq!(answer.header("sec-websocket-extensions"), Some(extension));
        let compressed = b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00";
        // The client may refer to what it has said; it sends the same each time.
        let hello = b"\xC1\x87\x11\x22\x33\x44\xE3\x6A\xFE\x8D\xD8\x25\x33";
        for back in [&compressed[..], b"\x81\x05Hello", compressed] {
            served.client.write(hello).await.unwrap();
            served.client.expect(back).await;
        }
        served.close().await;
    }
}

async fn websocket_deflate_ignore_if_not_negotiated<R: Adapter>() {
    for group in GROUPS {
        let config = CONFIG.compression(Some(Compression::new().min_size(0)));
        let mut served = Served::<R>::open(config, in_group(group, flip())).await;
        for _ in 0..10 {
            served.client.write(&wire::frame(Role::Server, TEXT, "Hello.")).await.unwrap();
            served.client.expect(b"\x81\x06Hello.").await;
        }
        served.close().await;
    }
}

async fn websocket_set_options_idle_timeout<R: Adapter>() {
    const NEVER: Config = CONFIG.keepalive(Keepalive::Off).idle_timeout(None);
    const SOON: Config = NEVER.idle_timeout(Some(Duration::from_millis(20)));
    for group in GROUPS {
        let mut served = open::<R>(group, NEVER, |call, reply| {
            if let Call::Message(_) = call {
                reply.set_options(&SOON);
            }
            Ok(())
        })
        .await;
        served.expect_nothing().await;
        served.client.write(&wire::frame(Role::Server, TEXT, "idle_timeout_short")).await.unwrap();
        let end = served.expect_close(b"\x03\xE8").await;
        assert_eq!(end.cause(), &Cause::TimedOut(Timer::Idle));
    }
}

async fn websocket_set_options_max_frame_size<R: Adapter>() {
    const SMALL: Config = CONFIG.max_message(1000);
    for group in GROUPS {
        let mut served = open::<R>(group, CONFIG, |call, reply| match call {
            Call::Message(Message::Text(_)) => {
                reply.set_options(&SMALL);
                Ok(())
            }
            call => echo(call, reply),
        })
        .await;
        let sized = |receiver, len| wire::frame(receiver, BINARY, vec![0; len]);
        served.client.write(&sized(Role::Server, 1_000_000)).await.unwrap();
        served.client.expect(&sized(Role::Client, 1_000_000)).await;
        served.client.write(&wire::frame(Role::Server, TEXT, "max_frame_size_small")).await.unwrap();
        served.client.write(&sized(Role::Server, 1000)).await.unwrap();
        served.client.expect(&sized(Role::Client, 1000)).await;
        // The header is enough; what follows would only cause a reset.
        served.client.write(&sized(Role::Server, 1001)[..8]).await.unwrap();
        let end = served.expect_last(b"\x88\x02\x03\xF1").await;
        let too_big = ProtocolError::MessageTooBig { len: 1001, max: 1000 };
        assert_eq!(end.cause(), &Cause::Violation(too_big));
    }
}

/// A handler that keeps what it wants to know at the end: that is where Cowboy's `shutdown_reason` and
/// `req_filter` go.
struct Keeps {
    group: Group,
    /// Of the request.
    path: Option<String>,
    reason: Option<&'static str>,
    tells: mpsc::UnboundedSender<(Option<String>, Option<&'static str>, Disconnect)>,
}

impl Handler for Keeps {
    type Info = &'static str;

    async fn init(&mut self, request: Request) -> Decision {
        self.path = Some(request.path().into());
        Accept::new().into()
    }

    fn open(&mut self, reply: &mut Reply<'_, &'static str>) -> Outcome {
        if self.group == Group::H1Hibernate {
            reply.hibernate();
        }
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, &'static str>) -> Outcome {
        self.reason = Some(if message.as_text() == Some("enough") { "it had enough" } else { "other" });
        reply.stop();
        Ok(())
    }

    fn close(&mut self, disconnect: &Disconnect) {
        self.tells.send((self.path.take(), self.reason, disconnect.clone())).unwrap();
    }
}

async fn websocket_shutdown_reason<R: Adapter>() {
    for group in GROUPS {
        let (tells, mut told) = mpsc::unbounded_channel();
        let keeps = Keeps { group, path: None, reason: None, tells };
        let mut served = Served::<R>::with(CONFIG, keeps, Notes::default()).await;
        served.ask(&request("", b"")).await;
        served.client.write(&wire::frame(Role::Server, TEXT, "enough")).await.unwrap();
        served.client.expect(b"\x88\x02\x03\xE8").await;
        served.client.write(&wire::close(Role::Server, 1000, "")).await.unwrap();
        served.client.expect_end().await;
        let end = served.outcome().await.unwrap();
        assert_eq!(told.recv().await.unwrap(), (Some("/chat".into()), Some("it had enough"), end));
    }
}

/// Cowboy's `remote`.
async fn websocket_terminate_close_normal<R: Adapter>() {
    for group in GROUPS {
        let end = open::<R>(group, CONFIG, idle).await.close().await;
        assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
        assert_eq!((end.received(), end.sent()), (Some(&CloseFrame::empty()), Some(&CloseFrame::empty())));
    }
}

/// Cowboy's `{remote, 4000, <<"test-close">>}`.
async fn websocket_terminate_close_reason<R: Adapter>() {
    for group in GROUPS {
        let mut served = open::<R>(group, CONFIG, idle).await;
        served.client.write(&wire::close(Role::Server, 4000, "test-close")).await.unwrap();
        served.client.expect(b"\x88\x02\x0F\xA0").await;
        served.client.expect_end().await;
        let end = served.end().await;
        assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
        let received = CloseFrame::new(CloseCode::new(4000).unwrap(), "test-close").unwrap();
        assert_eq!(end.received(), Some(&received));
    }
}

/// Cowboy's `{error, closed}`.
async fn websocket_terminate_socket_close<R: Adapter>() {
    for group in GROUPS {
        let end = open::<R>(group, CONFIG, idle).await.end().await;
        assert_eq!((end.cause(), end.received(), end.sent()), (&Cause::Lost, None, None));
    }
}

/// Nothing is kept of a request but what the handler keeps.
async fn websocket_terminate_req_filter<R: Adapter>() {
    for group in GROUPS {
        let (tells, mut told) = mpsc::unbounded_channel();
        let keeps = Keeps { group, path: None, reason: None, tells };
        let mut served = Served::<R>::with(CONFIG, keeps, Notes::default()).await;
        served.ask(&request("", b"")).await;
        served.client.write(b"\x88\x80\0\0\0\0").await.unwrap();
        served.client.expect(b"\x88\0").await;
        let end = served.outcome().await.unwrap();
        assert_eq!(end.cause(), &Cause::Closed(Side::Remote));
        assert_eq!(told.recv().await.unwrap(), (Some("/chat".into()), None, end));
    }
}
