//! Frame headers against the figure of §5.2, field by field; and what is written is what is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sansocket::ProtocolError;
use sansocket::frame::{Header, MAX_HEADER, Opcode};

fuzz_target!(|data: &[u8]| {
    // The first wrong byte decides, and what is behind a header makes no difference.
    for end in 0..=data.len().min(MAX_HEADER + 2) {
        let decoded = Header::decode(&data[..end]);
        assert_eq!(decoded, naive(&data[..end]), "{end} bytes");
        if let Ok(Some((header, len))) = decoded {
            assert_eq!(*header.encode(), data[..len], "lengths are minimal, so there is one way to write it");
        }
    }
    if let Some(fields) = data.first_chunk() {
        written(fields);
    }
});

/// The shortest bytes that mean these fields, if they may be sent.
fn written(&[first, masked, shift, k1, k2, k3, k4, ref len @ ..]: &[u8; 15]) {
    let Some(opcode) = Opcode::from_bits(first & 0x0F) else { return };
    let header = Header {
        fin: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        mask: (masked & 1 != 0).then_some([k1, k2, k3, k4]),
        // Short ones as often as long ones.
        len: u64::from_be_bytes(*len) >> (shift % 64),
        opcode,
    };
    let bytes = header.encode();
    let least = match header.len {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    };
    assert_eq!(bytes.len(), least + if header.mask.is_some() { 4 } else { 0 });
    match Header::decode(&bytes) {
        Ok(read) => assert_eq!(read, Some((header, bytes.len()))),
        Err(ProtocolError::LengthOverflow) => assert!(header.len >> 63 != 0),
        Err(ProtocolError::CloseOfOneByte) => assert!(opcode == Opcode::Close && header.len == 1),
        Err(ProtocolError::FragmentedControl) => assert!(opcode.is_control() && !header.fin),
        Err(ProtocolError::ControlTooLong) => assert!(opcode.is_control() && header.len > 125),
        Err(error) => panic!("{header:?}: {error}"),
    }
}

/// All that can be wrong, each with the byte at which it shows, in the order of the bytes.
fn naive(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
    let mut padded = [0; MAX_HEADER];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let all = padded.iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
    // The figure's bits, from the first.
    let bits = |at: usize, count: usize| all >> (8 * MAX_HEADER - at - count) & ((1 << count) - 1);
    let is = |at| bits(at, 1) == 1;

    let (number, short) = (bits(4, 4), bits(9, 7));
    let control = number >= 8;
    let (len, key) = match short {
        126 => (bits(16, 16), 32),
        127 => (bits(16, 64), 80),
        _ => (short, 16),
    };
    let reserved = ProtocolError::ReservedOpcode(u8::try_from(number).unwrap());
    let faults = [
        (0, matches!(number, 3..8 | 11..), reserved),
        (0, control && !is(0), ProtocolError::FragmentedControl),
        (1, control && short > 125, ProtocolError::ControlTooLong),
        (1, number == 8 && short == 1, ProtocolError::CloseOfOneByte),
        (2, short == 127 && is(16), ProtocolError::LengthOverflow),
        (3, short == 126 && len < 126, ProtocolError::NonMinimalLength),
        (7, short == 127 && len < 0x1_0000, ProtocolError::NonMinimalLength),
    ];
    if let Some((.., error)) = faults.into_iter().find(|(at, wrong, _)| *wrong && *at < bytes.len()) {
        return Err(error);
    }
    let end = key / 8 + if is(8) { 4 } else { 0 };
    if bytes.len() < end || bytes.len() < 2 {
        return Ok(None);
    }
    let opcode = match number {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        _ => Opcode::Pong,
    };
    let header = Header {
        fin: is(0),
        rsv1: is(1),
        rsv2: is(2),
        rsv3: is(3),
        opcode,
        mask: is(8).then(|| u32::try_from(bits(key, 32)).unwrap().to_be_bytes()),
        len: u64::try_from(len).unwrap(),
    };
    Ok(Some((header, end)))
}
