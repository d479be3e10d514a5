//! A second opinion on HTTP heads, and the arithmetic of the opening handshake.

/// A head taken apart: the first line's words, then names in lower case and values.
#[derive(Debug)]
pub struct Head<'h> {
    line: Vec<String>,
    fields: Vec<(String, &'h [u8])>,
    /// What is behind its empty line.
    pub rest: &'h [u8],
}

impl<'h> Head<'h> {
    /// The first head in `bytes`, behind empty lines.
    pub fn parse(mut bytes: &'h [u8]) -> Option<Self> {
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        // A reason phrase may be anything.
        let line = String::from_utf8_lossy(lines.next()?).splitn(3, ' ').map(str::to_owned).collect();
        let fields = lines.map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
            Some((name, trim(&line[colon + 1..])))
        });
        Some(Self { line, fields: fields.collect::<Option<_>>()?, rest })
    }

    /// The words of the first line.
    pub fn words(&self) -> Vec<&str> {
        self.line.iter().map(|word| &word[..]).collect()
    }

    pub fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'h [u8]> + 'n {
        self.fields.iter().filter(move |(have, _)| have == name).map(|(_, value)| *value)
    }

    /// The value, if there is exactly one field of this name.
    pub fn only(&self, name: &str) -> Option<&'h [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The elements of all lists of this name, in lower case.
    pub fn list(&self, name: &str) -> Vec<Vec<u8>> {
        let elements = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        elements.map(|element| element.trim_ascii().to_ascii_lowercase()).filter(|e| !e.is_empty()).collect()
    }

    /// Whether the names are all tokens, and names and values in plain ASCII.
    pub fn is_plain(&self) -> bool {
        self.fields.iter().all(|(name, value)| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && value.iter().all(|byte| matches!(byte, b' '..=b'~'))
        })
    }
}

/// Whether `key` is the base64 of 16 bytes (§4.1).
pub fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// What belongs to `key` in `Sec-WebSocket-Accept` (§4.2.2).
pub fn accept(key: &[u8]) -> String {
    base64(&sha1(&[key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat()))
}

fn base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).flat_map(|group| {
        let bits =
            group.iter().chain([0, 0].iter()).take(3).fold(0, |bits, byte| (bits << 8) | usize::from(*byte));
        let digit = move |i: usize| if i <= group.len() { digits[(bits >> (18 - 6 * i)) & 63] } else { b'=' };
        (0..4).map(digit)
    });
    groups.map(char::from).collect()
}

/// FIPS 180-4 §6.1.
fn sha1(message: &[u8]) -> Vec<u8> {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(u64::try_from(message.len()).unwrap() * 8).to_be_bytes());
    let mut h = [0x6745_2301_u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    for block in padded.as_chunks::<64>().0 {
        let mut w: Vec<_> = block.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
        for t in 16..80 {
            w.push((w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = h;
        for (t, word) in w.into_iter().enumerate() {
            let (f, k) = match t {
                0..20 => ((b & c) | (!b & d), 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = [a.rotate_left(5), f, e, k, word].into_iter().fold(0_u32, u32::wrapping_add);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, word) in h.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(word);
        }
    }
    h.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Without the white space that may stand around a value: not all that ASCII has (RFC 9110 §5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    #[test]
    fn section_1_3_example() {
        assert_eq!(super::accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
