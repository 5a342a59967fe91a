//! Functions and lists of all kinds.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    pin::Pin,
    sync::Arc,
};

use cache_request::{
    Cache,
    bounds::{CacheValue, EachAnswerOf, KeyPart},
    cache_request, scoped, scoped_sync,
};
use futures_lite::future::block_on;
use serde::{Deserialize, Serialize};

use super::{Asked, caches};

fn cache() -> Cache {
    caches().swap_remove(1).1
}

fn lengths(ids: &[u64]) -> Vec<u64> {
    vec![ids.len() as u64; ids.len()]
}

#[derive(Clone, Default)]
struct Repository {
    asked: Asked,
}

impl Repository {
    #[cache_request(skip(self), each(ids))]
    fn by_reference(&self, ids: &[u64]) -> Vec<u64> {
        self.asked.note(ids);
        lengths(ids)
    }

    #[cache_request(skip(self), each(ids))]
    async fn shared(self: &Arc<Self>, ids: &Vec<u64>) -> Vec<u64> {
        self.asked.note(ids);
        lengths(ids)
    }

    #[cache_request(skip(self), each(ids))]
    async fn by_value(mut self, mut ids: Vec<u64>) -> Vec<u64> {
        self.asked.note(&ids);
        self = Self::default();
        ids.iter_mut().for_each(|id| *id += 1);
        drop(self);
        ids
    }

    #[cache_request(skip(asked), each(ids), handle = Self)]
    async fn associated(asked: &Asked, ids: &[u64]) -> Vec<u64> {
        asked.note(ids);
        lengths(ids)
    }
}

#[test]
fn methods() {
    let (cache, repository) = (cache(), Repository::default());
    let shared = Arc::new(repository.clone());
    for _ in 0..2 {
        assert_eq!(scoped_sync(&cache, || repository.by_reference(&[1, 2])), [2, 2]);
        assert_eq!(block_on(scoped(&cache, shared.shared(&vec![1, 2]))), [2, 2]);
        assert_eq!(block_on(scoped(&cache, repository.clone().by_value(vec![1, 2]))), [2, 3]);
        assert_eq!(block_on(scoped(&cache, Repository::associated(&repository.asked, &[1, 2]))), [2, 2]);
    }
    assert_eq!(repository.asked.take(), vec![vec![1, 2]; 4]);
    assert_eq!(scoped_sync(&cache, || repository.by_reference_cache(1).peek()), Some(Some(2)));
    assert_eq!(
        block_on(scoped(&cache, async { Repository::associated_cache(&repository.asked, 1).peek().await })),
        Some(Some(2))
    );
}

/// Arguments beside the list are there for each body.
#[cache_request(skip(asked), each(ids))]
async fn with_owned(asked: Asked, ids: &[u64], name: String, (low, high): (u64, u64), [first]: [u8; 1]) -> Vec<String> {
    asked.note(ids);
    ids.iter().map(|id| format!("{name} {low} {high} {first} {id}")).collect()
}

#[expect(clippy::manual_async_fn, reason = "it is this form that is tested")]
#[cache_request(skip(asked), each(ids))]
fn future<'a>(asked: &'a Asked, ids: &'a [u64], name: String) -> impl Future<Output = Vec<String>> + Send + use<'a> {
    async move {
        asked.note(ids);
        ids.iter().map(|id| format!("{name} {id}")).collect()
    }
}

#[cache_request(skip(asked), each(ids))]
fn boxed<'a>(asked: &'a Asked, ids: &'a [u64]) -> Pin<Box<dyn Future<Output = Vec<u64>> + Send + 'a>> {
    asked.note(ids);
    Box::pin(async move { lengths(ids) })
}

#[test]
fn arguments_and_futures() {
    let (cache, asked) = (cache(), Asked::default());
    let list = [1, 2];
    for _ in 0..2 {
        let call = with_owned(asked.clone(), &list, "n".to_owned(), (3, 4), [5]);
        assert_eq!(block_on(scoped(&cache, call)), ["n 3 4 5 1", "n 3 4 5 2"]);
        assert_eq!(block_on(scoped(&cache, future(&asked, &list, "f".to_owned()))), ["f 1", "f 2"]);
        assert_eq!(block_on(scoped(&cache, boxed(&asked, &list))), [2, 2]);
    }
    assert_eq!(asked.take(), vec![vec![1, 2]; 3]);
    assert_eq!(
        block_on(scoped(&cache, async { future_cache(&asked, 1, "f".to_owned()).refresh().await })),
        Some("f 1".to_owned())
    );
}

#[cache_request(each(words))]
fn texts(words: &[&str], suffix: &str) -> HashMap<String, String> {
    words.iter().map(|word| ((*word).to_owned(), format!("{word}{suffix}"))).collect()
}

