use cache_request::cache_request;

struct Shop {
    region: String,
}

impl Shop {
    #[cache_request(timeout = 60)]
    fn by_reference(&self, id: u32) -> u32 {
        id
    }

    #[cache_request]
    async fn shared(self: std::sync::Arc<Self>, id: u32) -> u32 {
        id
    }

    #[cache_request(vary(region = "eu"))]
    fn varied_on_something_else(&self) -> u32 {
        1
    }
}

fn main() {}
