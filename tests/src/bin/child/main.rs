//! The processes that tests start: `child <which> <arguments>`.

mod file;
mod fleet;
mod forks;
mod full_disk;
mod near_cost;
mod pages;
mod sql;
mod two_calls;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["file", arguments @ ..] => file::main(arguments),
        ["fleet", arguments @ ..] => fleet::main(arguments),
        ["forks", arguments @ ..] => forks::main(arguments),
        ["full_disk", arguments @ ..] => full_disk::main(arguments),
        ["near_cost"] => near_cost::main(),
        ["pages", arguments @ ..] => pages::main(arguments),
        ["sql", arguments @ ..] => sql::main(arguments),
        ["two_calls", arguments @ ..] => two_calls::main(arguments),
        _ => panic!("no such process: {arguments:?}"),
    }
}
