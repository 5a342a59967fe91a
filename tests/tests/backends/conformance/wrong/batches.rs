//! How the backend is wrong about batches.

use std::collections::BTreeSet;

use cache_request::Error;

use super::{Fault, WrongBackend};

impl WrongBackend {
    /// The keys or items as they are served.
    pub(super) fn order<T: Copy>(&self, asked: &[T], key: impl Fn(&T) -> &str) -> Vec<T> {
        let mut served = asked.to_vec();
        match self.fault {
            Fault::ManyInOrderOfKeys => served.sort_by(|one, other| key(one).cmp(key(other))),
            Fault::ManyForgetDuplicates => {
                let mut seen = BTreeSet::new();
                served.retain(|one| seen.insert(key(one).to_owned()));
            }
            _ => {}
        }
        served
    }

    pub(super) fn all<T>(&self, mut outcomes: Vec<Result<T, Error>>) -> Vec<Result<T, Error>> {
        match self.fault {
            Fault::NoneIsAnError if outcomes.is_empty() => panic!("no keys, on purpose"),
            Fault::NoneIsOneOutcome if outcomes.is_empty() => vec![Err(Error::backend("no keys, on purpose"))],
            Fault::ManyAreAHundred => {
                outcomes
                    .iter_mut()
                    .skip(100)
                    .for_each(|outcome| *outcome = Err(Error::backend("too many, on purpose")));
                outcomes
            }
            _ => outcomes,
        }
    }
}
