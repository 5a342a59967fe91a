use cache_request::cache_request;

#[derive(serde::Serialize, serde::Deserialize)]
struct Page(String);

struct Handle(std::rc::Rc<u32>);

#[cache_request]
fn plain(id: u32) -> Page {
    Page(id.to_string())
}

#[cache_request(local)]
fn local(id: u32) -> Handle {
    Handle(std::rc::Rc::new(id))
}

fn main() {}
