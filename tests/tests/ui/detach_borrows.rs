use cache_request::cache_request;

#[cache_request(detach)]
async fn borrowed(text: &str, id: u32) -> usize {
    text.len() + id as usize
}

#[cache_request(detach)]
fn plain(id: u32) -> u32 {
    id
}

struct Shop;

impl Shop {
    #[cache_request(detach, skip(self))]
    async fn price(&self, id: u32) -> u32 {
        id
    }
}

fn main() {}
