//! The texts of keys.

use super::*;

#[cache_request]
fn free(id: u32, name: Option<&str>) -> u32 {
    id + name.map_or(0, |name| name.len() as u32)
}

#[cache_request]
fn none() -> u32 {
    0
}

#[cache_request]
async fn later(id: u32) -> u32 {
    id
}

#[cache_request]
fn generic<T: Serialize, const N: usize>(item: T) -> u32 {
    let _ = item;
    N as u32
}

#[cache_request(name = "a.name")]
fn named(id: u32) -> u32 {
    id
}

#[cache_request(name = "one")]
fn named_generic<T: Serialize>(item: T) -> u32 {
    let _ = item;
    0
}

#[cache_request(version = 3)]
fn versioned(id: u32) -> u32 {
    id
}

#[cache_request(prefix = "shop")]
fn prefixed(id: u32) -> u32 {
    id
}

#[cache_request(prefix = "shop", name = "all", version = "b")]
fn all(id: u32) -> u32 {
    id
}

#[cache_request(key = "article:{id}:{lang}")]
fn template(id: u32, lang: &str) -> u32 {
    id + lang.len() as u32
}

#[cache_request(key = |id: &u32, _: &str| format!("nr {id}"))]
fn own(id: u32, lang: &str) -> u32 {
    id + lang.len() as u32
}

#[cache_request(prefix = "webtv", name = "api", key = |path: &str, query: &[(&str, &str)]| keys::rest(path, query.iter().copied()))]
fn rest(path: &str, query: &[(&str, &str)]) -> u32 {
    (path.len() + query.len()) as u32
}

#[cache_request(prefix = "myapp", name = "gateway", key = |name: &str, id: &u32| keys::rpc("users", "find", &(name, id)))]
fn rpc(name: &str, id: u32) -> u32 {
    name.len() as u32 + id
}

struct Shop {
    region: &'static str,
}

impl Shop {
    #[cache_request(skip(self))]
    fn price(&self, id: u32) -> u32 {
        id + self.region.len() as u32
    }

    #[cache_request(vary(self.region))]
    async fn stock(&self, id: u32) -> u32 {
        id + self.region.len() as u32
    }

    #[cache_request(handle = Self)]
    fn open(id: u32) -> u32 {
        id
    }
}

struct Pair<T>(T);

impl<T: Copy + 'static> Pair<T> {
    #[cache_request(skip(self))]
    fn len(&self, id: u32) -> u32 {
        let _ = self.0;
        id
    }
}

trait Label {
    #[cache_request(skip(self))]
    fn label(&self, id: u32) -> u32 {
        id
    }
}

impl Label for Shop {}
impl Label for Pair<u8> {}

#[test]
fn of_free_functions() {
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        assert_eq!(free_cache(1, None).key().unwrap(), "attribute..companion.texts.free?id=1&name=!");
        assert_eq!(free_cache(1, Some("a b&c")).key().unwrap(), "attribute..companion.texts.free?id=1&name=a%20b%26c");
        assert_eq!(none_cache().key().unwrap(), "attribute..companion.texts.none");
        assert_eq!(later_cache(1).key().unwrap(), "attribute..companion.texts.later?id=1");
        assert_eq!(generic_cache::<_, 2>(1_u8).key().unwrap(), "attribute..companion.texts.generic(u8,2)?item=1");
        assert_eq!(
            generic_cache::<_, 3>(String::new()).key().unwrap(),
            "attribute..companion.texts.generic(alloc.string.String,3)?item='"
        );
    });
}

#[test]
fn of_an_inner_function() {
    #[cache_request]
    fn inner(id: u32) -> u32 {
        id
    }
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        assert_eq!(inner(1), 1);
        assert_eq!(inner_cache(1).key().unwrap(), "attribute..companion.texts.of_an_inner_function.inner?id=1");
    });
}

#[test]
fn of_methods() {
    let (cache, _) = memory();
    let shop = Shop { region: "eu" };
    scoped_sync(&cache, || {
        assert_eq!(shop.price_cache(1).key().unwrap(), "attribute..companion.texts.Shop.price?id=1");
        assert_eq!(shop.stock_cache(1).key().unwrap(), "attribute..companion.texts.Shop.stock?id=1&self.region=eu");
        assert_eq!(Shop::open_cache(1).key().unwrap(), "attribute..companion.texts.Shop.open?id=1");
        assert_eq!(Pair(1_u8).len_cache(1).key().unwrap(), "attribute..companion.texts.Pair(u8).len?id=1");
        assert_eq!(Pair("").len_cache(1).key().unwrap(), "attribute..companion.texts.Pair(&str).len?id=1");
        assert_eq!(
            shop.label_cache(1).key().unwrap(),
            "attribute..(attribute.companion.texts.Shop%20as%20attribute.companion.texts.Label).label?id=1"
        );
        assert_eq!(
            Pair(1_u8).label_cache(1).key().unwrap(),
            "attribute..(attribute.companion.texts.Pair(u8)%20as%20attribute.companion.texts.Label).label?id=1"
        );
    });
}

mod load_cache {
    use super::*;

    #[cache_request]
    pub(super) fn load(id: u32) -> u32 {
        id
    }
}

mod load {
    use super::*;

