//! Compression beside its limit, the backends by their own API, and other libraries. Prints CSV, for `report`.
//!
//! ```sh
//! cargo run --release --bin compression                    # all of it, on miniz_oxide
//! cargo run --release --features peers --bin compression   # on zlib-rs, and other libraries
//! compression SIZE…                                        # messages of these sizes only
//! compression once CONTESTANT compress|decompress SIZE LEVEL takeover|anew COUNT
//! ```
//!
//! The last one does so many messages and prints nothing, for `count` and profilers.

use std::process::ExitCode;
use std::time::Duration;

use sansocket_bench::codecs::{Messages, Ours, OursInPieces, RawMiniz, RawZlib, TAIL};
use sansocket_bench::connection::Server;
use sansocket_bench::rounds::{Work, rounds};
use sansocket_bench::{Compress, Decompress, Params, records, wire};
use zlib_rs::{Inflate, InflateFlush};

const SIZES: [usize; 4] = [64, 512, 4096, 65536];
const LEVELS: [u8; 2] = [1, 6];

/// For one direction of one cell.
const TIME: Duration = Duration::from_secs(4);

/// The backend of this build.
const BACKEND: &str = if cfg!(feature = "zlib-rs") { "zlib-rs" } else { "miniz_oxide" };

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match &args[..] {
        ["once", rest @ ..] => once(rest),
        [] => {
            table(&SIZES);
            Some(())
        }
        sizes => named(sizes),
    };
    if done.is_none() {
        eprintln!("usage: compression [SIZE…]");
        eprintln!("       compression once CONTESTANT compress|decompress SIZE LEVEL takeover|anew COUNT");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn named(sizes: &[&str]) -> Option<()> {
    let sizes: Vec<usize> = sizes.iter().map(|size| size.parse().ok()).collect::<Option<_>>()?;
    table(&sizes);
    Some(())
}

/// What the contestants of a cell are given.
struct Cell {
    params: Params,
    messages: Messages,
    /// The messages, compressed by the backend of this build.
    payloads: Messages,
    frames: Messages,
    text_frames: Messages,
}

impl Cell {
    fn new(size: usize, params: Params) -> Self {
        let count = if size > 32 * 1024 { 40 } else { 240 };
        let messages: Messages = records::messages(size, count).into();
        let mut backend: Box<dyn Compress> = if cfg!(feature = "zlib-rs") {
            Box::new(RawZlib::new(&messages, params))
        } else {
            Box::new(RawMiniz::new(&messages, params))
        };
        let payloads: Messages =
            (0..count).map(|index| collect(|sink| backend.compress(index, sink))).collect();
        let frames = |opcode| {
            payloads.iter().map(|payload| wire::masked(wire::COMPRESSED | opcode, payload)).collect()
        };
        Self { params, messages, frames: frames(wire::BINARY), text_frames: frames(wire::TEXT), payloads }
    }
}

type Make<'c, C> = Option<Box<dyn FnOnce() -> Box<C> + 'c>>;

struct Contestant<'c> {
    name: &'static str,
    compress: Make<'c, dyn Compress>,
    decompress: Make<'c, dyn Decompress>,
    /// What it sends are frames.
    framed: bool,
}

/// One that does both.
macro_rules! contestant {
    ($name:literal, framed: $framed:literal, $compress:expr, $decompress:expr) => {
        Contestant {
            name: $name,
            compress: Some(Box::new(move || Box::new($compress))),
            decompress: Some(Box::new(move || Box::new($decompress))),
            framed: $framed,
        }
    };
}

fn contestants(cell: &Cell) -> Vec<Contestant<'_>> {
    let Cell { params, messages, payloads, frames, text_frames } = cell;
    let params = *params;
    let mut all = vec![
        contestant!(
            "raw miniz_oxide",
            framed: false,
            RawMiniz::new(messages, params),
            RawMiniz::new(payloads, params)
        ),
        contestant!(
            "raw zlib-rs",
            framed: false,
            RawZlib::new(messages, params),
            RawZlib::new(payloads, params)
        ),
    ];
    if cfg!(feature = "zlib-rs") {
        all.reverse();
    }
    all.extend([
        contestant!(
            "sansocket deflate",
            framed: false,
            Ours::new(messages, params),
            Ours::new(payloads, params)
        ),
        Contestant {
            name: "sansocket deflate in pieces",
            compress: None,
            decompress: Some(Box::new(move || Box::new(OursInPieces(Ours::new(payloads, params))))),
            framed: false,
        },
        contestant!(
            "sansocket Connection",
            framed: true,
            Server::sending(messages, params, false),
            Server::receiving(frames, params)
        ),
        contestant!(
            "sansocket Connection text",
            framed: true,
            Server::sending(messages, params, true),
            Server::receiving(text_frames, params)
        ),
    ]);
    // Some of them leave the shortest as they are.
    #[cfg(feature = "peers")]
    if messages[0].len() >= 512 {
        use sansocket_bench::peers::{Sockudo, Wtx, Yawc};

        all.push(contestant!(
            "sockudo-ws",
            framed: true,
            Sockudo::new(messages, params),
            Sockudo::new(frames, params)
        ));
        all.push(contestant!("yawc", framed: true, Yawc::new(messages, params), Yawc::new(frames, params)));
        if !params.takeover {
            all.push(contestant!("wtx", framed: true, Wtx::new(messages, params), Wtx::new(frames, params)));
        }
    }
    all
}

