use cache_request::cache_request;

struct Shop {
    region: String,
}

impl Shop {
    #[cache_request(vary(self.region))]
    fn method(&mut self, id: u32) -> u32 {
        id
    }
}

#[cache_request]
fn function(id: u32, out: &mut Vec<u32>) -> u32 {
    out.push(id);
    id
}

#[cache_request]
fn inside(out: Option<&mut u32>) -> u32 {
    out.map_or(0, |out| *out)
}

fn main() {}
