//! Frames, written and read without any of the contestants.

/// What the client's frames are masked with.
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;

/// RSV1: the message is compressed.
pub const COMPRESSED: u8 = 0x40;

/// A message in one frame, as a client sends it.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The same, as a server does.
pub fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0, payload.len());
    frame.extend(payload);
    frame
}

fn header(opcode: u8, mask: u8, len: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..126), _) => header.push(mask | len),
        (_, Ok(len)) => {
            header.push(mask | 126);
            header.extend(len.to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header
}

/// The payload of the one frame that a server wrote, which must be whole and compressed.
pub fn payload(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[0] & 0xF0, 0x80 | COMPRESSED, "FIN and RSV1");
    let head = match frame[1] {
        127 => 10,
        126 => 4,
        len => {
            assert!(len < 126, "no mask");
            2
        }
    };
    &frame[head..]
}
