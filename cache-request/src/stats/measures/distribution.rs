//! How measured numbers are distributed.

use std::time::Duration;

use hdrhistogram::Histogram;

/// How the measured times or sizes are distributed.
///
/// The quantiles are right to a sixteenth. Count and mean are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution<T> {
    /// How many were measured.
    pub count: u64,
    /// The arithmetic mean.
    pub mean: T,
    /// Half of them are at most this.
    pub median: T,
    /// Nine tenths are at most this.
    pub p90: T,
    /// 99 of a hundred are at most this.
    pub p99: T,
    /// The largest one.
    pub max: T,
}

impl<T> Distribution<T> {
    fn map<U>(self, map: impl Fn(T) -> U) -> Distribution<U> {
        let Self { count, mean, median, p90, p99, max } = self;
        Distribution { count, mean: map(mean), median: map(median), p90: map(p90), p99: map(p99), max: map(max) }
    }
}

/// Measured numbers.
#[derive(Default)]
pub(super) struct Samples {
    /// It grows with the largest number, to some two kilobytes. None while there are no numbers.
    histogram: Option<Histogram<u32>>,
    count: u64,
    sum: f64,
    max: u64,
}

/// Decimal digits that the histogram tells apart.
const DIGITS: u8 = 1;

impl Samples {
    pub(super) fn add(&mut self, number: u64) {
        self.add_many(number, 1);
    }

    /// Adds a number so many times.
    pub(super) fn add_many(&mut self, number: u64, times: u64) {
        self.count += times;
        self.sum += number as f64 * times as f64;
        self.max = self.max.max(number);
        if self.histogram.is_none() {
            self.histogram = Histogram::new(DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            // It resizes itself, and adds to counts up to their largest.
            _ = histogram.record_n(number, times.try_into().unwrap_or(u32::MAX));
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Zero if there are none.
    pub(super) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    pub(super) fn read(&self) -> Option<Distribution<u64>> {
        let histogram = self.histogram.as_ref()?;
        let quantile = |quantile| histogram.value_at_quantile(quantile).min(self.max);
        Some(Distribution {
            count: self.count,
            mean: self.mean().round() as u64,
            median: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: self.max,
        })
    }

    /// The mean of all but the largest twentieth: a thread that had to wait for its processor does not count.
    pub(super) fn typical(&self) -> Option<Duration> {
        let histogram = self.histogram.as_ref()?;
        let largest = histogram.value_at_quantile(0.95);
        let (mut count, mut sum) = (0.0, 0.0);
        for recorded in histogram.iter_recorded().take_while(|recorded| recorded.value_iterated_to() <= largest) {
            count += recorded.count_at_value() as f64;
            sum += recorded.count_at_value() as f64 * recorded.value_iterated_to().min(self.max) as f64;
        }
        (count > 0.0).then(|| Duration::from_nanos((sum / count) as u64))
    }

    pub(super) fn times(&self) -> Option<Distribution<Duration>> {
        Some(self.read()?.map(Duration::from_nanos))
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn one_thread_that_waited_made_all_bodies_slow() {
        let mut samples = Samples::default();
        samples.add_many(100, 60);
        samples.add_many(10_000, 36);
        samples.add_many(1_000_000_000, 4);
        let typical = samples.typical().unwrap().as_nanos();
        assert!((3500..4200).contains(&typical), "{typical}: neither the median nor the mean");
        assert_eq!(Samples::default().typical(), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_right_to_a_sixteenth(mut numbers in vec(0..1_u64 << 50, 1..300)) {
            let mut samples = Samples::default();
            numbers.iter().for_each(|number| samples.add(*number));
            numbers.sort_unstable();
            let read = samples.read().unwrap();
            let rank = |share: f64| numbers[((numbers.len() as f64 * share).ceil() as usize).clamp(1, numbers.len()) - 1];
            for (told, exact) in [(read.median, rank(0.5)), (read.p90, rank(0.9)), (read.p99, rank(0.99))] {
                prop_assert!(told.abs_diff(exact) <= exact / 16 + 1, "{told} for {exact}");
            }
            prop_assert_eq!((read.count, read.max), (numbers.len() as u64, *numbers.last().unwrap()));
            let mean = numbers.iter().map(|number| *number as f64).sum::<f64>() / numbers.len() as f64;
            prop_assert!((read.mean as f64 - mean).abs() <= 1.0 + mean / 1e9);
        }
    }
}
