use cache_request::cache_request;

trait Store {
    fn load(&self, id: u32) -> u32;
}

struct Shop;

impl Store for Shop {
    #[cache_request(skip(self))]
    fn load(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
