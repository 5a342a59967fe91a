use cache_request::cache_request;

struct Db;
struct State<T>(T);

#[cache_request]
async fn plain(id: u32, db: &Db) -> u32 {
    id
}

#[cache_request]
fn destructured(State(db): State<Db>) -> u32 {
    1
}

#[cache_request]
fn by_value(db: Db) -> u32 {
    1
}

struct Shop(Db);

impl Shop {
    #[cache_request(vary(self.0))]
    fn method(&self) -> u32 {
        1
    }
}

fn main() {}
