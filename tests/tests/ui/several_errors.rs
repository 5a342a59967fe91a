use cache_request::cache_request;

#[cache_request(timeout = "soon", wen = |v| true, skip(db), name = "", cache_err, local = 1)]
fn f((a, b): (u32, u32), out: &mut Vec<u32>) -> &str {
    out.push(a + b);
    "a"
}

// The function is still there: this call is no error.
fn caller() {
    f((1, 2), &mut Vec::new());
}

fn main() {}