    #[cache_request]
    pub(super) fn load_cache<T: 'static>(id: u32) -> u32 {
        let _ = size_of::<T>();
        id
    }

    #[cache_request]
    pub(super) fn load_cache_one(id: u32) -> u32 {
        id
    }
}

#[test]
fn of_what_is_named_like_a_companion() {
    struct Load;
    impl Load {
        #[cache_request(skip(self))]
        fn load(&self, id: u32) -> u32 {
            id
        }
    }
    let (cache, _) = bytes();
    scoped_sync(&cache, || {
        assert_eq!(
            [load_cache::load(1), load::load_cache::<u8>(2), load::load_cache_one(3), Load.load(4)],
            [1, 2, 3, 4]
        );
        assert_eq!(load_cache::load_cache(1).key().unwrap(), "attribute..companion.texts.load_cache.load?id=1");
        assert_eq!(
            load::load_cache_cache::<u8>(1).key().unwrap(),
            "attribute..companion.texts.load.load_cache(u8)?id=1"
        );
        assert_eq!(load::load_cache_one_cache(1).key().unwrap(), "attribute..companion.texts.load.load_cache_one?id=1");
        assert_eq!(
            Load.load_cache(1).key().unwrap(),
            "attribute..companion.texts.of_what_is_named_like_a_companion.Load.load?id=1"
        );
    });
    assert_eq!(cache.stats().functions.iter().map(|function| function.uncached).sum::<u64>(), 0);
}

#[test]
fn as_the_attribute_says() {
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        assert_eq!(named_cache(1).key().unwrap(), "attribute..a%2Ename?id=1");
        assert_eq!(
            named_generic_cache(1_u8).key().unwrap(),
            "attribute..one(companion.texts.named_generic(u8))?item=1"
        );
        assert_eq!(versioned_cache(1).key().unwrap(), "attribute..companion.texts.versioned@3?id=1");
        assert_eq!(prefixed_cache(1).key().unwrap(), "shop..attribute.companion.texts.prefixed?id=1");
        assert_eq!(all_cache(1).key().unwrap(), "shop..all@b?id=1");
        assert_eq!(template_cache(5, "en").key().unwrap(), "attribute..companion.texts.template?article:5:en");
        assert_eq!(own_cache(5, "en").key().unwrap(), "attribute..companion.texts.own?nr%205");
        assert_eq!(
            rest_cache("/video/5", &[("lang", "en"), ("hd", "1")]).key().unwrap(),
            "webtv..api?url=/video/5&params=hd=1&lang=en"
        );
        assert_eq!(rpc_cache("Ann", 5).key().unwrap(), "myapp..gateway.users.find?params=Ann,5");
    });
}

#[test]
fn of_a_client() {
    let (cache, _) = memory();
    scoped_sync(&cache, || {
        assert_eq!(
            client_scope_sync("acme", || free_cache(1, None).key().unwrap()),
            "attribute.acme.companion.texts.free?id=1&name=!"
        );
        assert_eq!(
            client_scope_sync("a.b c", || none_cache().key().unwrap()),
            "attribute.a%2Eb%20c.companion.texts.none"
        );
        assert_eq!(client_scope_sync("", || none_cache().key().unwrap()), "attribute.'.companion.texts.none");
        let rest = client_scope_sync("acme", || rest_cache("/video/5", &[]).key().unwrap());
        assert_eq!(rest, "webtv.acme.api?url=/video/5&params=");
        let rpc = block_on(client_scope("acme", async { rpc_cache("Ann", 5).key().unwrap() }));
        assert_eq!(rpc, "myapp.acme.gateway.users.find?params=Ann,5");
    });
}

#[test]
fn are_the_same_on_every_cache_but_for_its_prefix() {
    for cache in [memory().0, bytes().0, Cache::null()] {
        scoped_sync(&cache, || assert_eq!(none_cache().key().unwrap(), "attribute..companion.texts.none"));
    }
    let cache = Cache::builder().prefix("mine").build().unwrap();
    scoped_sync(&cache, || {
        assert_eq!(none_cache().key().unwrap(), "mine..attribute.companion.texts.none");
        assert_eq!(prefixed_cache(1).key().unwrap(), "shop..attribute.companion.texts.prefixed?id=1");
    });
}

#[test]
fn are_those_of_the_calls() {
    // What is called here is what the texts above are about.
    let (cache, _) = bytes();
    let shop = Shop { region: "eu" };
    scoped_sync(&cache, || {
        assert_eq!([free(1, None), none(), block_on(later(1)), generic::<u8, 2>(1)], [1, 0, 1, 2]);
        assert_eq!([named(1), named_generic(1_u8), versioned(1), prefixed(1), all(1)], [1, 0, 1, 1, 1]);
        assert_eq!([template(5, "en"), own(5, "en"), rest("/", &[]), rpc("Ann", 5)], [7, 7, 1, 8]);
        assert_eq!(
            [shop.price(1), block_on(shop.stock(1)), Shop::open(1), Pair("").len(1), shop.label(1)],
            [3, 3, 1, 1, 1]
        );
        assert_eq!(
            [free_cache(1, None).peek(), own_cache(5, "de").peek(), rpc_cache("Ann", 5).peek()],
            [Some(1), Some(7), Some(8)]
        );
        assert_eq!(
            [shop.price_cache(1).peek(), Pair("").len_cache(1).peek(), shop.label_cache(1).peek()],
            [Some(3), Some(1), Some(1)]
        );
    });
}
