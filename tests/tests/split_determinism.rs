//! Where a stream is cut, and when events are taken and output is written, makes no difference: the same
//! events, the same end, and the same bytes out. For one schedule of writes, that is; for two, one of the
//! Pings that were answered one by one may be answered by the answer to a later one (§5.5.3).
//!
//! Each stream of `sansocket_tests::streams` comes byte by byte, cut at every place, at every two, in every
//! way if it is short, and at random. All there is of each, and every schedule with nearly all of it, takes
//! most of an hour on one core:
//!
//! ```sh
//! SANSOCKET_LONG=1 cargo test -p sansocket-tests --test split_determinism
//! ```
#![cfg(not(miri))]

use sansocket::Event;
use sansocket_tests::compressed::DELIVERIES;
use sansocket_tests::is_long;
use sansocket_tests::pair::Dice;
use sansocket_tests::splits::{self, Offer, Record, Schedule, Writing, run_scheduled};
use sansocket_tests::streams::{Stream, corpus};
use sansocket_tests::wire::{self, PONG, Parsed};

/// The ways to hand bytes in.
const OFFERS: [Offer; 3] = [splits::offer, splits::offer_patiently, splits::offer_by_message];

/// How many events are taken when bytes have come.
const TAKES: [&[usize]; 4] = [&[usize::MAX], &[1], &[0], &[0, 2, 0, 0, 1, 5]];

/// Below this much output, no Ping goes unanswered.
const ROOM: usize = 4096;

#[test]
fn there_are_2000_streams_and_more() {
    let corpus = corpus();
    let count: usize = corpus.iter().map(|(_, streams)| streams.len()).sum();
    assert!(count >= 2000, "{count}");
    for (source, streams) in &corpus {
        let short = streams.iter().filter(|stream| stream.bytes.len() <= 14).count();
        let middle = streams.iter().filter(|stream| stream.bytes.len() <= 256).count();
        println!("{source}: {} streams, {middle} of up to 256 bytes, {short} of up to 14", streams.len());
    }
}

#[test]
fn hostile_streams_come_to_the_same_wherever_they_are_cut() {
    come_to_the_same("hostile");
}

#[test]
fn autobahns_streams_come_to_the_same_wherever_they_are_cut() {
    come_to_the_same("autobahn");
}

#[test]
fn seeds_of_fuzzing_come_to_the_same_wherever_they_are_cut() {
    come_to_the_same("seeds");
}

#[test]
fn what_fuzzing_found_comes_to_the_same_wherever_it_is_cut() {
    come_to_the_same("found");
}

#[test]
fn generated_streams_come_to_the_same_wherever_they_are_cut() {
    come_to_the_same("generated");
}

fn come_to_the_same(source: &str) {
    let mut runs = 0;
    for (_, streams) in corpus().iter().filter(|(name, _)| *name == source) {
        for stream in streams {
            let check = Check::new(stream);
            check.writings_make_no_difference();
            check.cuts_make_no_difference(&mut runs);
        }
    }
    println!("{source}: {runs} runs");
    assert!(runs > 100_000, "{runs} runs");
}

/// A stream, and what comes of it when it comes whole.
struct Check<'s> {
    stream: &'s Stream,
    dice: Dice,
    /// For each way to write and each delivery.
    expected: Vec<(Writing, [Record; 2])>,
}

impl<'s> Check<'s> {
    fn new(stream: &'s Stream) -> Self {
        let mut dice = Dice::new(u64::try_from(stream.bytes.len()).unwrap());
        let expected = writings(&mut dice, stream.bytes.len()).map(|writing| {
            let whole = DELIVERIES.map(|delivery| {
                let schedule = Schedule {
                    offer: OFFERS[0],
                    program: stream.program,
                    takes: TAKES[0],
                    writing: &writing,
                };
                run_scheduled(stream.connection(delivery), &stream.bytes, &[], &schedule)
            });
            (writing, whole)
        });
        let expected = expected.into();
        Self { stream, dice, expected }
    }

    /// Nor does the way messages are handed out.
    fn writings_make_no_difference(&self) {
        let (_, [first, _]) = &self.expected[0];
        for (writing, [whole, streaming]) in &self.expected {
            let name = &self.stream.name;
            assert_eq!(&streaming.as_whole(), whole, "{name}: in pieces, then whole; {writing:?}");
            let mut same = whole.clone();
            if first.output.len() >= ROOM {
                compare_output(first, whole, name);
                same.output.clone_from(&first.output);
            }
            assert_eq!(&same, first, "{name}: {writing:?}");
        }
    }

