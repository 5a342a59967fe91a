//! Arrays as arguments: of any length, by value and by reference, and inside other types.

use cache_request::{Cache, Source, cache_request, scoped_sync};

#[cache_request]
fn long(digest: [u8; 64]) -> usize {
    digest.len()
}

#[cache_request]
fn borrowed(digest: &[u8; 64], many: &[u8; 100]) -> usize {
    digest.len() + many.len()
}

#[cache_request]
fn generic<const N: usize>(numbers: [u32; N]) -> u32 {
    numbers.into_iter().sum()
}

type Hash = [u8; 64];

#[cache_request]
fn alias(hash: Hash, borrowed: &Hash) -> usize {
    hash.len() + borrowed.len()
}

#[cache_request]
fn many(hashes: Vec<Hash>, slice: &[Hash], optional: Option<Vec<[Hash; 1]>>, boxed: Box<Hash>) -> usize {
    hashes.len() + slice.len() + optional.map_or(0, |hashes| hashes.len()) + boxed.len()
}

fn first_byte(hash: &[u8; 64]) -> String {
    hash[0].to_string()
}

#[cache_request(key = first_byte)]
fn by_function(hash: Hash) -> u8 {
    hash[0]
}

#[cache_request(key = "hash:{hash}")]
fn in_template(hash: Hash) -> u8 {
    hash[0]
}

#[cache_request]
#[expect(clippy::type_complexity, reason = "all at once")]
fn inside(option: Option<[u8; 40]>, pair: (u8, &[u8; 40]), nested: [[u8; 40]; 2], of_option: Option<&[u8; 40]>) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let nested: u32 = nested.iter().map(|bytes| sum(bytes)).sum();
    sum(option.as_ref().map_or(&[], |bytes| &bytes[..])) + sum(pair.1) + nested + sum(of_option.map_or(&[], |b| &b[..]))
}

/// The same keys as before arrays of all lengths were keyed.
#[cache_request(name = "short")]
fn short(bytes: [u8; 3]) -> u8 {
    bytes[0]
}

#[test]
fn an_array_of_more_than_32_elements_was_no_key() {
    scoped_sync(&Cache::memory(), || {
        assert_eq!(long([1; 64]), 64);
        assert_eq!(long_cache([1; 64]).peek(), Some(64));
        assert_eq!(long_cache([2; 64]).peek(), None);
        assert_eq!(generic([1; 50]), 50);
        assert_eq!(generic_cache([1; 50]).peek(), Some(50));
        assert_eq!(generic_cache([1; 51]).peek(), None);
        assert_eq!(inside(Some([1; 40]), (1, &[1; 40]), [[1; 40]; 2], None), 160);
        assert_eq!(inside_cache(Some([1; 40]), (1, &[1; 40]), [[1; 40]; 2], None).peek(), Some(160));
        assert_eq!(inside_cache(None, (1, &[1; 40]), [[1; 40]; 2], Some(&[1; 40])).peek(), None);
        assert!(short_cache([1, 2, 3]).key().unwrap().ends_with("short?bytes=(1,2,3)"));
    });
}

#[test]
fn an_array_behind_an_alias_or_in_a_vec_was_no_key() {
    scoped_sync(&Cache::memory(), || {
        assert_eq!(alias([1; 64], &[2; 64]), 128);
        assert_eq!(alias_cache([1; 64], &[2; 64]).peek(), Some(128));
        assert_eq!(alias_cache([2; 64], &[1; 64]).peek(), None);
        let (one, two) = ([[1; 64]], [[2; 64]]);
        let call = |hashes: &[Hash], slice| {
            many_cache(hashes.to_vec(), slice, Some(vec![[[3; 64]]]), Box::new([4; 64])).call_traced()
        };
        assert_eq!(call(&one, &two), (67, Source::Body));
        assert_eq!(call(&one, &two), (67, Source::Memory));
        assert_eq!(call(&two, &one), (67, Source::Body));
        assert_ne!(
            many_cache(vec![[1; 64]], &[], None, Box::new([4; 64])).key().unwrap(),
            many_cache(vec![], &[[1; 64]], None, Box::new([4; 64])).key().unwrap(),
        );
    });
}

#[test]
fn a_key_function_of_an_array_got_a_slice() {
    scoped_sync(&Cache::memory(), || {
        assert_eq!(by_function([7; 64]), 7);
        assert!(by_function_cache([7; 64]).key().unwrap().ends_with("?7"));
        assert_eq!(in_template([7; 64]), 7);
        assert_eq!(in_template_cache([8; 64]).peek(), None);
    });
}
