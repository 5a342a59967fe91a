//! Which key comes next, drawn ahead of time so that drawing costs the measured loop nothing.

/// A small generator (splitmix64): the same numbers for the same seed, on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number from 0 to 1, 1 excluded.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        (self.unit() * f64::from(bound)) as u32
    }
}

/// How keys are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Each of so many as often as the others.
    Uniform(u32),
    /// The n-th of so many in proportion to n^-0.99.
    Zipf(u32),
}

impl Draw {
    /// How many different keys there are: 0 up to here.
    #[must_use]
    pub fn keys(self) -> u32 {
        match self {
            Self::Uniform(keys) | Self::Zipf(keys) => keys,
        }
    }

    /// How many of all draws are of the `most` frequent keys: no cache with room for so many can hit more often.
    #[must_use]
    pub fn share_of_the(self, most: usize) -> f64 {
        match self {
            Self::Uniform(keys) => most as f64 / f64::from(keys),
            Self::Zipf(keys) => {
                let sums = Zipf::new(keys).sums;
                sums[most - 1] / sums[sums.len() - 1]
            }
        }
    }

    /// `length` keys. Which of them are the frequent ones of a zipf distribution is the same for all seeds.
    #[must_use]
    pub fn stream(self, seed: u64, length: usize) -> Vec<u32> {
        let mut random = Random::new(seed);
        match self {
            Self::Uniform(keys) => (0..length).map(|_| random.below(keys)).collect(),
            Self::Zipf(keys) => {
                let ranks = Zipf::new(keys);
                (0..length).map(|_| ranks.draw(&mut random)).collect()
            }
        }
    }
}

/// The zipf distribution with exponent 0.99, exactly, by its cumulative sums.
struct Zipf {
    sums: Vec<f64>,
    /// The key of a rank: neighbours in frequency are not to be neighbours in number.
    keys: Vec<u32>,
}

impl Zipf {
    fn new(count: u32) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|rank| {
            sum += f64::from(rank).powf(-0.99);
            sum
        });
        let sums = sums.collect();
        let mut keys: Vec<u32> = (0..count).collect();
        let mut random = Random::new(u64::from(count));
        for last in (1..count).rev() {
            keys.swap(last as usize, random.below(last + 1) as usize);
        }
        Self { sums, keys }
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let total = self.sums[self.sums.len() - 1];
        let at = random.unit() * total;
        let rank = self.sums.partition_point(|sum| *sum <= at).min(self.keys.len() - 1);
        self.keys[rank]
    }
}
