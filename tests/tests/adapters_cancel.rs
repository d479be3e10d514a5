//! Calls that are dropped at random while they wait, on each runtime's own TCP and clock.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use futures_util::future::join_all;
use sansocket::{Accept, ClientRequest};
use sansocket_driver::{Incoming, Io, connect};
use sansocket_tests::SEED;
use sansocket_tests::pair::Dice;
use sansocket_tests::runtimes::{Adapter, streams};
use sansocket_tests::talk::{Reached, Seed, Talker, settings};

sansocket_tests::on_each_runtime!(messages_arrive_once_whole_and_in_order_under_1_000_random_schedules);

/// A stream that lets others go first every so often, and does things by halves.
struct Reluctant<S> {
    stream: S,
    dice: Dice,
}

impl<S: Io + Unpin> Reluctant<S> {
    fn polls<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>, usize) -> Poll<T>,
    ) -> Poll<T> {
        if self.dice.below(3) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = self.dice.pick(&[1, 7, 100, 10_000]);
        poll(Pin::new(&mut self.stream), cx, most)
    }
}

impl<S: Io + Unpin> Io for Reluctant<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.polls(cx, |stream, cx, most| {
            let len = buffer.len().min(most);
            stream.poll_read(cx, &mut buffer[..len])
        })
    }

    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.polls(cx, |stream, cx, most| {
            let first = &slices[0][..slices[0].len().min(most)];
            if first.len() < slices[0].len() {
                return stream.poll_write(cx, &[IoSlice::new(first)]);
            }
            stream.poll_write(cx, slices)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls(cx, |stream, cx, _| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls(cx, |stream, cx, _| stream.poll_shutdown(cx))
    }
}

async fn schedule<R: Adapter>(seed: u64, reached: &Reached) {
    let _seed = Seed(seed);
    let mut dice = Dice::new(seed);
    let (config, _) = settings(&mut dice);
    let (one, other) = streams::<R>().await;
    for stream in [&one, &other] {
        // The many small writes would wait for one another's acknowledgements.
        R::set_nodelay(stream, true).unwrap();
    }
    let one = Reluctant { stream: one, dice: Dice::new(dice.roll()) };
    let other = Reluctant { stream: other, dice: Dice::new(dice.roll()) };
    let request = ClientRequest::new("ws://example.com/chat").unwrap();
    let connecting = connect(one, R::timer(), &config, &request, SEED);
    let accepting = async { Incoming::read(other, R::timer(), &config).await?.accept(Accept::new()).await };
    let (client, server) = tokio::join!(connecting, accepting);
    let mut talkers = Talker::both(&mut dice);
    let mut tasks = Vec::new();
    for (socket, talker) in [client.unwrap().0, server.unwrap()].into_iter().zip(&mut talkers) {
        tasks.extend(talker.tasks(&mut dice, socket));
    }
    join_all(tasks).await;
    Talker::check(&talkers, reached);
}

async fn messages_arrive_once_whole_and_in_order_under_1_000_random_schedules<R: Adapter>() {
    let reached = Reached::default();
    for seed in 0..1_000 {
        schedule::<R>(seed, &reached).await;
    }
    assert!(reached.came.get() > 10 && reached.did_not.get() > 10, "{reached:?}");
}
