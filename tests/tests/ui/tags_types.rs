use cache_request::cache_request;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Article {
    id: u32,
}

#[derive(Serialize)]
struct Plain(u32);

#[cache_request(tags("news", "article:{plain}"))]
fn of_no_text(plain: Plain) -> u32 {
    plain.0
}

#[cache_request(tags("article:{plain.1}"))]
fn of_no_field(plain: Plain) -> u32 {
    plain.0
}

#[cache_request(tags("author:{value.author}"))]
fn without_an_author(id: u32) -> Article {
    Article { id }
}

#[cache_request(tags("article:{value}"))]
fn without_text(id: u32) -> Result<Article, String> {
    Ok(Article { id })
}

#[cache_request(each(ids as id), tags("article:{id.author}", "article:{value}"))]
fn of_a_list(ids: &[u32]) -> Vec<Article> {
    ids.iter().map(|id| Article { id: *id }).collect()
}

struct Kept {
    id: u32,
}

// One error, and none about the tag.
#[cache_request(tags("article:{value.id}"))]
fn cannot_be_kept(id: u32) -> Kept {
    Kept { id }
}

fn main() {}
