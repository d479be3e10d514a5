//! What is sent without being queued, however much of it the transport takes, is what another connection queues.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sansocket::{CloseCode, Connection, Message, Role};
use sansocket_fuzz::compression::Coding;
use sansocket_fuzz::settings::{Settings, scaled};
use sansocket_tests::{START, compressed, open, receive, wire};

#[derive(Arbitrary, Debug)]
enum Act {
    /// `written`: so many bytes, or nothing, as it is dropped.
    Direct {
        text: bool,
        owned: bool,
        len: u16,
        more: bool,
        written: Option<u16>,
    },
    Send {
        len: u16,
    },
    Transmitted(u16),
    Ping,
    Receive {
        opcode: u8,
    },
    SetOptions(Settings),
    Compress(bool),
    Close,
}

fuzz_target!(|input: (bool, Settings, Option<Coding>, Vec<Act>)| {
    let (client, settings, coding, acts) = input;
    let role = if client { Role::Client } else { Role::Server };
    let [mut direct, mut queued] = [(); 2].map(|()| {
        let config = settings.config().stats(true);
        match &coding {
            None => open(role, &config),
            Some(coding) => {
                compressed::agreed(role, &config.compression(Some(coding.compression())), coding.negotiated())
            }
        }
    });
    // What is queued may be 64 KiB each.
    for act in acts.iter().take(16) {
        if let Act::Direct { text, owned, len, more, written } = *act {
            // From 16 KiB on it makes a difference.
            let len = scaled(len) + if more { 16 * 1024 } else { 0 };
            let bytes = vec![b'x'; len];
            let message = || match text {
                true => Message::from(std::str::from_utf8(&bytes).unwrap()),
                false => Message::from(&bytes[..]),
            };
            let message = || if owned { message().into_owned() } else { message() };
            let written = send_direct(&mut direct, message(), written.map(scaled));
            let result = queued.send(message());
            assert_eq!(written.is_ok(), result.is_ok());
            queued.transmitted(written.unwrap_or(0));
        } else {
            let results = [&mut direct, &mut queued].map(|connection| apply(connection, act));
            assert_eq!(results[0], results[1]);
        }
        assert_eq!(direct.buffered(), queued.buffered());
        assert_eq!(direct.transmit().to_vec(), queued.transmit().to_vec());
        assert_eq!(direct.stats(), queued.stats());
        assert_eq!((direct.state(), direct.can_send()), (queued.state(), queued.can_send()));
    }
    assert_eq!(sansocket_tests::take_output(&mut direct), sansocket_tests::take_output(&mut queued));
});

/// How much of it was written.
fn send_direct(
    connection: &mut Connection,
    message: Message<'_>,
    most: Option<usize>,
) -> Result<usize, sansocket::SendError> {
    let direct = connection.send_direct(message)?;
    assert!(direct.slices().all(|slice| !slice.is_empty()));
    let shown = direct.slices().map(<[u8]>::len).sum();
    let Some(most) = most else { return Ok(0) };
    // The last sizes are everything.
    let written = if most > 60_000 { shown } else { most.min(shown) };
    direct.written(written);
    Ok(written)
}

/// What becomes of the rest is the same for both.
fn apply(connection: &mut Connection, act: &Act) -> usize {
    match act {
        Act::Direct { .. } => unreachable!("done by the caller"),
        Act::Send { len } => usize::from(connection.send(vec![7; scaled(*len)]).is_ok()),
        Act::Transmitted(n) => {
            let n = scaled(*n).min(connection.transmit().len());
            connection.transmitted(n);
            n
        }
        Act::Ping => usize::from(connection.ping(b"ping").is_ok()),
        Act::Receive { opcode } => {
            let (events, left) = receive(connection, START, &wire::frame(connection.role(), *opcode, "ab"));
            events.len() + left
        }
        Act::SetOptions(settings) => {
            connection.set_options(START, &settings.config());
            0
        }
        Act::Compress(on) => {
            connection.set_compression(*on);
            0
        }
        Act::Close => usize::from(connection.close(START, CloseCode::NORMAL_CLOSURE).is_ok()),
    }
}
