use cache_request::cache_request;

#[cache_request(foreground)]
fn nothing_to_do() -> u32 {
    1
}

#[cache_request(retry = 5)]
fn nothing_to_try() -> u32 {
    1
}

#[cache_request(timeout = never, stale = 60)]
fn always_fresh() -> u32 {
    1
}

#[cache_request(timeout_err = 5, cache_err)]
fn twice() -> Result<u32, String> {
    Ok(1)
}

#[cache_request(timeout_err = 5, stale_if_error = 60)]
fn kept_or_answered() -> Result<u32, String> {
    Ok(1)
}

#[cache_request(stale = 60, foreground, detach)]
async fn whose() -> u32 {
    1
}

#[cache_request(timeout = 0, stale = 60)]
fn never_kept() -> u32 {
    1
}

#[cache_request(timeout_err = 5)]
fn no_result() -> u32 {
    1
}

#[cache_request(cache_err, stale_if_error = 60)]
fn a_value_or_a_failure() -> Result<u32, String> {
    Ok(1)
}

#[cache_request(stale_after = "200ms")]
fn nothing_to_return() -> u32 {
    1
}

#[cache_request(stale = 60, stale_if_error = 60, stale_after = 1, foreground)]
fn here_or_in_the_background() -> u32 {
    1
}

#[cache_request(stale_if_error = 60, stale_after = 1, detach)]
async fn detached_twice() -> u32 {
    1
}

#[cache_request(stale_if_error = 60, stale_after = 0)]
fn after_no_time() -> u32 {
    1
}

fn main() {}
