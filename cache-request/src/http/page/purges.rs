//! Purges by prefix: one list of them for a layer. Each page remembers the newest purge from before it was asked for, and goes with the later
//! ones that cover it.
//!
//! Where the list is gone, so are the pages.

use ::http::Uri;

use super::key::{Host, Target, TargetRules};

/// So many purges are remembered. Pages from before the oldest of them are gone.
pub(super) const MOST_PURGES: usize = 256;

/// The latest purges by prefix, the oldest first.
#[derive(Clone)]
pub(super) struct Purges(pub(super) Vec<Purge>);

/// A purge, and its number. The first one of a list is its beginning, and concerns no page.
pub(super) type Purge = (u128, Option<Prefix>);

/// What a purge is for: a host, if it names one, and the beginning of paths.
pub(super) type Prefix = (Option<String>, String);

impl Purges {
    pub(super) fn begin(number: u128) -> Self {
        Self(vec![(number, None)])
    }

    pub(super) fn newest(&self) -> Option<u128> {
        self.0.last().map(|(number, _)| *number)
    }

    pub(super) fn with(&self, number: u128, prefix: Prefix) -> Self {
        let mut purges = self.0.clone();
        purges.push((number, Some(prefix)));
        let many = purges.len().saturating_sub(MOST_PURGES);
        purges.drain(..many);
        Self(purges)
    }

    pub(super) fn has(&self, number: u128) -> bool {
        self.0.iter().any(|(known, _)| *known == number)
    }

    /// Whether none of the purges after `seen` is for a page.
    pub(super) fn spare(&self, seen: Option<u128>, target: &Target<'_>) -> bool {
        let Some(at) = self.0.iter().rposition(|(number, _)| Some(*number) == seen) else { return false };
        self.0[at + 1..].iter().all(|(_, prefix)| match prefix {
            Some((host, path)) => {
                let is_host = host.as_ref().is_none_or(|host| target.host() == Host::of(host));
                !(is_host && target.path_and_query.starts_with(&**path))
            }
            None => true,
        })
    }
}

/// The pages that a URI is the beginning of.
pub(super) fn prefix_of(uri: &Uri, rules: &TargetRules) -> Prefix {
    let host = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    (host, rules.query.normalised(uri.path()).into_owned())
}