    fn cuts_make_no_difference(mut self, runs: &mut usize) {
        let len = self.stream.bytes.len();
        let bytes: Vec<_> = (1..len).collect();
        if len < 4096 {
            self.every_way(&bytes, runs);
        } else {
            (0..8).for_each(|_| self.some_way(&bytes, runs));
        }
        let (every, all) = (self.affords(len * self.ways()), self.affords(len));
        for cut in 1..len {
            if every {
                self.every_way(&[cut], runs);
            } else if all || cut < 20 || len - cut < 20 || self.is_picked(len) {
                self.some_way(&[cut], runs);
            }
        }
        if len <= 256 {
            let pairs = (1..len).flat_map(|first| (first + 1..len).map(move |second| [first, second]));
            let all = self.is_cheap() || self.affords(len * len / 2);
            for cuts in pairs {
                if all || self.is_picked(len * len / 2) {
                    self.some_way(&cuts, runs);
                }
            }
        }
        if len <= 14 {
            let all = self.is_cheap() || self.affords(1 << (len - 1));
            for set in 0..1_usize << (len - 1) {
                if all || self.is_picked(1 << (len - 1)) {
                    let cuts: Vec<_> = (1..len).filter(|cut| set >> (cut - 1) & 1 == 1).collect();
                    self.some_way(&cuts, runs);
                }
            }
        }
        let mut cuts = Vec::new();
        for _ in 0..1000.min(self.affordable()) {
            cuts.clear();
            let most = self.dice.pick(&[2, 10, 100, 1000, 10_000]).min(len);
            let mut cut = 1 + self.dice.below(most);
            while cut < len {
                cuts.push(cut);
                cut += 1 + self.dice.below(most);
            }
            self.some_way(&cuts, runs);
        }
    }

    /// How many times this stream can be received for each way to cut it.
    fn affordable(&self) -> usize {
        let bytes = if is_long() { 10_000_000 } else { 300_000 };
        (bytes / (self.stream.cost + 100)).max(40)
    }

    fn affords(&self, runs: usize) -> bool {
        runs <= self.affordable()
    }

    fn is_cheap(&self) -> bool {
        self.stream.cost == self.stream.bytes.len()
    }

    /// Whether this is one of those of so many that there is time for.
    fn is_picked(&mut self, of: usize) -> bool {
        self.dice.below(of) < self.affordable()
    }

    /// With every schedule.
    fn every_way(&self, cuts: &[usize], runs: &mut usize) {
        for way in 0..self.ways() {
            self.come(cuts, way, runs);
        }
    }

    /// With one schedule, unless there is time for all.
    fn some_way(&mut self, cuts: &[usize], runs: &mut usize) {
        if is_long() && self.is_cheap() {
            return self.every_way(cuts, runs);
        }
        let way = self.dice.below(self.ways());
        self.come(cuts, way, runs);
    }

    fn ways(&self) -> usize {
        OFFERS.len() * TAKES.len() * self.expected.len() * DELIVERIES.len()
    }

    fn come(&self, cuts: &[usize], way: usize, runs: &mut usize) {
        *runs += 1;
        let mut rest = way;
        let mut pick = |of: usize| {
            let at = rest % of;
            rest /= of;
            at
        };
        let (delivery, takes, offer) = (pick(2), TAKES[pick(TAKES.len())], OFFERS[pick(OFFERS.len())]);
        let (writing, expected) = &self.expected[pick(self.expected.len())];
        let schedule = Schedule { offer, program: self.stream.program, takes, writing };
        let connection = self.stream.connection(DELIVERIES[delivery]);
        let record = run_scheduled(connection, &self.stream.bytes, cuts, &schedule);
        assert!(
            record == expected[delivery],
            "{}\n{:02x?}\n{:?}, cut at {cuts:?}, {schedule:?}\n{record:?}\nin one piece:\n{:?}",
            self.stream.name,
            self.stream.bytes,
            DELIVERIES[delivery],
            expected[delivery]
        );
    }
}

/// At the end; all at once, a byte each time or as the dice have it, at some places in the stream.
fn writings(dice: &mut Dice, len: usize) -> [Writing; 4] {
    let mut writing = |sizes: Vec<usize>| {
        let mut at: Vec<_> = (0..1 + dice.below(4)).map(|_| 1 + dice.below(len)).collect();
        at.sort_unstable();
        at.dedup();
        Writing { at, sizes }
    };
    [Writing::at_the_end(), writing(vec![usize::MAX]), writing(vec![1]), writing(vec![3, 1, 40, 7, 5000, 2])]
}

/// Output of two schedules: nothing else than Pongs may be missing, and what a Close left no time for.
fn compare_output(one: &Record, other: &Record, name: &str) {
    let [one, other] = [one, other].map(|record| {
        let over = record.end.sent().is_some();
        let pings = record.events.iter().filter_map(|event| match event {
            Event::Ping(payload) => Some(payload.to_vec()),
            _ => None,
        });
        let pings: Vec<_> = pings.collect();
        let frames = wire::parse(&record.output);
        let (control, data): (Vec<Parsed>, Vec<_>) =
            frames.into_iter().partition(|frame| frame.first & 0x08 != 0);
        let (pongs, control): (Vec<_>, Vec<_>) =
            control.into_iter().partition(|frame| frame.first == 0x80 | PONG);
        // Pongs in the order of their Pings, the newest not left out.
        let mut unanswered = pings.iter();
        assert!(pongs.iter().all(|pong| unanswered.any(|ping| *ping == pong.payload)), "{name}");
        let last = pongs.last().map(|pong| &pong.payload);
        assert!(over || pongs.is_empty() || last == pings.last(), "{name}: the last Ping was not answered");
        let data: Vec<_> = data.into_iter().flat_map(|frame| frame.payload).collect();
        (over, control, data)
    });
    assert_eq!(one.1, other.1, "{name}");
    let cut = one.0 && (one.2.starts_with(&other.2) || other.2.starts_with(&one.2));
    assert!(cut || one.2 == other.2, "{name}");
}
