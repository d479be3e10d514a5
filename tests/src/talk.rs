//! Two ends that talk while their calls are dropped at random: what a completed call took or gave must arrive
//! once, whole and in order.

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;

use sansocket::{
    Cause, CloseCode, CloseFrame, Compression, Config, Data, Delivery, Disconnect, Kind, Message, SendError,
    Side,
};
use sansocket_driver::{Error, Io, Receiver, Sender, Timer, WebSocket};
use tokio::sync::oneshot;

use crate::pair::Dice;
use crate::task::{fickle, yield_now};

/// The settings of a schedule, the same for both ends; and whether they compress.
pub fn settings(dice: &mut Dice) -> (Config, bool) {
    let config = Config::new()
        .high_water(dice.pick(&[1, 100, 2000]))
        .auto_fragment(dice.pick(&[None, None, Some(40)]))
        .delivery(dice.pick(&[Delivery::Whole, Delivery::Streaming]));
    let compressed = dice.below(8) == 0;
    (config.compression(compressed.then(|| Compression::new().min_size(0))), compressed)
}

/// One end: what it says and hears, in one task or two.
pub struct Talker {
    said: Said,
    heard: Heard,
    /// It is the one to close the connection.
    closes: bool,
    end: Option<Disconnect>,
}

impl Talker {
    /// The two ends of a conversation.
    pub fn both(dice: &mut Dice) -> [Self; 2] {
        let lasts = [dice.below(8), dice.below(8)];
        let closer = dice.below(2);
        [0, 1].map(|i| Self {
            said: Said::new(dice, lasts[i]),
            heard: Heard::new(dice, lasts[1 - i]),
            closes: closer == i,
            end: None,
        })
    }

    /// What it does, as a task or as two with half a WebSocket each.
    pub fn tasks<'t, I: Io + Unpin + 't, T: Timer + Unpin + 't>(
        &'t mut self,
        dice: &mut Dice,
        socket: WebSocket<I, T>,
    ) -> Vec<Pin<Box<dyn Future<Output = ()> + 't>>> {
        if dice.below(2) == 0 {
            return vec![Box::pin(talk(self, socket))];
        }
        let ((sender, receiver), (has, waits)) = (socket.split(), oneshot::channel());
        let Self { said, heard, closes, end } = self;
        said.leaves = dice.below(2) == 0;
        let saying = talk_by_half(said, sender, closes.then_some(waits));
        vec![Box::pin(saying), Box::pin(hear_by_half(heard, end, receiver, has))]
    }

    /// That all went well, in the end.
    #[track_caller]
    pub fn check(talkers: &[Self; 2], reached: &Reached) {
        let [one, other] = talkers;
        for (talker, peer) in [(one, other), (other, one)] {
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
}

/// What became of messages whose `send` was dropped.
#[derive(Debug, Default)]
pub struct Reached {
    pub came: Cell<usize>,
    pub did_not: Cell<usize>,
}

impl Reached {
    fn count(&self, said: &Said, heard: &Heard) {
        for number in (0..=said.last).filter(|number| !said.certain.contains(number)) {
            let count = if heard.numbers.contains(&number) { &self.came } else { &self.did_not };
            count.set(count.get() + 1);
        }
    }
}

/// Tells which schedule it was, if that fails.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

/// Both in one task. It never waits with one of them for a peer that may wait for the other.
async fn talk<I: Io + Unpin, T: Timer + Unpin>(talker: &mut Talker, mut socket: WebSocket<I, T>) {
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

async fn talk_by_half(said: &mut Said, mut sender: impl Sends, through: Option<oneshot::Receiver<()>>) {
    while !said.done {
        said.say(&mut sender, 3).await;
    }
    if let Some(through) = through {
        through.await.expect("the other half lives");
        close(&mut sender, &mut said.dice).await;
    }
}

async fn hear_by_half<I: Io + Unpin, T: Timer + Unpin>(
    heard: &mut Heard,
    end: &mut Option<Disconnect>,
    mut receiver: Receiver<I, T>,
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
    *end = receiver.with_socket(|socket| socket.disconnect().cloned());
}

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
        impl<I: Io + Unpin, T: Timer + Unpin> Sends for $type {
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
        impl<I: Io + Unpin, T: Timer + Unpin> Receives for $type {
            async fn recv(&mut self) -> Result<Option<Message<'static>>, Error> {
                <$type>::recv(self).await
            }

            async fn recv_data(&mut self) -> Result<Option<Data<'static>>, Error> {
                <$type>::recv_data(self).await
            }
        }
    };
}

sends!(WebSocket<I, T>);
sends!(Sender<I, T>);
receives!(WebSocket<I, T>);
receives!(Receiver<I, T>);

/// The `number`th message of a side: no two are the same.
fn numbered(number: usize) -> Vec<u8> {
    const LENS: [usize; 9] = [0, 1, 50, 117, 118, 125, 300, 7, 1000];
    let bytes = u64::try_from(number).expect("it is small").to_be_bytes();
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
        let number = u64::from_be_bytes(message[..8].try_into().expect("a number"));
        let number = usize::try_from(number).expect("a small one");
        assert!(message == numbered(number), "{number} is torn");
        assert!(self.numbers.last().is_none_or(|last| *last < number), "{number} behind {:?}", self.numbers);
        self.numbers.push(number);
        self.whole = None;
    }
}