#[cache_request(each(words as word))]
async fn owned_texts(words: Vec<String>) -> BTreeMap<String, usize> {
    words.iter().map(|word| (word.clone(), word.len())).collect()
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Id {
    region: String,
    number: u32,
}

#[cache_request(each(ids), key = "place:{ids.region}:{ids.number}")]
fn of_structs(ids: &[Id]) -> BTreeMap<Id, String> {
    ids.iter().map(|id| (id.clone(), format!("{}-{}", id.region, id.number))).collect()
}

#[cache_request(each(ids as pair))]
fn of_pairs(ids: &[(u32, &str)]) -> Vec<String> {
    ids.iter().map(|(number, text)| format!("{number}{text}")).collect()
}

#[cache_request(each(ids as id), key = own_key)]
fn with_key_function(ids: &[&Id]) -> BTreeMap<Id, u32> {
    ids.iter().map(|id| ((*id).clone(), id.number)).collect()
}

fn own_key(id: &&Id) -> String {
    id.number.to_string()
}

#[test]
fn elements() {
    let (cache, id) = (cache(), Id { region: "eu".to_owned(), number: 7 });
    scoped_sync(&cache, || {
        for _ in 0..2 {
            assert_eq!(texts(&["a", "b"], "!")["a"], "a!");
            assert_eq!(block_on(owned_texts(vec!["abc".to_owned()]))["abc"], 3);
            assert_eq!(of_structs(std::slice::from_ref(&id))[&id], "eu-7");
            assert_eq!(of_pairs(&[(1, "x"), (2, "y")]), ["1x", "2y"]);
            assert_eq!(with_key_function(&[&id])[&id], 7);
        }
        assert_eq!(texts_cache("a", "!").peek(), Some(Some("a!".to_owned())));
        assert_eq!(of_pairs_cache((1, "x")).peek(), Some(Some("1x".to_owned())));
        assert!(of_structs_cache(id.clone()).key().unwrap().ends_with("of_structs?place:eu:7"));
        assert!(with_key_function_cache(&id).key().unwrap().ends_with("?7"));
    });
    assert_eq!(cache.stats().bodies(), 5);
}

type Users = HashMap<u64, String>;
type Outcome<T> = Result<T, Box<dyn Error>>;

/// Its error is not `Send`.
#[cache_request(each(ids))]
async fn aliases(ids: &[u64]) -> Outcome<Users> {
    if ids.contains(&0) { Err("zero".into()) } else { Ok(ids.iter().map(|id| (*id, id.to_string())).collect()) }
}

#[cache_request(each(ids))]
async fn generic<T: KeyPart + Copy + Send + Sync + Into<u64> + 'static, const N: usize>(ids: &[T]) -> Vec<u64> {
    ids.iter().map(|id| (*id).into() + N as u64).collect()
}

#[cache_request(each(ids))]
fn generic_answer<R: EachAnswerOf<u64> + FromIterator<u64>>(ids: &[u64]) -> R
where
    R::Value: CacheValue,
{
    ids.iter().copied().collect()
}

#[cache_request(local, each(ids))]
fn only_here(ids: &[u64], #[cfg(any())] gone: u8) -> Vec<Arc<str>> {
    ids.iter().map(|id| id.to_string().into()).collect()
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn types() {
    let cache = cache();
    let call = is_send(async {
        for _ in 0..2 {
            assert_eq!(aliases(&[1]).await.ok().unwrap()[&1], "1");
            assert_eq!(aliases(&[0]).await.err().map(|error| error.to_string()), Some("zero".to_owned()));
            assert_eq!(generic::<u32, 3>(&[1, 2]).await, [4, 5]);
            assert_eq!(generic::<u8, 4>(&[1, 2]).await, [5, 6]);
            assert_eq!(generic_answer::<Vec<u64>>(&[1, 2]), [1, 2]);
            assert_eq!(only_here(&[1, 2])[1].as_ref(), "2");
        }
    });
    block_on(scoped(&cache, call));
}

mod by_macro {
    use super::*;

    macro_rules! lists {
        ($($name:ident of $element:ty),*) => {$(
            #[cache_request(each(list))]
            fn $name(list: &[$element]) -> Vec<$element> {
                list.iter().map(|one| one + 1).collect()
            }
        )*};
    }

    lists!(bytes of u8, words of u32);

    #[test]
    fn functions_that_a_macro_makes() {
        scoped_sync(&cache(), || {
            assert_eq!((bytes(&[1, 2]), words(&[1, 2])), (vec![2, 3], vec![2, 3]));
            assert_eq!(bytes_cache(1).peek(), Some(Some(2)));
        });
    }
}
