//! Arrays as arguments: of any length, by value and by reference, and inside other types.

use cache_request::{Cache, cache_request, scoped_sync};

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
