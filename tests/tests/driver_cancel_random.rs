//! Calls that are dropped at random while they wait, on streams that do everything by halves: what a
//! completed call took or gave arrives once, whole and in order.
//!
//! It holds for both roles in each schedule, since one end is a client and the other a server.

use core::cell::Cell;

use sansocket::{Cause, CloseCode, CloseFrame, Compression, Config, Data, Delivery, Disconnect, Kind};
use sansocket::{Message, SendError, Side};
use sansocket_driver::Error;
use sansocket_tests::pair::Dice;
use sansocket_tests::scripted::{Alarm, Clock, End, Socket, connect_on, duplex, run_both, serve_on};
use sansocket_tests::task::{Task, fickle, run_all, yield_now};
use tokio::sync::oneshot;

const CONFIG: Config = Config::new();

type Sender = sansocket_driver::Sender<End, Alarm>;
type Receiver = sansocket_driver::Receiver<End, Alarm>;

/// What sends: a WebSocket or its half.
trait Sends {
    async fn feed(&mut self, message: Vec<u8>) -> Result<(), Error>;
    async fn send(&mut self, message: Vec<u8>) -> Result<(), Error>;
    fn begin(&mut self) -> Result<(), Error>;
    async fn push(&mut self, piece: &[u8]) -> Result<(), Error>;
    async fn finish(&mut self, piece: &[u8]) -> Result<(), Error>;
    async fn flush(&mut self) -> Result<(), Error>;
    fn ping(&mut self) -> Result<(), Error>;
    async fn close(&mut self) -> Disconnect;
}

/// What receives.
trait Receives {
    async fn recv(&mut self) -> Result<Option<Message<'static>>, Error>;
    async fn recv_data(&mut self) -> Result<Option<Data<'static>>, Error>;
}

macro_rules! sends {
    ($type:ty) => {
        impl Sends for $type {
            async fn feed(&mut self, message: Vec<u8>) -> Result<(), Error> {
                <$type>::feed(self, message).await
            }

            async fn send(&mut self, message: Vec<u8>) -> Result<(), Error> {
                <$type>::send(self, message).await
            }

            fn begin(&mut self) -> Result<(), Error> {
                <$type>::begin(self, Kind::Binary)
            }

            async fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
                <$type>::push(self, piece).await
            }

            async fn finish(&mut self, piece: &[u8]) -> Result<(), Error> {
                <$type>::finish(self, piece).await
            }

            async fn flush(&mut self) -> Result<(), Error> {
                <$type>::flush(self).await
            }

            fn ping(&mut self) -> Result<(), Error> {
                <$type>::ping(self, b"?")
            }

            async fn close(&mut self) -> Disconnect {
                <$type>::close(self, CloseCode::NORMAL_CLOSURE).await
            }
        }
    };
}

macro_rules! receives {
    ($type:ty) => {
        impl Receives for $type {
            async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
                <$type>::recv(self).await
            }

            async fn recv_data(&mut self) -> Result<Option<Data<'static>>, Error> {
                <$type>::recv_data(self).await
            }
        }
    };
}

sends!(Socket);
sends!(Sender);
receives!(Socket);
receives!(Receiver);

/// The `number`th message of a side: no two are the same.
fn numbered(number: usize) -> Vec<u8> {
    const LENS: [usize; 9] = [0, 1, 50, 117, 118, 125, 300, 7, 1000];
    let bytes = number.to_be_bytes();
    [&bytes[..], &vec![bytes[7]; LENS[(number * 5) % LENS.len()]]].concat()
}

/// What one side has said.
struct Said {
    dice: Dice,
    next: usize,
    /// The last of them, which the other side waits for.
    last: usize,
    /// So much of a message was pushed.
    pushed: Option<usize>,
    /// A `finish` with the rest was dropped.
    finishing: bool,
    /// Those that a completed call took.
    certain: Vec<usize>,
    /// It leaves it to the other half to write the end of what it has queued.
    leaves: bool,
    done: bool,
}

impl Said {
    fn new(dice: &mut Dice, messages: usize) -> Self {
        let (dice, certain) = (Dice::new(dice.roll()), Vec::new());
        Self {
            dice,
            next: 0,
            last: messages,
            pushed: None,
            finishing: false,
            certain,
            leaves: false,
            done: false,
        }
    }

    fn took(&mut self) {
        self.certain.push(self.next);
        self.next += 1;
    }

