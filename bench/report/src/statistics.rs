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
    let below = Binomial::new(0.5, len as u64).ok()?;
    let outside = (0..len).take_while(|&rank| below.cdf(rank as u64) <= 0.025).count();
    let interval = outside.checked_sub(1).map(|first| (values[first], values[len - 1 - first]));
    Some(Estimate { median, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        (0..).zip(values.iter().copied()).collect()
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine was ten times slower in one of the rounds.
        let ours = samples(&[2.0, 20.0, 2.0]);
        let theirs = samples(&[1.0, 10.0, 1.0, 7.0]);
        assert_eq!(ratio(&ours, &theirs).unwrap().median, 2.0);
    }

    #[test]
    fn the_interval_is_that_of_order_statistics() {
        let interval = |len: u32| estimate((1..=len).map(f64::from)).unwrap().interval;
        assert_eq!(interval(5), None);
        // From the tables: ranks 1 and 6 of 6, 2 and 9 of 10, 14 and 28 of 41.
        assert_eq!(interval(6), Some((1.0, 6.0)));
        assert_eq!(interval(10), Some((2.0, 9.0)));
        assert_eq!(interval(41), Some((14.0, 28.0)));
    }

    #[test]
    fn a_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&samples(&[4.0, 1.0, 3.0, 2.0])), 2.5);
    }
}
