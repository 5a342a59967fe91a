//! Building a key allocates nothing once its thread has built a few.

use std::collections::{BTreeMap, HashMap};

use allocation_counter::measure;
use cache_request::__private::Key;
use serde::Serialize;

#[derive(Serialize)]
struct Query {
    text: String,
    pages: Vec<u32>,
    filters: HashMap<String, BTreeMap<String, f64>>,
    address: std::net::IpAddr,
}

#[test]
fn building_a_key_never_allocates() {
    let filters =
        |n: i32| (0..n).map(|n| (n.to_string(), (0..n).map(|n| (n.to_string(), n.into())).collect())).collect();
    let query = Query {
        text: "long text ".repeat(500),
        pages: (0..100).collect(),
        filters: filters(20),
        address: std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let build = || {
        let mut key = Key::new();
        key.fill(|key| {
            key.part(&5);
            key.part(&query);
            key.part(&format_args!("{}", 5.5));
            key.part(&Some("text"));
        });
        assert_eq!(key.error(), None);
        assert!(key.words().len() > 500);
        key.hash()
    };
    // The buffers find their size, whichever of them serves as what.
    let hashes: Vec<u64> = (0..10).map(|_| build()).collect();

    let allocations = measure(|| assert_eq!(build(), hashes[0]));
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