    /// Does one thing, which may be dropped once in so many times that it waits.
    async fn say(&mut self, out: &mut impl Sends, once_in: usize) {
        if let Some(pushed) = self.pushed {
            return self.go_on(out, pushed, once_in).await;
        }
        if self.next > self.last && self.leaves {
            self.done = true;
            return;
        }
        if self.next > self.last {
            // Once the peer has it all it may close.
            match fickle(&mut self.dice, once_in, out.flush()).await {
                Some(Ok(()) | Err(Error::Send(SendError::Closed))) => self.done = true,
                Some(Err(error)) => panic!("{error:?}"),
                None => {}
            }
            return;
        }
        // The last one must arrive, so it is not left to `send`.
        match self.dice.below(if self.next == self.last { 3 } else { 5 }) {
            0 => {
                let _ = fickle(&mut self.dice, once_in, out.flush()).await.transpose().expect("it is open");
            }
            1 => {
                out.begin().expect("none is in progress");
                self.pushed = Some(0);
            }
            2 => {
                let fed = fickle(&mut self.dice, once_in, out.feed(numbered(self.next))).await;
                if fed.transpose().expect("it is open").is_some() {
                    self.took();
                }
            }
            3 => {
                let sent = fickle(&mut self.dice, once_in, out.send(numbered(self.next))).await;
                match sent.transpose().expect("it is open") {
                    Some(()) => self.took(),
                    None => self.next += 1,
                }
            }
            _ => out.ping().expect("it is open"),
        }
    }

    /// Goes on with a message in pieces.
    async fn go_on(&mut self, out: &mut impl Sends, pushed: usize, once_in: usize) {
        let message = numbered(self.next);
        let rest = &message[pushed..];
        if !self.finishing && self.dice.below(3) > 0 {
            let piece = &rest[..self.dice.below(rest.len() + 1)];
            let queued = fickle(&mut self.dice, once_in, out.push(piece)).await;
            if queued.transpose().expect("it is open").is_some() {
                self.pushed = Some(pushed + piece.len());
            }
            return;
        }
        match fickle(&mut self.dice, once_in, out.finish(rest)).await {
            None => {
                self.finishing = true;
                return;
            }
            Some(Ok(())) => {}
            // The one that was dropped had queued it.
            Some(Err(Error::Send(SendError::NoMessageInProgress))) if self.finishing => {}
            // The peer has closed, as it may once it has the last one.
            Some(Err(Error::Send(SendError::Closed))) if self.next == self.last => {}
            Some(Err(error)) => panic!("{error:?}"),
        }
        (self.pushed, self.finishing) = (None, false);
        self.took();
    }
}

/// What one side has heard.
struct Heard {
    dice: Dice,
    last: usize,
    numbers: Vec<usize>,
    /// Receives pieces: what has come of a message.
    pieces: Option<Vec<u8>>,
    /// Has begun to receive a message, by this call.
    whole: Option<bool>,
    ended: bool,
}

impl Heard {
    fn new(dice: &mut Dice, last: usize) -> Self {
        let (dice, numbers) = (Dice::new(dice.roll()), Vec::new());
        Self { dice, last, numbers, pieces: None, whole: None, ended: false }
    }

    fn has_all(&self) -> bool {
        self.numbers.last() == Some(&self.last)
    }

    async fn hear(&mut self, from: &mut impl Receives, once_in: usize) {
        let whole = *self.whole.get_or_insert_with(|| self.dice.below(2) == 0);
        if whole {
            match fickle(&mut self.dice, once_in, from.recv()).await.transpose().expect("no error") {
                Some(Some(message)) => self.got(&message.into_bytes()),
                Some(None) => self.ended = true,
                None => {}
            }
            return;
        }
        match fickle(&mut self.dice, once_in, from.recv_data()).await.transpose().expect("no error") {
            Some(Some(data)) => {
                assert_eq!(data.first, self.pieces.is_none());
                let pieces = self.pieces.get_or_insert_default();
                pieces.extend_from_slice(&data.payload);
                if data.last {
                    let message = core::mem::take(pieces);
                    self.pieces = None;
                    self.got(&message);
                }
            }
            Some(None) => self.ended = true,
            None => {}
        }
    }

    fn got(&mut self, message: &[u8]) {
        let number = usize::from_be_bytes(message[..8].try_into().expect("a number"));
        assert!(message == numbered(number), "{number} is torn");
        assert!(self.numbers.last().is_none_or(|last| *last < number), "{number} behind {:?}", self.numbers);
        self.numbers.push(number);
        self.whole = None;
    }
}

/// One end: what it says and hears, in one task or two.
struct Talker {
    said: Said,
    heard: Heard,
    /// It is the one to close the connection.
    closes: bool,
    end: Option<Disconnect>,
}

/// Both in one task. It never waits with one of them for a peer that may wait for the other.
async fn talk(talker: &mut Talker, mut socket: Socket) {
    let Talker { said, heard, closes, end } = talker;
    while !said.done || !heard.has_all() {
        if said.done {
            heard.hear(&mut socket, 3).await;
        } else {
            match said.dice.below(2) {
                0 => said.say(&mut socket, 1).await,
                _ => heard.hear(&mut socket, 1).await,
            }
            yield_now().await;
        }
    }
    *end = match closes {
        true => Some(close(&mut socket, &mut said.dice).await),
        false => {
            while !heard.ended {
                heard.hear(&mut socket, 3).await;
            }
            socket.disconnect().cloned()
        }
    };
}

