//! Connections that talk, each for a while and then another in its place.

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sansocket_bench::Result;
use sansocket_tokio::sansocket::Keepalive;
use sansocket_tokio::{
    ClientRequest, CloseCode, Compression, Config, Disconnect, Kind, Message, WebSocket, connect_on,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::message;
use crate::server::{IDLE, THREADS};
use crate::tally::Tally;

/// Most send each second, one in ten so seldom that it would be cut off without a keepalive.
const OFTEN: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_millis(1500 * IDLE.as_secs());
/// So many messages of a connection may be on their way. Even the longest of them fit into the sockets' buffers.
const WINDOW: usize = 4;
/// So many connections are opened at a time, less than a listener's queue holds: 100 a second must succeed in it on a
/// machine that is so busy that each step takes a second.
const OPENING: usize = 1000;
/// A machine that is busy may take this long over what takes no time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How much load there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: usize,
    pub duration: Duration,
    /// A connection lasts so long on average.
    pub life: Duration,
}

/// All connections.
pub struct Load {
    server: SocketAddr,
    plan: Plan,
    doors: Semaphore,
    /// Of the next connection.
    number: AtomicU32,
    stage: watch::Sender<Stage>,
    tally: Mutex<Tally>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// So many have been opened.
    Opening(usize),
    Talking,
    /// They are to close.
    Ending,
}

/// What does not change when another connection takes its place.
#[derive(Clone, Debug)]
struct Habits {
    interval: Duration,
    config: Config,
}

/// How a connection is left.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By the closing handshake (RFC 6455 §7).
    Close,
    /// TCP ends, in order or by a reset.
    Fin,
    Reset,
    /// The same half-way through a message: behind its first fragment, or within a frame.
    Fragment,
    Frame,
}

/// Half of them by the closing handshake.
const ENDS: [End; 8] =
    [End::Close, End::Close, End::Close, End::Close, End::Fin, End::Reset, End::Fragment, End::Frame];

impl Load {
    pub fn new(server: SocketAddr, plan: Plan) -> Result<Self> {
        Ok(Self {
            server,
            plan,
            doors: Semaphore::new(OPENING),
            number: AtomicU32::new(0),
            stage: watch::Sender::new(Stage::Opening(0)),
            tally: Mutex::new(Tally::new()?),
        })
    }

