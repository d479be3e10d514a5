//! Clients that connect again.

use core::fmt;
use core::future::poll_fn;
use core::time::Duration;

use sansocket::{ClientRequest, Instant};

use crate::connector::{Connected, Connector};
use crate::error::Error;
use crate::io::Timer;
use crate::runtime::Runtime;

/// How long to wait before another attempt: truncated exponential backoff with full jitter.
///
/// The wait after the nth failure in a row is a random time between nothing and `first` · 2ⁿ⁻¹, but no longer
/// than `longest`. Of the ways to scatter clients that lost their server at the same time, this one needs the
/// fewest attempts until all are back (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
/// 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Up to 5 s at first and up to 90 s at last, as in Python's websockets.
    pub const fn new() -> Self {
        Self { first: Duration::from_secs(5), longest: Duration::from_secs(90) }
    }

    /// The longest wait after the first failure: 5 s by default. It doubles with every further one.
    pub const fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// The longest wait after any number of failures: 90 s by default.
    pub const fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// The wait after one failure more than `earlier`, for a number that was drawn from all there are.
    pub fn delay(&self, earlier: u32, random: u64) -> Duration {
        let factor = 2_u32.saturating_pow(earlier);
        let most = self.first.saturating_mul(factor).min(self.longest);
        // 584 years will do.
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let nanos = (u128::from(nanos) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

/// A client that opens its WebSocket again and again.
pub struct Reconnect<R: Runtime> {
    connector: Connector<R>,
    request: ClientRequest,
    backoff: Backoff,
    lasting: Duration,
    retry: Box<dyn Fn(&Error) -> bool + Send + Sync>,
    timer: R::Timer,
    failures: u32,
    /// What is waited for if the present attempt or connection turns out a failure.
    delay: Duration,
    /// No attempt begins before that.
    next: Instant,
    /// When the WebSocket was opened that was handed out last.
    opened: Option<Instant>,
}

impl<R: Runtime> Reconnect<R> {
    /// A client that opens this WebSocket.
    pub fn new(connector: Connector<R>, request: ClientRequest) -> Self {
        Self {
            connector,
            request,
            backoff: Backoff::new(),
            lasting: Duration::from_secs(5),
            retry: Box::new(Error::is_temporary),
            timer: R::timer(),
            failures: 0,
            delay: Duration::ZERO,
            next: Instant::ORIGIN,
            opened: None,
        }
    }

    /// How long to wait between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How long a connection must have lasted to be none of the failures in a row, from its opening to the
    /// next call of [`connect`](Self::connect): 5 s by default, as reconnecting-websocket for JavaScript has
    /// it (`minUptime`). A server that accepts and closes at once is not asked more often than one that
    /// rejects.
    pub fn lasting(mut self, lasting: Duration) -> Self {
        self.lasting = lasting;
        self
    }

    /// Decides after which errors to try again: by default [`Error::is_temporary`].
    pub fn retry_if(mut self, retry: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.retry = Box::new(retry);
        self
    }

    /// Asks for this from now on, such as with another token.
    pub fn set_request(&mut self, request: ClientRequest) {
        self.request = request;
    }

    /// Opens the WebSocket: the first one at once, another one after the wait that the failures so far call
    /// for. It tries again for as long as errors are temporary. If a server answers with a `Retry-After` in
    /// seconds (RFC 9110 §10.2.3), it waits at least for those, but no longer than [`Backoff::longest`].
    ///
    /// # Errors
    /// The first error that is not temporary. One may call again; the wait is kept.
    ///
    /// # Cancel safety
    /// Safe: a wait goes on where it was with the next call, an attempt that was given up counts as failed.
    pub async fn connect(&mut self) -> Result<Connected<R>, Error> {
        if let Some(opened) = self.opened {
            let now = self.timer.now();
            if now - opened >= self.lasting {
                self.failures = 0;
                self.fail()?;
            }
            self.next = now + self.delay;
            self.opened = None;
        }
        loop {
            poll_fn(|cx| self.timer.poll_at(cx, self.next)).await;
            // Before it begins, for if it is cancelled.
            self.fail()?;
            self.next = self.timer.now() + self.delay;
            let error = match self.connector.connect(&self.request).await {
                Ok((socket, _)) => {
                    self.opened = Some(self.timer.now());
                    return Ok(socket);
                }
                Err(error) => error,
            };
            let asked = retry_after(&error).min(self.backoff.longest);
            self.next = self.timer.now() + self.delay.max(asked);
            if !(self.retry)(&error) {
                return Err(error);
            }
        }
    }

    /// Counts a failure and draws the wait after it.
    fn fail(&mut self) -> std::io::Result<()> {
        self.delay = self.backoff.delay(self.failures, getrandom::u64()?);
        self.failures = self.failures.saturating_add(1);
        Ok(())
    }
}

/// How long a server asks us to stay away, in seconds; the other form, a date, needs a calendar and a right
/// clock.
fn retry_after(error: &Error) -> Duration {
    let Error::Rejected(response) = error else { return Duration::ZERO };
    let is_seconds = |value: &&str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = response.header("Retry-After").filter(is_seconds);
    Duration::from_secs(seconds.map_or(0, |seconds| seconds.parse().unwrap_or(u64::MAX)))
}

impl<R: Runtime> fmt::Debug for Reconnect<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("request", &self.request)
            .field("backoff", &self.backoff)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
