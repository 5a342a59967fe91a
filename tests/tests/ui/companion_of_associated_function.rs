use cache_request::cache_request;

struct Shop;

impl Shop {
    #[cache_request]
    fn load(id: u32) -> u32 {
        id
    }
}

fn main() {}
