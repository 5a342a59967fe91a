//! Batches of claims and of fenced values.

use std::time::Duration;

use super::{
    harness::{HOUR, Harness},
    steps::{holds, holds_many, invalidates, leased, missing, outcomes, set},
};
use crate::{
    backend::{
        contract::{Backend, Item},
        fencing::{Claim, ClaimKind, Fence, Right},
    },
    base::random,
};

/// Batches have one outcome for each key, in order, of whichever kind the claims are. A key that is given twice is claimed once.
pub async fn a_batch_of_claims_has_an_outcome_for_each_key(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    set(&backend, "there", b"value", Some(HOUR)).await;
    invalidates(&backend, "refused", HOUR, false).await;
    let held = leased(&backend, "held", ClaimKind::Missing, HOUR).await;
    let keys = ["new", "there", "refused", "held", "new", "other"];
    let (values, rights) = claim_many(&backend, &keys, ClaimKind::Missing).await;
    assert_eq!(values, [None, Some(b"value".to_vec()), None, None, None, None], "the values of {keys:?}");
    let (Right::Leased(new), Right::Leased(other)) = (rights[0], rights[5]) else { panic!("{keys:?} get {rights:?}") };
    assert_eq!(rights[1], Right::None, "{keys:?} get {rights:?}");
    assert!(matches!(rights[2], Right::Refused(_)), "{keys:?} get {rights:?}");
    assert!(matches!(rights[3], Right::Held(fence, _) if fence == held), "{keys:?} get {rights:?}");
    assert!(matches!(rights[4], Right::Held(fence, _) if fence == new), "{keys:?} get {rights:?}");

    let keys = ["held", "there"];
    let (values, rights) = claim_many(&backend, &keys, ClaimKind::Any).await;
    assert_eq!(values, [None, Some(b"value".to_vec())], "the values of {keys:?}");
    let Right::Leased(there) = rights[1] else { panic!("{keys:?}, to replace their values, get {rights:?}") };
    assert!(matches!(rights[0], Right::Held(fence, _) if fence == held), "{keys:?} get {rights:?}");

    let keys = ["there", "refused", "held"];
    let (values, rights) = claim_many(&backend, &keys, ClaimKind::Anew).await;
    assert_eq!(values, [Some(b"value".to_vec()), None, None], "the values of {keys:?}");
    let (Right::Leased(anew), Right::Leased(held_anew)) = (rights[0], rights[2]) else {
        panic!("{keys:?}, claimed anew, get {rights:?}")
    };
    assert!(matches!(rights[1], Right::Refused(_)), "{keys:?} get {rights:?}");
    assert!(anew != there && held_anew != held, "a fence was used again");

    assert!(claim_many(&backend, &[], ClaimKind::Missing).await.1.is_empty(), "claims of no keys");
    assert!(backend.set_fenced_many(&[]).await.is_empty(), "no items");
    let item = |key, value, timeout| Item { key, value, timeout };
    let items = [
        (item("new", b"new", Some(HOUR)), new),
        (item("there", b"not", Some(HOUR)), there),
        (item("other", b"other", None), other),
        (item("new", b"again", Some(HOUR)), new),
        (item("never-claimed", b"not", None), other),
        (item("held", b"none", Some(Duration::ZERO)), held_anew),
    ];
    assert_eq!(set_fenced_many(&backend, &items).await, [true, false, true, false, false, true], "what is stored");
    for (key, value) in [("new", &b"new"[..]), ("there", b"value"), ("other", b"other")] {
        holds(&backend, key, value).await;
    }
    for key in ["never-claimed", "held", "refused"] {
        missing(&backend, key).await;
    }
    assert_eq!(set_fenced_many(&backend, &[(item("there", b"newer", None), anew)]).await, [true]);
    holds(&backend, "there", b"newer").await;
    if harness.time_stands_still() {
        harness.advance(HOUR).await;
        missing(&backend, "new").await;
        holds(&backend, "other", b"other").await;
    }
}

/// A thousand keys are claimed in one batch, and their values stored in another.
pub async fn a_thousand_claims_in_one_batch(harness: &impl Harness) {
    let backend = harness.backend().await;
    if !backend.has_fences() {
        return;
    }
    let keys: Vec<String> = (0..1000).map(|number| format!("key{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let fences = |rights: &[Right]| -> Vec<Fence> {
        let fence = |right: &Right| match right {
            Right::Leased(fence) => *fence,
            right => panic!("a claim of one of a thousand keys, all free, gets {right:?}"),
        };
        rights.iter().map(fence).collect()
    };
    for (round, kind) in [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew].into_iter().enumerate() {
        let fences = fences(&claim_many(&backend, &keys, kind).await.1);
        let values: Vec<String> = keys.iter().map(|key| format!("{key} of round {round}")).collect();
        let items = keys.iter().zip(&values).zip(&fences);
        let items: Vec<(Item<'_>, Fence)> = items
            .map(|((key, value), fence)| (Item { key, value: value.as_bytes(), timeout: Some(HOUR) }, *fence))
            .collect();
        let stored = set_fenced_many(&backend, &items).await;
        assert_eq!(stored.iter().filter(|stored| **stored).count(), 1000, "how many of a thousand values were stored");
        let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
        holds_many(&backend, &keys, &values).await;
    }
}

async fn claim_many(backend: &impl Backend, keys: &[&str], kind: ClaimKind) -> (Vec<Option<Vec<u8>>>, Vec<Right>) {
    let claim = Claim { kind, token: random::number(), lease: HOUR };
    let claimed = outcomes("claim_many", keys, backend.claim_many(keys, claim).await);
    claimed.into_iter().map(|claimed| (claimed.value, claimed.right)).unzip()
}

async fn set_fenced_many(backend: &impl Backend, items: &[(Item<'_>, Fence)]) -> Vec<bool> {
    let keys: Vec<&str> = items.iter().map(|(item, _)| item.key).collect();
    outcomes("set_fenced_many", &keys, backend.set_fenced_many(items).await)
}
