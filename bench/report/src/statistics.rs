//! Medians, and how sure they are.

use statrs::distribution::{Binomial, DiscreteCDF};

use crate::measurements::Samples;

/// A median, and the interval in which that of all possible rounds lies with 95 %.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    pub median: f64,
    /// There is none of less than six rounds.
    pub interval: Option<(f64, f64)>,
}

/// How many times the other's the one's is, round by round.
pub fn ratio(one: &Samples, other: &Samples) -> Option<Estimate> {
    estimate(one.iter().filter_map(|(round, value)| Some(value / other.get(round)?)))
}

pub fn median(samples: &Samples) -> f64 {
    estimate(samples.values().copied()).map_or(f64::NAN, |estimate| estimate.median)
}

fn estimate(values: impl Iterator<Item = f64>) -> Option<Estimate> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let len = values.len();
    let median = (values.get(len.checked_sub(1)? / 2)? + values.get(len / 2)?) / 2.0;
    // Order statistics: each value is below the true median with probability ½, so how many are is binomial.
    let outside = Binomial::new(0.5, len as u64).ok()?.inverse_cdf(0.025);
    let interval = usize::try_from(outside)
        .ok()
        .and_then(|outside| outside.checked_sub(1))
        .map(|first| (values[first], values[len - 1 - first]));
    Some(Estimate { median, interval })
}
