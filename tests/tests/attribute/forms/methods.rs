//! Methods, associated functions and traits.

use std::{pin::Pin, rc::Rc, sync::Arc};

use cache_request::cache_request;
use futures_lite::future::block_on;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shop {
    region: String,
    number: u32,
}

impl Shop {
    #[cache_request(vary(self.region))]
    fn by_reference(&self, id: u32) -> String {
        format!("{}{id}", self.region)
    }

    #[cache_request(vary(self.region, number = self.number + 1))]
    pub(crate) async fn asynchronous(&self, id: &str) -> String {
        format!("{}{id}{}", self.region, self.number)
    }

    #[cache_request(vary(self))]
    fn by_value(self) -> u32 {
        self.number
    }

    #[cache_request(vary(self))]
    fn mutable_value(mut self, by: u32) -> u32 {
        self.number += by;
        self.number
    }

    #[cache_request(skip(self))]
    fn mutable_reference(&mut self, by: u32) -> u32 {
        self.number += by;
        by
    }

    #[cache_request(vary(self.number))]
    fn arc(self: Arc<Self>) -> u32 {
        self.number
    }

    #[cache_request(vary(self.number))]
    fn mutable_box(mut self: Box<Self>) -> u32 {
        self.number += 1;
        self.number
    }

    #[cache_request(vary(self.number))]
    fn rc(self: &Rc<Self>) -> u32 {
        self.number
    }

    #[cache_request(vary(self.number))]
    async fn pinned(self: Pin<&Self>) -> u32 {
        self.number
    }

    #[cache_request(key = "shop:{self.region}:{id}")]
    fn own_key(&self, id: u32) -> String {
        format!("{}{id}", self.region)
    }

    #[cache_request(key = Self::key_of)]
    fn own_key_function(&self, id: u32, text: &str) -> String {
        format!("{}{id}{text}", self.region)
    }

    fn key_of(&self, id: &u32, text: &str) -> String {
        format!("{}:{id}:{text}", self.region)
    }

    #[cache_request]
    fn open(number: u32) -> Self {
        Self { region: "eu".to_owned(), number }
    }

    #[cache_request(handle = Self)]
    fn says_nothing_of_its_type(number: u32) -> u32 {
        number
    }

    #[cache_request(handle = false)]
    fn without_companion(number: u32) -> u32 {
        number
    }
}

#[test]
fn receivers() {
    let mut shop = Shop { region: "eu".to_owned(), number: 1 };
    for _ in 0..2 {
        assert_eq!(shop.by_reference(2), "eu2");
        assert_eq!(block_on(shop.asynchronous("2")), "eu21");
        assert_eq!(shop.clone().by_value(), 1);
        assert_eq!(shop.clone().mutable_value(2), 3);
        assert_eq!(Arc::new(shop.clone()).arc(), 1);
        assert_eq!(Box::new(shop.clone()).mutable_box(), 2);
        assert_eq!(Rc::new(shop.clone()).rc(), 1);
        assert_eq!(block_on(Pin::new(&shop).pinned()), 1);
        assert_eq!(shop.own_key(2), "eu2");
        assert_eq!(shop.own_key_function(2, "x"), "eu2x");
        assert_eq!(shop.by_reference_cache(2).refresh(), "eu2");
    }
    assert_eq!(shop.mutable_reference(2), 2);
}

#[test]
fn associated_functions() {
    for _ in 0..2 {
        assert_eq!(Shop::open(1).number, 1);
        assert_eq!(Shop::says_nothing_of_its_type(1), 1);
        assert_eq!(Shop::without_companion(1), 1);
    }
    assert_eq!(Shop::open_cache(1).refresh().number, 1);
    assert_eq!(Shop::says_nothing_of_its_type_cache(1).refresh(), 1);
}

struct Generic<'a, T> {
    item: &'a T,
}

impl<'a, T: Serialize + Clone + ToString> Generic<'a, T> {
    #[cache_request(vary(self.item))]
    fn shown(&self, times: usize) -> String {
        self.item.to_string().repeat(times)
    }

    #[cache_request]
    fn length<U: ToString + Serialize>(item: &'a T, other: &U) -> usize
    where
        Self: Sized,
    {
        item.to_string().len() + other.to_string().len()
    }
}

#[test]
fn generic_types() {
    let generic = Generic { item: &12 };
    assert_eq!([generic.shown(2), generic.shown(2)], ["1212", "1212"]);
    assert_eq!([Generic::length(&12, &"x"), Generic::length(&12, &"x")], [3, 3]);
}

trait Store {
    fn region(&self) -> String;

    fn load(&self, id: u32) -> String;

    #[cache_request(vary(region = self.region()))]
    fn default_method(&self, id: u32) -> String {
        format!("default {}{id}", self.region())
    }

    #[cache_request(skip(self), handle = false)]
    fn boxed(&self, id: u32) -> Pin<Box<dyn Future<Output = u32> + Send + '_>> {
        Box::pin(async move { id })
    }
}

impl Store for Shop {
    fn region(&self) -> String {
        self.region.clone()
    }

    #[cache_request(handle = false, vary(self.region))]
    fn load(&self, id: u32) -> String {
        format!("{}{id}", self.region)
    }
}

trait AsyncStore {
    fn load(&self, id: u32) -> impl Future<Output = String> + Send;
}

impl AsyncStore for Shop {
    #[cache_request(handle = false, vary(self.region))]
    async fn load(&self, id: u32) -> String {
        format!("{}{id}", self.region)
    }
}

#[test]
fn traits() {
    let shop = Shop { region: "eu".to_owned(), number: 1 };
    for _ in 0..2 {
        assert_eq!(Store::load(&shop, 1), "eu1");
        assert_eq!(shop.default_method(1), "default eu1");
        assert_eq!(block_on(shop.boxed(3)), 3);
        assert_eq!(block_on(AsyncStore::load(&shop, 1)), "eu1");
    }
    assert_eq!(shop.default_method_cache(1).refresh(), "default eu1");
}

#[async_trait::async_trait]
trait DynStore {
    async fn load(&self, id: &str, numbers: (u32, u32)) -> Result<String, std::fmt::Error>;

    #[cache_request(skip(self))]
    async fn provided(&self, id: u32) -> u32
    where
        Self: Sync,
    {
        id
    }
}

#[async_trait::async_trait]
impl DynStore for Shop {
    #[cache_request(timeout = "5m", vary(self.region))]
    async fn load(&self, id: &str, (one, two): (u32, u32)) -> Result<String, std::fmt::Error> {
        if id.is_empty() {
            return Err(std::fmt::Error);
        }
        futures_lite::future::yield_now().await;
        Ok(format!("{}{id}{one}{two}", self.region))
    }
}

#[test]
fn async_trait() {
    let shop: Box<dyn DynStore + Sync> = Box::new(Shop { region: "eu".to_owned(), number: 1 });
    for _ in 0..2 {
        assert_eq!(block_on(shop.load("a", (1, 2))).unwrap(), "eua12");
        assert_eq!(block_on(shop.provided(1)), 1);
        assert!(block_on(shop.load("", (1, 2))).is_err());
    }
}