fn table(sizes: &[usize]) {
    println!("family,cell,contestant,metric,round,value");
    for &size in sizes {
        for takeover in [true, false] {
            for level in LEVELS {
                let context = if takeover { "contexts kept" } else { "each anew" };
                let cell = Cell::new(size, Params { level, takeover });
                rows(&format!("{size} B level {level} {context}"), &cell);
            }
        }
    }
}

fn rows(name: &str, cell: &Cell) {
    let mut compress: Vec<(_, Work<'_>)> = Vec::new();
    let mut decompress: Vec<(_, Work<'_>)> = Vec::new();
    for contestant in contestants(cell) {
        let who = contestant.name;
        if let Some(make) = contestant.compress {
            let mut codec = make();
            let left = verify_compress(who, contestant.framed, &mut *codec, cell);
            println!("compress on {BACKEND},{name},{who},% of the size,0,{left:.2}");
            compress.push((who, Box::new(move |index| codec.compress(index, &mut |bytes| touch(bytes)))));
        }
        if let Some(make) = contestant.decompress {
            let mut codec = make();
            verify_decompress(who, &mut *codec, cell);
            decompress.push((who, Box::new(move |index| codec.decompress(index, &mut |bytes| touch(bytes)))));
        }
    }
    for (direction, work) in [("compress", compress), ("decompress", decompress)] {
        let (names, mut work): (Vec<_>, Vec<_>) = work.into_iter().unzip();
        for (round, nanos) in rounds(&mut work, cell.messages.len(), TIME).iter().enumerate() {
            for (who, nanos) in names.iter().zip(nanos) {
                println!("{direction} on {BACKEND},{name},{who},µs,{round},{:.3}", nanos / 1000.0);
            }
        }
    }
}

fn touch(bytes: &[u8]) {
    std::hint::black_box(bytes);
}

/// Goes through all messages once.
fn verify_decompress(name: &str, codec: &mut dyn Decompress, cell: &Cell) {
    for (index, message) in cell.messages.iter().enumerate() {
        let output = collect(|sink| codec.decompress(index, sink));
        assert!(&output == message, "{name}: message {index} is another");
    }
}

/// Goes through all messages once, and tells how much is left of them, in percent.
fn verify_compress(name: &str, framed: bool, codec: &mut dyn Compress, cell: &Cell) -> f64 {
    let mut inflate = Inflate::new(false, 15);
    let [mut plain, mut compressed] = [0, 0];
    for (index, message) in cell.messages.iter().enumerate() {
        let output = collect(|sink| codec.compress(index, sink));
        let payload = if framed { wire::payload(&output) } else { &output };
        if !cell.params.takeover {
            inflate.reset(false);
        }
        let mut inflated = vec![0; message.len() + 1];
        let before = inflate.total_out();
        let result = inflate.decompress(&[payload, &TAIL].concat(), &mut inflated, InflateFlush::SyncFlush);
        inflated.truncate(usize::try_from(inflate.total_out() - before).unwrap_or(usize::MAX));
        assert!(result.is_ok() && &inflated == message, "{name}: message {index} is another");
        plain += message.len();
        compressed += payload.len();
    }
    100.0 * compressed as f64 / plain as f64
}

fn collect(work: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
    let mut all = Vec::new();
    work(&mut |bytes| all.extend_from_slice(bytes));
    all
}

fn once(args: &[&str]) -> Option<()> {
    let [name, direction, size, level, context, count] = args else { return None };
    let takeover = match *context {
        "takeover" => true,
        "anew" => false,
        _ => return None,
    };
    let cell = Cell::new(size.parse().ok()?, Params { level: level.parse().ok()?, takeover });
    let contestant = contestants(&cell).into_iter().find(|contestant| contestant.name == *name)?;
    let indices = (0..cell.messages.len()).cycle().take(count.parse().ok()?);
    match *direction {
        "compress" => {
            let mut codec = contestant.compress?();
            indices.for_each(|index| codec.compress(index, &mut |bytes| touch(bytes)));
        }
        "decompress" => {
            let mut codec = contestant.decompress?();
            indices.for_each(|index| codec.decompress(index, &mut |bytes| touch(bytes)));
        }
        _ => return None,
    }
    Some(())
}