async fn close(socket: &mut impl Sends, dice: &mut Dice) -> Disconnect {
    loop {
        if let Some(disconnect) = fickle(dice, 3, socket.close()).await {
            return disconnect;
        }
    }
}

async fn talk_by_half(said: &mut Said, mut sender: Sender, through: Option<oneshot::Receiver<()>>) {
    while !said.done {
        said.say(&mut sender, 3).await;
    }
    if let Some(through) = through {
        through.await.expect("the other half lives");
        close(&mut sender, &mut said.dice).await;
    }
}

async fn hear_by_half(
    heard: &mut Heard,
    end: &mut Option<Disconnect>,
    mut receiver: Receiver,
    through: oneshot::Sender<()>,
) {
    while !heard.has_all() {
        heard.hear(&mut receiver, 3).await;
    }
    // Unless it is to close, the other half is gone by now, or soon.
    let _ = through.send(());
    while !heard.ended {
        heard.hear(&mut receiver, 3).await;
    }
    *end = receiver.with(|socket| socket.disconnect().cloned());
}

/// Tells which schedule it was, if that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

fn schedule(seed: u64, reached: &Reached) {
    let _seed = Seed(seed);
    let mut dice = Dice::new(seed);
    let mut config = CONFIG
        .high_water(dice.pick(&[1, 100, 2000]))
        .auto_fragment(dice.pick(&[None, None, Some(40)]))
        .delivery(dice.pick(&[Delivery::Whole, Delivery::Streaming]));
    let compressed = dice.below(8) == 0;
    if compressed {
        config = config.compression(Some(Compression::new().min_size(0)));
    }
    let [(one, grip_one), (other, grip_other)] = duplex(dice.pick(&[1, 7, 100, 10_000]));
    for grip in [grip_one, grip_other] {
        grip.at_random(dice.roll());
        if dice.below(4) == 0 {
            grip.hold_until_flush();
        }
    }
    let clock = Clock::new();
    let (client, server) =
        run_both(&mut dice, connect_on(one, &clock, &config), serve_on(other, &clock, &config));
    assert_eq!(client.connection().agreed().and_then(|agreed| agreed.compression()).is_some(), compressed);
    let lasts = [dice.below(8), dice.below(8)];
    let closer = dice.below(2);
    let mut talkers = [0, 1].map(|i| Talker {
        said: Said::new(&mut dice, lasts[i]),
        heard: Heard::new(&mut dice, lasts[1 - i]),
        closes: closer == i,
        end: None,
    });
    let mut tasks = Vec::new();
    for (socket, talker) in [client, server].into_iter().zip(&mut talkers) {
        if dice.below(2) == 0 {
            tasks.push(Task::new(talk(talker, socket)));
        } else {
            let ((sender, receiver), (has, waits)) = (socket.split(), oneshot::channel());
            let Talker { said, heard, closes, end } = talker;
            said.leaves = dice.below(2) == 0;
            tasks.push(Task::new(talk_by_half(said, sender, closes.then_some(waits))));
            tasks.push(Task::new(hear_by_half(heard, end, receiver, has)));
        }
    }
    run_all(&mut dice, tasks);
    for (talker, peer) in [(&talkers[0], &talkers[1]), (&talkers[1], &talkers[0])] {
        let (said, heard) = (&talker.said, &peer.heard);
        assert!(said.certain.iter().all(|number| heard.numbers.contains(number)));
        assert!(heard.numbers.iter().all(|number| *number <= said.last));
        reached.count(said, heard);
        let end = talker.end.as_ref().expect("it was told");
        assert!(end.is_clean(), "{end:?}");
        let by = if talker.closes { Side::Local } else { Side::Remote };
        assert_eq!(end.cause(), &Cause::Closed(by));
        assert_eq!(end.sent().and_then(CloseFrame::code), Some(CloseCode::NORMAL_CLOSURE));
    }
}

/// What became of messages whose `send` was dropped.
#[derive(Debug, Default)]
struct Reached {
    came: Cell<usize>,
    did_not: Cell<usize>,
}

impl Reached {
    fn count(&self, said: &Said, heard: &Heard) {
        for number in (0..=said.last).filter(|number| !said.certain.contains(number)) {
            let count = if heard.numbers.contains(&number) { &self.came } else { &self.did_not };
            count.set(count.get() + 1);
        }
    }
}

#[test]
fn messages_arrive_once_whole_and_in_order_under_10_000_random_schedules() {
    let reached = Reached::default();
    for seed in 0..10_000 {
        schedule(seed, &reached);
    }
    assert!(reached.came.get() > 100 && reached.did_not.get() > 100, "{reached:?}");
}
