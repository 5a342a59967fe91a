use cache_request::cache_request;

#[cache_request(tags)]
fn without_a_list() -> u32 {
    1
}

#[cache_request(tags())]
fn nothing() -> u32 {
    1
}

#[cache_request(tags(id, 5))]
fn no_text(id: u32) -> u32 {
    id
}

#[cache_request(tags("news" "home"))]
fn no_comma() -> u32 {
    1
}

#[cache_request(tags("", "breaking news", "a\tb", "a{id}\u{7f}"))]
fn no_tags(id: u32) -> u32 {
    id
}

#[cache_request(tags("01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456{id}"))]
fn long(id: u32) -> u32 {
    id
}

#[cache_request(tags("news", "article:{id}", "news", "article:{id}"))]
fn twice(id: u32) -> u32 {
    id
}

#[cache_request(tags("article:{id", "article:id}", "article:{id + 1}"))]
fn braces(id: u32) -> u32 {
    id
}

#[cache_request(tags("user:{user}:{id}", "shop:{self.region}"))]
fn unknown(id: u32, lang: &str) -> usize {
    id as usize + lang.len()
}

#[cache_request(tags("pair:{pair}", "pair:{first}"))]
fn pattern((first, _): (u32, u32)) -> u32 {
    first
}

#[cache_request(each(ids as id), tags("article:{ids}"))]
fn list(ids: &[u32]) -> Vec<u32> {
    ids.to_vec()
}

#[cache_request(tags("article:{id}:{value.author}"))]
fn mixed(id: u32) -> u32 {
    id
}

#[cache_request(tags("answer:{value}"))]
fn named_value(value: u32) -> u32 {
    value
}

#[cache_request(each(values as value), tags("answer:{value.author}"))]
fn element_named_value(values: &[u32]) -> Vec<u32> {
    values.to_vec()
}

#[cache_request(tags("a"), tags("b"))]
fn two_lists() -> u32 {
    1
}

#[cache_request(inherit_tags)]
fn inherits() -> u32 {
    1
}

#[cache_request(inherit_tags = "no")]
fn inherits_not() -> u32 {
    1
}

#[cache_request(timeout = 0, tags("news"), inherit_tags = false)]
fn nothing_is_kept() -> u32 {
    1
}

fn main() {}
