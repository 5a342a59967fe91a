//! Repeated measurements of one thing.

use std::fmt;

/// Measurements of one thing, one a round.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: f64) {
        let place = self.0.partition_point(|known| *known < sample);
        self.0.insert(place, sample);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle one; of an even number, the upper of the two in the middle.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// The smallest and the largest.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut collected = Self::default();
        samples.into_iter().for_each(|sample| collected.push(sample));
        collected
    }
}

/// The median, and the range in brackets; `{:.1}` rounds all three.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let (least, most) = self.range();
        write!(f, "{:.digits$} [{least:.digits$}–{most:.digits$}]", self.median())
    }
}
