//! The backends by their own API, as the limit, and `sansocket::deflate`.

use std::rc::Rc;

use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress as miniz_compress,
};
use miniz_oxide::inflate::stream::{InflateState, inflate as miniz_inflate};
use miniz_oxide::{DataFormat, MZFlush};
use sansocket::deflate::{self, Deflater, Inflater};
use sansocket::extension::WindowBits;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use crate::{Compress, Decompress, Params, Sink};

/// Behind each message, and not sent (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// More than any message here, compressed or not.
const ROOM: usize = 128 * 1024;

pub type Messages = Rc<[Vec<u8>]>;

/// `miniz_oxide`, which is asked for nothing but the bytes, in a buffer that has room for them.
pub struct RawMiniz {
    input: Messages,
    params: Params,
    deflate: Box<CompressorOxide>,
    inflate: Box<InflateState>,
    output: Vec<u8>,
}

impl RawMiniz {
    pub fn new(input: &Messages, params: Params) -> Self {
        let strategy = CompressionStrategy::Default;
        Self {
            input: input.clone(),
            params,
            deflate: Box::new(CompressorOxide::with_params(DataFormat::Raw, params.level, strategy, 15)),
            inflate: InflateState::new_boxed(DataFormat::Raw),
            output: vec![0; ROOM],
        }
    }
}

impl Compress for RawMiniz {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        let message = &self.input[index];
        let (status, taken, given) =
            miniz_compress(&mut self.deflate, message, &mut self.output, TDEFLFlush::Sync);
        assert!(status == TDEFLStatus::Okay && taken == message.len());
        sink(stripped(&self.output[..given]));
        if !self.params.takeover {
            self.deflate.reset();
        }
    }
}

impl Decompress for RawMiniz {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        let mut given = 0;
        for mut part in [&self.input[index], &TAIL[..]] {
            // It hands out no more than its window at a time.
            while !part.is_empty() {
                let result = miniz_inflate(&mut self.inflate, part, &mut self.output[given..], MZFlush::Sync);
                assert!(result.status.is_ok());
                part = &part[result.bytes_consumed..];
                given += result.bytes_written;
            }
        }
        sink(&self.output[..given]);
        if !self.params.takeover {
            // The least that forgets: the window is not zeroed.
            self.inflate.reset_as(miniz_oxide::inflate::stream::MinReset);
        }
    }
}

/// `zlib-rs` in the same way.
pub struct RawZlib {
    input: Messages,
    params: Params,
    deflate: Deflate,
    inflate: Inflate,
    output: Vec<u8>,
}

impl RawZlib {
    pub fn new(input: &Messages, params: Params) -> Self {
        Self {
            input: input.clone(),
            params,
            deflate: Deflate::new(i32::from(params.level), false, 15),
            inflate: Inflate::new(false, 15),
            output: vec![0; ROOM],
        }
    }
}

impl Compress for RawZlib {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        let before = self.deflate.total_out();
        let result = self.deflate.compress(&self.input[index], &mut self.output, DeflateFlush::SyncFlush);
        assert!(result.is_ok());
        let given = usize::try_from(self.deflate.total_out() - before).unwrap_or(usize::MAX);
        sink(stripped(&self.output[..given]));
        if !self.params.takeover {
            self.deflate.reset();
        }
    }
}

impl Decompress for RawZlib {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        let mut given = 0;
        for part in [&self.input[index], &TAIL[..]] {
            let before = self.inflate.total_out();
            let result = self.inflate.decompress(part, &mut self.output[given..], InflateFlush::SyncFlush);
            assert!(result.is_ok());
            given += usize::try_from(self.inflate.total_out() - before).unwrap_or(usize::MAX);
        }
        sink(&self.output[..given]);
        if !self.params.takeover {
            self.inflate.reset(false);
        }
    }
}

fn stripped(output: &[u8]) -> &[u8] {
    output.strip_suffix(&TAIL).unwrap_or(output)
}

/// `sansocket::deflate`, on the backend of this build.
pub struct Ours {
    input: Messages,
    params: Params,
    deflater: Deflater,
    inflater: Inflater,
    output: Vec<u8>,
}

impl Ours {
    pub fn new(input: &Messages, params: Params) -> Self {
        Self {
            input: input.clone(),
            params,
            deflater: Deflater::new(&deflate::Params::new().level(params.level)),
            inflater: Inflater::new(WindowBits::MAX),
            output: Vec::new(),
        }
    }
}

impl Compress for Ours {
    fn compress(&mut self, index: usize, sink: Sink<'_>) {
        self.output.clear();
        self.deflater.finish(&self.input[index], &mut self.output);
        sink(&self.output);
        if !self.params.takeover {
            self.deflater.reset();
        }
    }
}

impl Decompress for Ours {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        match self.inflater.message(&self.input[index], usize::MAX) {
            Ok(message) => sink(&message),
            Err(error) => panic!("{error}"),
        }
        if !self.params.takeover {
            self.inflater.reset();
        }
    }
}

/// The same with the output shown piece by piece.
pub struct OursInPieces(pub Ours);

impl Decompress for OursInPieces {
    fn decompress(&mut self, index: usize, sink: Sink<'_>) {
        let Ours { input, inflater, params, .. } = &mut self.0;
        let mut payload = &input[index][..];
        loop {
            match inflater.inflate(&mut payload) {
                Ok([]) => break,
                Ok(piece) => sink(piece),
                Err(error) => panic!("{error}"),
            }
        }
        if let Err(error) = inflater.finish() {
            panic!("{error}");
        }
        if !params.takeover {
            inflater.reset();
        }
    }
}
