//! Which pages there are, and which one is asked for next.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::{
    Error,
    connection::{Connection, get},
};

/// Each run chooses the same pages.
const SEED: u64 = 2001;

/// The requests for the pages of the site, the most popular page first.
pub(crate) struct Choice {
    requests: Vec<Vec<u8>>,
    /// The popularity of each page and of those before it.
    sums: Vec<f64>,
}

impl Choice {
    /// Of all pages that are at most two clicks from the first one.
    pub(crate) async fn learn(site: &mut Connection) -> Result<Self, Error> {
        let shown = links(site.ask(&get("/")).await?.body)?;
        let (mut pages, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for link in shown {
            let answer = site.ask(&get(&link)).await?;
            if answer.status == 200 {
                pages.extend(links(answer.body)?);
            } else {
                // The first page shows what is refused as well.
                refused.insert(link);
            }
        }
        pages.retain(|page| !refused.contains(page));
        Ok(Self::among(&pages))
    }

    /// Zipf's law: the second page is half as popular as the first, the third a third. The order is by chance, so a page's
    /// popularity has nothing to do with its cost.
    fn among(pages: &BTreeSet<String>) -> Self {
        let mut requests: Vec<_> = pages.iter().map(|page| get(page)).collect();
        Rng::with_seed(SEED).shuffle(&mut requests);
        let popularity = (1..=requests.len()).map(|rank| 1.0 / rank as f64);
        let sums = popularity.scan(0.0, |sum, popularity| {
            *sum += popularity;
            Some(*sum)
        });
        Self { sums: sums.collect(), requests }
    }

    pub(crate) fn pages(&self) -> usize {
        self.requests.len()
    }

    /// The choices of one of the visitors.
    pub(crate) fn of_visitor(&self, visitor: u64) -> impl Iterator<Item = &[u8]> {
        let mut rng = Rng::with_seed(SEED + visitor);
        let all = self.sums.last().copied().unwrap_or_default();
        std::iter::repeat_with(move || {
            let point = rng.f64() * all;
            self.requests[self.sums.partition_point(|sum| *sum <= point)].as_slice()
        })
    }
}

/// The pages of the site that a page has links to. The counters are none of them: they are never cached.
fn links(page: &[u8]) -> Result<Vec<String>, Error> {
    let links = str::from_utf8(page)?.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = links.filter(|link| link.starts_with('/') && !link.starts_with("/stats"));
    Ok(own.map(|link| link.replace("&amp;", "&")).collect())
}
