//! A cached `async` function. Many tasks call it at once, and its body runs once. Errors are not cached, and the cached
//! values of one client are not returned to another.
//!
//! ```text
//! cargo run -p cache-request-examples --bin asynchronous
//! ```
//!
//! It runs on tokio. The library does not need it: any executor will do.

use cache_request::{Error, cache_request, client_scope, stats};
use tokio::task::{JoinSet, yield_now};

#[cache_request(timeout = "1m")]
async fn greeting(name: String) -> Result<String, String> {
    println!("  greeting {name:?}");
    // Stands for what takes time: a query, a request to another server.
    for _ in 0..1000 {
        yield_now().await;
    }
    if name.is_empty() { Err("no name to greet".to_owned()) } else { Ok(format!("Hello, {name}!")) }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // The first caller runs the body. The others wait for it, and get a clone of what it returns.
    let mut tasks: JoinSet<_> = (0..100).map(|_| greeting("Ann".to_owned())).collect();
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.expect("no task panics").as_deref(), Ok("Hello, Ann!"));
    }
    println!("bodies run: {}", stats().bodies());

    // An `Err` goes to its caller, and the next call runs the body again.
    println!("{:?}", greeting(String::new()).await);
    println!("{:?}", greeting(String::new()).await);

    // A client's scope follows its task from thread to thread.
    for client in ["acme", "globex"] {
        let call = async {
            println!("{:?}", greeting("Ann".to_owned()).await);
            println!("key: {}", greeting_cache("Ann".to_owned()).key()?);
            Ok(())
        };
        client_scope(client, call).await?;
    }
    Ok(())
}
