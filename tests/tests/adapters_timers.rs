//! The clock and the alarm of each adapter.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::future::poll_fn;
use core::task::{Context, Waker};
use core::time::Duration;

use sansocket::Instant;
use sansocket_driver::{Runtime, Timer};
use sansocket_tests::runtimes::Adapter;

sansocket_tests::on_each_runtime!(
    an_alarm_that_is_put_off_rings_then_and_not_before,
    an_alarm_that_is_brought_forward_rings_then,
    an_alarm_that_has_rung_rings_again,
    what_is_past_rings_at_once,
);

const SHORT: Duration = Duration::from_millis(20);
/// Nothing takes so long.
const NEVER: Duration = Duration::from_secs(3600);
/// By then what does not ring has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn an_alarm_that_is_put_off_rings_then_and_not_before<R: Adapter>() {
    let mut timer = R::timer();
    let soon = timer.now() + SHORT;
    ask(&mut timer, soon);
    let later = soon + SHORT * 5;
    ask(&mut timer, later);
    rings::<R>(&mut timer, later).await;
    assert!(timer.now() >= later);
}

async fn an_alarm_that_is_brought_forward_rings_then<R: Adapter>() {
    let mut timer = R::timer();
    let now = timer.now();
    ask(&mut timer, now + NEVER);
    rings::<R>(&mut timer, now + SHORT).await;
}

async fn an_alarm_that_has_rung_rings_again<R: Adapter>() {
    let mut timer = R::timer();
    for _ in 0..3 {
        let at = timer.now() + SHORT;
        rings::<R>(&mut timer, at).await;
    }
}

async fn what_is_past_rings_at_once<R: Adapter>() {
    let mut timer = R::timer();
    let past = timer.now();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(timer.poll_at(&mut cx, past).is_ready());
    assert!(timer.poll_at(&mut cx, past + NEVER).is_pending());
    assert!(timer.poll_at(&mut cx, past).is_ready());
}

/// Whether it is that late already, where something else was at work, makes no difference.
fn ask(timer: &mut impl Timer, at: Instant) {
    let _ = timer.poll_at(&mut Context::from_waker(Waker::noop()), at);
}

async fn rings<R: Runtime>(timer: &mut R::Timer, at: Instant) {
    let mut other = R::timer();
    let end = other.now() + PATIENCE;
    poll_fn(|cx| {
        let rung = timer.poll_at(cx, at);
        assert!(other.poll_at(cx, end).is_pending(), "it did not ring");
        rung
    })
    .await;
    assert!(timer.now() >= at, "it rang too early");
}
