use cache_request::cache_request;

#[derive(serde::Serialize)]
struct Database;

#[cache_request(stale = 60, skip(database))]
fn by_reference(database: &Database, id: u32) -> u32 {
    let _ = database;
    id
}

#[cache_request(stale = 60)]
fn by_value(database: Database) -> u32 {
    let _ = database;
    1
}

struct Shop;

impl Shop {
    #[cache_request(stale = 60, skip(self))]
    fn stock(&self, article: u32) -> u32 {
        article
    }
}

#[cache_request(stale = 60)]
async fn stays_here(number: u32) -> u32 {
    let local = std::rc::Rc::new(number);
    std::future::ready(()).await;
    *local
}

fn main() {
    by_reference(&Database, 1);
    by_value(Database);
    Shop.stock(1);
}
