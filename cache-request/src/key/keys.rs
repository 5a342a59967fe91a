//! Ready-made shapes for a program's own keys: values that a `key = …` function may return.

use serde::Serialize;

pub use crate::key::KeyText;
use crate::key::percent;

/// A REST request: `url=<path>&params=<name>=<value>&<name>=<value>`.
///
/// With `prefix = "webtv"` and `name = "api"` on the attribute, the key of a request for `/video/5?lang=en&hd=1` reads
/// `webtv.<client>.api?url=/video/5&params=hd=1&lang=en`.
///
/// Parameters are sorted by name, so their order does not split the cache. Repeated names are kept in their order,
/// because servers may depend on it.
///
/// ```
/// use cache_request::keys;
///
/// let key = keys::rest("/video/5", [("lang", "en"), ("hd", "1")]);
/// assert_eq!(key, keys::rest("/video/5", [("hd", "1"), ("lang", "en")]));
/// assert_ne!(key, keys::rest("/video/5", [("hd", "1"), ("hd", "0")]));
/// ```
pub fn rest<K: AsRef<str>, V: AsRef<str>>(path: &str, query: impl IntoIterator<Item = (K, V)>) -> KeyText {
    let mut query: Vec<(K, V)> = query.into_iter().collect();
    query.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));

    let mut text = String::from("url=");
    percent::encode(&mut text, path.bytes(), |byte| byte == b'/' || percent::unreserved(byte));
    text.push_str("&params=");
    for (nth, (name, value)) in query.iter().enumerate() {
        if nth > 0 {
            text.push('&');
        }
        percent::encode(&mut text, name.as_ref().bytes(), percent::unreserved);
        text.push('=');
        percent::encode(&mut text, value.as_ref().bytes(), percent::unreserved);
    }
    KeyText::encoded(String::new(), Ok(text))
}

/// A remote procedure call: `.<module>.<function>?params=<arguments>`.
///
/// With `prefix = "myapp"` and `name = "gateway"` on the attribute, the key of a call of `find("Ann", 5)` in `users` reads
/// `myapp.<client>.gateway.users.find?params=Ann,5`.
///
/// ```
/// use cache_request::keys;
///
/// assert_eq!(keys::rpc("users", "find", &("Ann", 5)), keys::rpc("users", "find", &("Ann", 5u8)));
/// assert_ne!(keys::rpc("users", "find", &("Ann", 5)), keys::rpc("users", "find", &("Ann", "5")));
/// ```
pub fn rpc<T: Serialize + ?Sized>(module: &str, function: &str, arguments: &T) -> KeyText {
    let mut path = String::new();
    for segment in [module, function] {
        path.push('.');
        percent::encode(&mut path, segment.bytes(), percent::segment);
    }
    KeyText::encoded(path, crate::key::arguments(arguments).map(|text| format!("params={text}")))
}
