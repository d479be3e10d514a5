//! Messages that say which they are, and whether they are whole.

use std::sync::LazyLock;

use sansocket_bench::records;
use sansocket_tokio::{Kind, Message};

/// Connection, sequence number and checksum, in eight hexadecimal digits each.
const HEAD: usize = 24;
const MIN: usize = HEAD;
pub const MAX: usize = 16 << 10;
/// The first of a connection is no shorter, so that it is compressed and what that holds is there from then on.
const FIRST: usize = 1 << 10;

/// Records in JSON, and between them characters of two, three and four bytes.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let records = records::messages(1000, 80);
    records.iter().map(|it| String::from_utf8_lossy(it) + " Grüße aus Köln, 東京から, 🌊 ").collect()
});

/// Half of it is random, so that some of it compresses and some does not.
static BINARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = fastrand::Rng::with_seed(0);
    let mut byte = |index: u8| if rng.bool() { rng.u8(..) } else { index };
    (0..80_u8).flat_map(|_| (0..=255).chain(0..=255)).map(&mut byte).chain(TEXT.bytes()).collect()
});

/// A message, text and binary in turn, of any length up to [`MAX`], short ones more often.
pub fn make(connection: u32, sequence: u32, rng: &mut fastrand::Rng) -> Message<'static> {
    let min = if sequence == 0 { FIRST } else { MIN };
    let doublings = 1 + rng.u32(..10).min(rng.u32(..10));
    let len = rng.usize(min..=(min << doublings).min(MAX)) - HEAD;
    match kind(sequence) {
        Kind::Text => {
            let begin = boundary(rng.usize(..TEXT.len() - len));
            let body = &TEXT[begin..boundary(begin + len)];
            Message::text(head(connection, sequence, body.as_bytes()) + body)
        }
        Kind::Binary => {
            let begin = rng.usize(..BINARY.len() - len);
            let body = &BINARY[begin..begin + len];
            Message::binary([head(connection, sequence, body).as_bytes(), body].concat())
        }
    }
}

/// The sequence number, if this is a message as it was sent on this connection.
pub fn check(connection: u32, message: &Message<'_>) -> Option<u32> {
    let (head, body) = message.as_bytes().split_at_checked(HEAD)?;
    let sequence = u32::from_str_radix(str::from_utf8(&head[8..16]).ok()?, 16).ok()?;
    let is_right =
        head == self::head(connection, sequence, body).as_bytes() && message.kind() == kind(sequence);
    is_right.then_some(sequence)
}

fn kind(sequence: u32) -> Kind {
    if sequence.is_multiple_of(2) { Kind::Text } else { Kind::Binary }
}

fn head(connection: u32, sequence: u32, body: &[u8]) -> String {
    let head = format!("{connection:08x}{sequence:08x}");
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(head.as_bytes());
    checksum.update(body);
    format!("{head}{:08x}", checksum.finalize())
}

/// The next place between characters, at or before this one.
fn boundary(mut index: usize) -> usize {
    while !TEXT.is_char_boundary(index) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_of_this_connection_as_it_was_sent_is_right() {
        let mut rng = fastrand::Rng::with_seed(1);
        for sequence in 0..1000 {
            let message = make(7, sequence, &mut rng);
            assert!((MIN..=MAX).contains(&message.len()), "{}", message.len());
            assert_eq!(check(7, &message), Some(sequence));
            assert_eq!(check(8, &message), None);
            let mut bytes = message.as_bytes().to_vec();
            assert_eq!(check(7, &Message::binary(&bytes)).is_some(), message.kind() == Kind::Binary);
            if message.kind() == Kind::Binary {
                bytes[rng.usize(..message.len())] ^= 1;
                assert_eq!(check(7, &Message::binary(&bytes)), None);
                assert_eq!(check(7, &Message::binary(&message.as_bytes()[..message.len() - 1])), None);
            }
        }
    }
}
