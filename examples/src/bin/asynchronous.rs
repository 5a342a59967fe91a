//! An `async` function that remembers: many tasks ask at once, its body runs once. Errors are not remembered, and what is
//! remembered for one client is not seen by another.
//!
//! ```text
//! cargo run -p cache-request-examples --bin asynchronous
//! ```
//!
//! It runs on tokio, which the library does not need: any executor will do.

use cache_request::{Error, cache_request, client_scope, stats};
use tokio::task::{JoinSet, yield_now};

#[cache_request(timeout = "1m")]
async fn greeting(name: String) -> Result<String, String> {
    println!("  greeting {name:?}");
    // Whatever takes its time: a query, a request to another server.
    for _ in 0..1000 {
        yield_now().await;
    }
    if name.is_empty() { Err("nobody to greet".to_owned()) } else { Ok(format!("Hello, {name}!")) }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // The first caller runs the body; all who come meanwhile wait for it, and get what it returns.
    let mut tasks: JoinSet<_> = (0..100).map(|_| greeting("Ann".to_owned())).collect();
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.expect("no task panics").as_deref(), Ok("Hello, Ann!"));
    }
    println!("bodies run: {}", stats().bodies());

    // An `Err` goes to its caller, and the next one tries again.
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
