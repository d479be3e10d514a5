//! Settings of compression from the fuzzer's bytes.

use arbitrary::Arbitrary;
use sansocket::deflate::{Params, Strategy};
use sansocket::extension::{Extension, Negotiated, WindowBits};
use sansocket::{Compression, DeflateFrameFragments};

#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Coding {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: u8,
    client_bits: u8,
    level: u8,
    strategy: u8,
    min_size: u8,
    extension: u8,
    fragments: u8,
}

impl Coding {
    pub fn window(&self) -> WindowBits {
        bits(self.server_bits)
    }

    pub fn params(&self) -> Params {
        Params::new().window(self.window()).level(self.level % 10).strategy(self.strategy())
    }

    pub fn compression(&self) -> Compression {
        let fragments = match self.fragments % 3 {
            0 => DeflateFrameFragments::Auto,
            1 => DeflateFrameFragments::PerFrame,
            _ => DeflateFrameFragments::PerMessage,
        };
        Compression::new()
            .server_no_context_takeover(self.server_no_context_takeover)
            .client_no_context_takeover(self.client_no_context_takeover)
            .server_max_window_bits(bits(self.server_bits))
            .client_max_window_bits(bits(self.client_bits))
            .level(self.level % 10)
            .strategy(self.strategy())
            .min_size(usize::from(self.min_size & 0x3f))
            .binary(self.min_size & 0x40 == 0)
            .text(self.min_size & 0x80 == 0)
            .deflate_frame_fragments(fragments)
    }

    pub fn negotiated(&self) -> Negotiated {
        let mut agreed = Negotiated::new(match self.extension % 3 {
            0 => Extension::PermessageDeflate,
            1 => Extension::XWebkitDeflateFrame,
            _ => Extension::DeflateFrame,
        });
        agreed.server_no_context_takeover = self.server_no_context_takeover;
        agreed.client_no_context_takeover = self.client_no_context_takeover;
        agreed.server_max_window_bits = bits(self.server_bits);
        agreed.client_max_window_bits = bits(self.client_bits);
        agreed
    }

    fn strategy(&self) -> Strategy {
        match self.strategy % 4 {
            0 => Strategy::Default,
            1 => Strategy::Filtered,
            2 => Strategy::HuffmanOnly,
            _ => Strategy::Rle,
        }
    }
}

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(8 + bits % 8).expect("8 to 15")
}
