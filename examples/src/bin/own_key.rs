//! Own keys: a template, a function, and two ready-made forms.
//!
//! ```text
//! cargo run -p cache-request-examples --bin own_key
//! ```

use cache_request::keys::{self, KeyText};
use cache_request::{Error, cache_request};

/// It is not `Serialize`: the template below uses only its one field.
struct User {
    language: &'static str,
}

#[cache_request(name = "article", key = "{id}:{user.language}")]
fn article(id: u32, user: &User) -> String {
    format!("article {id} in {:?}", user.language)
}

/// A function makes the key from references to all arguments. With this one, capital letters make no difference.
#[cache_request(key = city_key)]
fn population(city: &str) -> usize {
    city.len() * 100_000
}

fn city_key(city: &str) -> String {
    city.to_lowercase()
}

/// A request to a REST service: its parameters are sorted, so their order does not matter.
#[cache_request(prefix = "webtv", name = "api", key = rest_key)]
fn get(path: &str, query: &[(&str, &str)]) -> String {
    format!("GET {path} with {} parameters", query.len())
}

fn rest_key(path: &str, query: &[(&str, &str)]) -> KeyText {
    keys::rest(path, query.iter().copied())
}

/// A remote procedure call: module, function and arguments.
#[cache_request(prefix = "myapp", name = "gateway", key = rpc_key)]
fn call(module: &str, function: &str, name: &str, age: u32) -> String {
    format!("{module}.{function}({name:?}, {age})")
}

fn rpc_key(module: &str, function: &str, name: &str, age: &u32) -> KeyText {
    keys::rpc(module, function, &(name, age))
}

fn main() -> Result<(), Error> {
    println!("{}", article(5, &User { language: "en" }));
    println!("{}", article_cache(5, &User { language: "en" }).key()?);
    println!("{} {}", population("Oslo"), population("OSLO"));
    println!("{}", population_cache("OSLO").key()?);
    println!("{}", get("/video/5", &[("lang", "en"), ("hd", "1")]));
    println!("{}", get_cache("/video/5", &[("hd", "1"), ("lang", "en")]).key()?);
    println!("{}", call("users", "find", "Ann", 5));
    println!("{}", call_cache("users", "find", "Ann", 5).key()?);
    Ok(())
}