    /// Opens the connections, lets them talk for so long, and closes them.
    pub fn run(self: &Arc<Self>) -> Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
        runtime.block_on(async {
            let mut places = JoinSet::new();
            for place in 0..self.plan.connections {
                let load = Arc::clone(self);
                places.spawn(async move { load.occupy(place).await });
            }
            let mut stage = self.stage.subscribe();
            let opened = stage.wait_for(|stage| *stage == Stage::Opening(self.plan.connections));
            if timeout(5 * PATIENCE, opened).await.is_err() {
                return Err(format!("not all could be opened: {:?}", self.stage()).into());
            }
            self.stage.send_replace(Stage::Talking);
            sleep(self.plan.duration).await;
            self.stage.send_replace(Stage::Ending);
            let ended = timeout(3 * PATIENCE, async { while places.join_next().await.is_some() {} });
            if ended.await.is_err() {
                self.tally().counts.faults.endless = places.len() as u64;
            }
            Ok(())
        })
    }

    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection after the other.
    async fn occupy(&self, place: usize) {
        let (habits, mut rng) = (Habits::of(place), fastrand::Rng::with_seed(place as u64));
        let mut is_first = true;
        while self.stage() != Stage::Ending {
            match self.open(&habits).await {
                Ok(socket) => {
                    self.tally().counts.opened += 1;
                    if std::mem::take(&mut is_first) {
                        self.opened_another();
                    }
                    let number = self.number.fetch_add(1, Relaxed);
                    Talk { load: self, number, socket, next: 0, sent: VecDeque::new() }
                        .go_on(habits.interval, &mut rng)
                        .await;
                }
                Err(error) => {
                    complain(&mut self.tally().counts.faults.unopened, || format!("not opened: {error}"));
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Only the last is told to those who wait.
    fn opened_another(&self) {
        self.stage.send_if_modified(|stage| match stage {
            Stage::Opening(count) => {
                *count += 1;
                *count == self.plan.connections
            }
            Stage::Talking | Stage::Ending => false,
        });
    }

    /// All from one address to one port: of its 28,000 ports 10,000 are in use, and some 50 a second wait for a minute.
    async fn open(&self, habits: &Habits) -> Result<WebSocket<TcpStream>> {
        let _door = self.doors.acquire().await?;
        let stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let request = ClientRequest::new(&format!("ws://{}/", self.server))?;
        let (socket, _) = connect_on(stream, &request, &habits.config).await?;
        Ok(socket)
    }
}

impl Habits {
    /// All that differs goes with all the rest that does.
    fn of(place: usize) -> Self {
        let compression = match place % 3 {
            0 => None,
            1 => Some(Compression::new().level(1)),
            _ => Some(Compression::shared().level(1)),
        };
        let config = Config::new()
            .compression(compression)
            .auto_fragment((place / 3).is_multiple_of(4).then_some(1000))
            .idle_timeout(None)
            .keepalive(Keepalive::Every(SELDOM))
            .handshake_timeout(Some(PATIENCE))
            .close_timeout(PATIENCE);
        Self { interval: if place % 10 == 9 { SELDOM } else { OFTEN }, config }
    }
}

/// One connection.
struct Talk<'l> {
    load: &'l Load,
    number: u32,
    socket: WebSocket<TcpStream>,
    /// Sequence number.
    next: u32,
    /// What has not come back.
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
struct Sent {
    sequence: u32,
    at: Instant,
    /// Something that was sent later has come back.
    overtaken: bool,
}

impl Talk<'_> {
    /// Sends, receives and compares until it is time to leave.
    async fn go_on(mut self, interval: Duration, rng: &mut fastrand::Rng) {
        let mut stage = self.load.stage.subscribe();
        let mut ending = pin!(async { drop(stage.wait_for(|stage| *stage == Stage::Ending).await) });
        let leave = Instant::now() + self.load.plan.life.mul_f64(-rng.f64().max(1e-9).ln());
        let end = ENDS[rng.usize(..ENDS.len())];
        self.send(Instant::now(), rng).await;
        // They do not all keep the time at which they were opened.
        let mut due = Instant::now() + interval.mul_f64(rng.f64());
        let mut alarm = pin!(sleep_until(due.min(leave)));
        loop {
            tokio::select! {
                biased;
                received = self.socket.recv() => match received {
                    Ok(Some(message)) => self.received(&message),
                    Ok(None) => return self.ended("closed by the server"),
                    Err(error) => return self.ended(error),
                },
                () = &mut ending => return self.close().await,
                () = &mut alarm => {
                    let now = Instant::now();
                    if now >= leave {
                        // Whichever way it goes, there is something on its way.
                        self.send(now, rng).await;
                        self.send(now, rng).await;
                        return self.leave(end).await;
                    }
                    self.send(due, rng).await;
                    due += interval;
                    // What should have been sent meanwhile is not made up for.
                    while due <= now {
                        self.load.tally().counts.skipped += 1;
                        due += interval;
                    }
                    Sleep::reset(alarm.as_mut(), due.min(leave));
                }
            }
        }
    }

    async fn send(&mut self, due: Instant, rng: &mut fastrand::Rng) {
        if self.sent.len() == WINDOW {
            self.load.tally().counts.skipped += 1;
            return;
        }
        let now = Instant::now();
        let message = message::make(self.number, self.next, rng);
        self.sent.push_back(Sent { sequence: self.next, at: now, overtaken: false });
        self.next += 1;
        self.load.tally().sent(now - due);
        // There is room for it; `recv` writes it, and has the error if there is one.
        let _ = self.socket.feed(message).await;
    }

    fn received(&mut self, message: &Message<'_>) {
        let mut tally = self.load.tally();
        let faults = &mut tally.counts.faults;
        let Some(sequence) = message::check(self.number, message) else {
            let what = || format!("connection {}: {} bytes that were not sent", self.number, message.len());
            return complain(&mut faults.corrupted, what);
        };
        let Some(index) = self.sent.iter().position(|sent| sent.sequence == sequence) else {
            let what = || format!("connection {}: message {sequence}, which is not awaited", self.number);
            return complain(&mut faults.unasked, what);
        };
        let sent = self.sent.remove(index);
        self.sent.range_mut(..index).for_each(|sent| sent.overtaken = true);
        match sent {
            Some(Sent { overtaken: false, at, .. }) => tally.echoed(at.elapsed()),
            _ => complain(&mut faults.reordered, || {
                format!("connection {}: message {sequence} behind later ones", self.number)
            }),
        }
    }

    async fn leave(mut self, end: End) {
        if let End::Close = end {
            return self.close().await;
        }
        // What fails here was to be cut off anyway.
        let _ = self.socket.flush().await;
        let mut within = true;
        match end {
            End::Close | End::Fin => within = false,
            End::Reset => {
                within = false;
                let _ = self.socket.io().0.set_zero_linger();
            }
            End::Fragment => {
                let _ = self.socket.begin(Kind::Binary);
                let _ = self.socket.push(&[0; message::MAX / 2]).await;
                let _ = self.socket.flush().await;
            }
            End::Frame => {
                let (mut stream, _) = self.socket.into_io();
                // Binary, of 16 KiB, masked with zeros, and half of it.
                let mut frame = vec![0x82, 0xFE, 0x40, 0, 0, 0, 0, 0];
                frame.resize(message::MAX / 2, 0);
                let _ = stream.0.write_all(&frame).await;
            }
        }
        let mut tally = self.load.tally();
        tally.counts.forgone += self.sent.len() as u64;
        *if within { &mut tally.counts.cut_within } else { &mut tally.counts.cut } += 1;
    }

    /// All that was sent comes back first.
    async fn close(mut self) {
        self.socket.start_close(CloseCode::NORMAL_CLOSURE);
        while let Ok(Some(message)) = self.socket.recv().await {
            self.received(&message);
        }
        let mut tally = self.load.tally();
        tally.counts.closed += 1;
        let faults = &mut tally.counts.faults;
        let disconnect = self.socket.disconnect();
        if !disconnect.is_some_and(Disconnect::is_clean) {
            complain(&mut faults.unclean, || format!("connection {}: {disconnect:?}", self.number));
        }
        for sent in self.sent {
            complain(&mut faults.lost, || {
                format!("connection {}: message {} is lost", self.number, sent.sequence)
            });
        }
    }

    /// Nobody wanted that.
    fn ended(self, how: impl Display) {
        let mut tally = self.load.tally();
        let faults = &mut tally.counts.faults;
        faults.lost += self.sent.len() as u64;
        complain(&mut faults.ended, || format!("connection {}: {how}", self.number));
    }
}

/// Counts it, and says the first few.
fn complain(count: &mut u64, what: impl FnOnce() -> String) {
    *count += 1;
    if *count <= 10 {
        eprintln!("{}", what());
    }
}
