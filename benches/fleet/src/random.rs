//! Random numbers from a seed, the same with any version of any crate, and keys whose popularity follows Zipf's law.

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero to one, without one.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// The time to the next event of a Poisson process.
    pub(crate) fn pause(&mut self, rate: f64) -> f64 {
        -(1.0 - self.unit()).ln() / rate
    }
}

/// Keys with their popularity. A key may stand for several ones: see [`Keys::sampled`].
pub(crate) struct Keys {
    /// How many keys each one stands for.
    pub(crate) weights: Vec<f64>,
    /// The share of all calls that ask for one of these keys.
    pub(crate) share: f64,
    /// Walker's alias table: the chance to stay, and where to go else.
    table: Vec<(f64, u32)>,
    shares: Vec<f64>,
    /// The first rank of each.
    ranks: Vec<usize>,
}

impl Keys {
    /// `count` keys; the n-th is asked for in proportion to 1/n, and the first one besides by `hot` of all calls.
    ///
    /// Above the first hundred, one key stands for its neighbours: of a hundredth of its rank, at most for `most` ones. Only its own calls are
    /// simulated, and whatever they do counts `weight` times; an entry takes so much room.
    pub(crate) fn sampled(count: usize, hot: f64, most: usize) -> Self {
        let all: f64 = (1..=count).map(|rank| 1.0 / rank as f64).sum();
        let (mut weights, mut shares, mut ranks, mut from) = (Vec::new(), Vec::new(), Vec::new(), 1);
        while from <= count {
            let width = (from / 100).clamp(1, most).min(count + 1 - from);
            // The mean of its stratum.
            let mass: f64 = (from..from + width).map(|rank| 1.0 / rank as f64).sum();
            weights.push(width as f64);
            ranks.push(from);
            shares.push((1.0 - hot) * mass / width as f64 / all);
            from += width;
        }
        shares[0] += hot;
        let share = shares.iter().sum();
        Self { weights, share, table: alias(&shares, share), shares, ranks }
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The share of all calls that ask for this key.
    pub(crate) fn share_of(&self, key: u32) -> f64 {
        self.shares[key as usize]
    }

    /// The key that stands for the one of this rank. Ranks begin with one.
    pub(crate) fn of_rank(&self, rank: usize) -> u32 {
        self.ranks.partition_point(|first| *first <= rank) as u32 - 1
    }

    pub(crate) fn draw(&self, random: &mut Random) -> u32 {
        let place = random.below(self.table.len());
        let (stays, other) = self.table[place];
        if random.unit() < stays { place as u32 } else { other }
    }
}

fn alias(shares: &[f64], sum: f64) -> Vec<(f64, u32)> {
    let mut left: Vec<f64> = shares.iter().map(|share| share / sum * shares.len() as f64).collect();
    let mut table = vec![(1.0, 0); shares.len()];
    let (mut poor, mut rich): (Vec<_>, Vec<_>) = (0..left.len()).partition(|place| left[*place] < 1.0);
    while let (Some(giver), Some(taker)) = (rich.last().copied(), poor.pop()) {
        table[taker] = (left[taker], giver as u32);
        left[giver] -= 1.0 - left[taker];
        if left[giver] < 1.0 {
            rich.pop();
            poor.push(giver);
        }
    }
    table
}
