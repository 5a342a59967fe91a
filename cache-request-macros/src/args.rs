//! Parses the attribute's arguments.
//!
//! Knows the grammar of each argument, and which arguments contradict each other whatever the function is. An error in one argument
//! does not stop the parsing of the next.

mod contradictions;
mod each;
mod spans;
mod tags;
mod vary;

use std::time::Duration;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{
    Expr, ExprLit, ExprUnary, Lit, LitBool, LitInt, LitStr, Path, Token, UnOp,
    ext::IdentExt,
    parenthesized,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
    spanned::Spanned,
};

pub(crate) use self::{
    each::Each,
    tags::Tag,
    vary::{Extra, ExtraValue, FieldKind},
};
use self::{
    each::each,
    spans::{share, span},
    tags::tags,
    vary::vary,
};
use crate::{
    errors::Errors,
    names,
    template::{self, Template},
};

/// An argument whose value `parse` reads for the slot of [`Args`].
macro_rules! argument {
    ($name:literal, $after:expr, $slot:ident, $parse:ident) => {
        Argument {
            name: $name,
            after: $after,
            read: |input, name, args, errors| {
                set(&mut args.$slot, name, $parse(input)?, errors);
                Ok(())
            },
        }
    };
}

/// All arguments of the attribute.
const ARGUMENTS: [Argument; 34] = [
    argument!("timeout", After::Equals("timeout = 300"), timeout, timeout),
    argument!("timeout_with", After::Equals("timeout_with = |value| …"), timeout_with, after_equals),
    argument!("timeout_err", After::Equals("timeout_err = 5"), timeout_err, span),
    argument!("stale", After::Equals("stale = 60"), stale, span),
    argument!("stale_if_error", After::Equals("stale_if_error = \"1h\""), stale_if_error, span),
    argument!("stale_after", After::Equals("stale_after = \"200ms\""), stale_after, span),
    argument!("early", After::Equals("early = 0.9"), early, share),
    argument!("foreground", After::Nothing, foreground, flag),
    argument!("retry", After::Equals("retry = 1"), retry, span),
    argument!("jitter", After::Equals("jitter = 0.1"), jitter, share),
    argument!("idle", After::Equals("idle = 60"), idle, span),
    argument!("each", After::Parenthesis("each(ids)"), each, each),
    argument!("share", After::Equals("share = \"user\""), share, text),
    argument!("skip", After::Parenthesis("skip(db)"), skip, skip),
    argument!("vary", After::Parenthesis("vary(lang = lang())"), vary, vary),
    argument!("key", After::Equals("key = \"article:{id}\""), key, own_key),
    argument!("tags", After::Parenthesis("tags(\"article:{id}\")"), tags, tags),
    argument!("inherit_tags", After::Equals("inherit_tags = false"), inherit_tags, yes_or_no),
    argument!("name", After::Equals("name = \"…\""), name, text),
    argument!("version", After::Equals("version = 2"), version, version),
    argument!("prefix", After::Equals("prefix = \"…\""), prefix, text),
    argument!("cache", After::Equals("cache = \"…\""), cache, text),
    argument!("local", After::Nothing, local, flag),
    argument!("status", After::Parenthesis("status(200, 404)"), status, status),
    argument!("when", After::Equals("when = |value| …"), when, after_equals),
    argument!("weight", After::Equals("weight = |value| …"), weight, after_equals),
    argument!("max_entries", After::Equals("max_entries = 1000"), max_entries, max_entries),
    argument!("cache_err", After::Nothing, cache_err, flag),
    argument!("share_err", After::Nothing, share_err, flag),
    argument!("skip_none", After::Nothing, skip_none, flag),
    argument!("coalesce", After::Equals("coalesce = false"), coalesce, yes_or_no),
    argument!("detach", After::Nothing, detach, flag),
    argument!("handle", After::Equals("handle = false"), handle, handle),
    argument!("crate", After::Equals("crate = path"), krate, path),
];

/// An argument that the attribute knows.
struct Argument {
    name: &'static str,
    after: After,
    /// Reads its value, and puts it in its slot.
    read: fn(ParseStream<'_>, Name, &mut Args, &mut Errors) -> syn::Result<()>,
}

/// What follows an argument's name, as an example for messages.
enum After {
    /// Nothing is required.
    Nothing,
    Equals(&'static str),
    Parenthesis(&'static str),
}

/// An argument that was given.
pub(crate) struct Given<T> {
    pub(crate) name: Name,
    pub(crate) value: T,
}

/// An argument's name, and its position among the arguments.
#[derive(Clone)]
pub(crate) struct Name {
    pub(crate) ident: Ident,
    position: usize,
}

/// An argument, if it was given.
pub(crate) type Slot<T> = Option<Given<T>>;

/// The attribute's arguments.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) timeout: Slot<Timeout>,
    pub(crate) timeout_with: Slot<Expr>,
    pub(crate) timeout_err: Slot<Timeout>,
    pub(crate) stale: Slot<Timeout>,
    pub(crate) stale_if_error: Slot<Timeout>,
    pub(crate) stale_after: Slot<Timeout>,
    pub(crate) early: Slot<Expr>,
    pub(crate) foreground: Slot<bool>,
    pub(crate) retry: Slot<Timeout>,
    pub(crate) jitter: Slot<Expr>,
    pub(crate) idle: Slot<Timeout>,
    pub(crate) each: Slot<Each>,
    pub(crate) share: Slot<String>,
    pub(crate) skip: Slot<Vec<Ident>>,
    pub(crate) vary: Slot<Vec<Extra>>,
    pub(crate) key: Slot<OwnKey>,
    pub(crate) tags: Slot<Vec<Tag>>,
    pub(crate) inherit_tags: Slot<bool>,
    pub(crate) name: Slot<String>,
    pub(crate) version: Slot<String>,
    pub(crate) prefix: Slot<String>,
    pub(crate) cache: Slot<String>,
    pub(crate) local: Slot<bool>,
    pub(crate) status: Slot<Vec<u16>>,
    pub(crate) when: Slot<Expr>,
    pub(crate) weight: Slot<Expr>,
    pub(crate) max_entries: Slot<Expr>,
    pub(crate) cache_err: Slot<bool>,
    pub(crate) share_err: Slot<bool>,
    pub(crate) skip_none: Slot<bool>,
    pub(crate) coalesce: Slot<bool>,
    pub(crate) detach: Slot<bool>,
    pub(crate) handle: Slot<HandleArg>,
    pub(crate) krate: Slot<Path>,
}

/// `timeout = …`
pub(crate) enum Timeout {
    Fixed(Duration),
    Never,
    Expression(Expr),
}

/// `key = …`
pub(crate) enum OwnKey {
    Template(Template),
    Function(Expr),
}

/// `handle = …`
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandleArg {
    Yes,
    No,
    /// The companion is found at `Self::`.
    Associated,
}

/// Whether a flag is set: given, and not `= false`.
pub(crate) fn is_set(flag: &Slot<bool>) -> bool {
    flag.as_ref().is_some_and(|flag| flag.value)
}

/// Parses all arguments. An error in one does not stop the parsing of the next.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Args {
    let mut args = Args::default();
    let everything = |input: ParseStream<'_>| {
        let mut position = 0;
        while !input.is_empty() {
            position += 1;
            let argument = one(input, position, &mut args, errors).and_then(|()| end_of_argument(input));
            if let Err(error) = argument {
                errors.push(error);
                skip_to_comma(input);
            }
        }
        Ok(())
    };
    if let Err(error) = everything.parse2(tokens) {
        errors.push(error);
    }
    contradictions::find(&args, errors);
    each::contradictions(&args, errors);
    args
}

fn one(input: ParseStream<'_>, position: usize, args: &mut Args, errors: &mut Errors) -> syn::Result<()> {
    let ident = input
        .call(Ident::parse_any)
        .map_err(|error| syn::Error::new(error.span(), "expected an argument such as `timeout = 300` or `skip(db)`"))?;
    let name = names::plain(&ident);
    let Some(argument) = ARGUMENTS.iter().find(|argument| argument.name == name) else {
        return Err(syn::Error::new(ident.span(), unknown_argument(&name)));
    };
    argument.takes_value(input, &ident)?;
    (argument.read)(input, Name { ident, position }, args, errors)
}

impl Argument {
    /// Reports a missing value at the argument's name, as there may be no token after it.
    fn takes_value(&self, input: ParseStream<'_>, ident: &Ident) -> syn::Result<()> {
        let (is_there, example) = match self.after {
            After::Nothing => return Ok(()),
            After::Equals(example) => (input.peek(Token![=]), example),
            After::Parenthesis(example) => (input.peek(syn::token::Paren), example),
        };
        if is_there {
            return Ok(());
        }
        Err(syn::Error::new(ident.span(), format!("`{}` takes a value: `{example}`", self.name)))
    }
}

/// Checks that an argument is given once. No other place does.
fn set<T>(slot: &mut Slot<T>, name: Name, value: T, errors: &mut Errors) {
    if slot.is_some() {
        errors.at(&name.ident, format!("`{}` is given twice; keep one of them", names::plain(&name.ident)));
    } else {
        *slot = Some(Given { name, value });
    }
}

fn unknown_argument(unknown: &str) -> String {
    let known = ARGUMENTS.map(|argument| argument.name);
    let list = names::list(known);
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(others, _)| others.contains(&unknown)) {
        return format!("unknown argument `{unknown}`; {ours}. There are {list}");
    }
    match names::closest(unknown, known) {
        Some(meant) => format!("unknown argument `{unknown}`; did you mean `{meant}`? There are {list}"),
        None => format!("unknown argument `{unknown}`; there are {list}"),
    }
}

/// Names of arguments in other caches, and the names here.
const ELSEWHERE: [(&[&str], &str); 16] = [
    (
        &["time", "ttl", "expire", "expires", "expiry", "ttl_millis", "max_age"],
        "write `timeout = 300` (seconds) or `timeout = \"250ms\"`",
    ),
    (
        &["size", "max_size", "capacity", "max_capacity", "maxsize"],
        "write `max_entries = 1000`; the cache bounds the bytes of all its functions, see `max_bytes`",
    ),
    (&["result"], "only `Ok` values of a `Result` are cached unless you write `cache_err`, so leave it out"),
    (&["option"], "write `skip_none` to cache only `Some` values"),
    (&["key_prefix", "cache_prefix_block", "namespace"], "write `prefix = \"…\"`"),
    (
        &["unless", "cond", "condition", "cache_if", "if"],
        "write `when = |value| …`, which says which values are cached",
    ),
    (&["convert", "key_expr"], "write `key = \"article:{id}\"`, or `key = path::to::function`"),
    (&["ignore", "exclude", "without"], "write `skip(argument)`"),
    (
        &["sync_writes", "sync_lock", "single_flight"],
        "one body runs at a time for each key unless you write `coalesce = false`, so leave it out",
    ),
    (
        &["ty", "create", "disk", "redis", "map_error", "backend", "store"],
        "the program chooses the backend when it starts: `CACHE_URL` or `install`, and `cache = \"…\"` names another cache",
    ),
    (&["with_cached_flag"], "the companion's handle says where an answer came from: `call_traced()`"),
    (
        &["refresh", "time_refresh", "sliding", "time_to_idle", "tti"],
        "a hit does not prolong a timeout; `idle = 60` drops values that are not read",
    ),
    (&["stale_while_revalidate", "swr", "grace"], "write `stale = 60`"),
    (&["fail_safe", "stale_on_error", "result_fallback"], "write `stale_if_error = \"1h\"`"),
    (&["eager", "eager_refresh", "early_expiration", "beta"], "write `early = 0.9`"),
    (&["unbound", "unlimited"], "memory is always bounded; `timeout = never` keeps values until they are evicted"),
];

fn end_of_argument(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    input
        .parse::<Token![,]>()
        .map(drop)
        .map_err(|error| syn::Error::new(error.span(), "expected a comma before the next argument"))
}

fn skip_to_comma(input: ParseStream<'_>) {
    while let Ok(token) = input.parse::<TokenTree>() {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            break;
        }
    }
}

fn equals(input: ParseStream<'_>) -> syn::Result<()> {
    input.parse::<Token![=]>().map(drop)
}

fn after_equals(input: ParseStream<'_>) -> syn::Result<Expr> {
    equals(input)?;
    let mut value = input.parse()?;
    // The value of a `macro_rules` variable comes in a group of its own.
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    Ok(value)
}

fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    equals(input)?;
    input.call(Path::parse_mod_style)
}

fn timeout(input: ParseStream<'_>) -> syn::Result<Timeout> {
    let value = after_equals(input)?;
    let seconds = "write seconds (`300`), a text such as `\"5m\"` or `\"250ms\"`, a `Duration`, or `never`";
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => Ok(Timeout::Fixed(whole_seconds(int)?)),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => humantime::parse_duration(&text.value())
            .map(Timeout::Fixed)
            .map_err(|error| syn::Error::new(text.span(), format!("not a timeout: {error}; {seconds}"))),
        Expr::Lit(_) => Err(syn::Error::new(value.span(), format!("not a timeout; {seconds}"))),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) if matches!(**expr, Expr::Lit(_)) => {
            Err(syn::Error::new(value.span(), "a timeout is not negative; `0` stores nothing, `never` keeps for ever"))
        }
        Expr::Path(path) if path.path.is_ident("never") => Ok(Timeout::Never),
        _ => Ok(Timeout::Expression(value)),
    }
}

fn whole_seconds(int: &LitInt) -> syn::Result<Duration> {
    let suffix = int.suffix();
    if !matches!(suffix, "" | "u64") {
        let message = format!("a timeout has no suffix `{suffix}`: the number means seconds");
        return Err(syn::Error::new(int.span(), message));
    }
    let too_many = |_| syn::Error::new(int.span(), "no timeout is so long; `never` keeps for ever");
    int.base10_parse().map(Duration::from_secs).map_err(too_many)
}

fn max_entries(input: ParseStream<'_>) -> syn::Result<Expr> {
    let value = after_equals(input)?;
    let message = match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) if int.base10_digits() != "0" => return Ok(value),
        Expr::Lit(ExprLit { lit: Lit::Int(_), .. }) => {
            "`max_entries` is at least 1; write `timeout = 0` for a function that keeps nothing"
        }
        Expr::Lit(_) | Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            "expected how many values memory may hold, such as `1000`"
        }
        _ => return Ok(value),
    };
    Err(syn::Error::new(value.span(), message))
}

fn skip(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    in_parentheses(input, "expected the names of the arguments to leave out", |input| input.call(Ident::parse_any))
}

fn status(input: ParseStream<'_>) -> syn::Result<Vec<u16>> {
    let codes =
        in_parentheses(input, "expected the status codes that are cached, such as `status(200, 404)`", |input| {
            input.parse::<Lit>().map_err(|error| syn::Error::new(error.span(), "expected a status code, such as `404`"))
        })?;
    let status = |code: &Lit| {
        let status = if let Lit::Int(code) = code { code.base10_parse().ok() } else { None };
        match status {
            Some(206 | 304) => Err(syn::Error::new(
                code.span(),
                "a response with this status answers a condition or a range of one request, so it cannot be cached",
            )),
            Some(status @ 200..=599) => Ok(status),
            _ => Err(syn::Error::new(code.span(), "expected a status code from 200 to 599")),
        }
    };
    codes.iter().map(status).collect()
}

/// Items in parentheses with commas between them, at least one.
fn in_parentheses<T>(
    input: ParseStream<'_>,
    expected: &str,
    parse: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    let inside;
    let parentheses = parenthesized!(inside in input);
    let items = Punctuated::<T, Token![,]>::parse_terminated_with(&inside, parse).or_else(|error| {
        // Or else the rest would be an error of its own.
        inside.parse::<TokenStream>()?;
        Err(error)
    })?;
    if items.is_empty() {
        return Err(syn::Error::new(parentheses.span.join(), expected));
    }
    Ok(items.into_iter().collect())
}

fn own_key(input: ParseStream<'_>) -> syn::Result<OwnKey> {
    match after_equals(input)? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => template::read(&text, "key").map(OwnKey::Template),
        Expr::Lit(other) => {
            Err(syn::Error::new(other.span(), "a key is a text such as `\"article:{id}\"`, or a function's name"))
        }
        function => Ok(OwnKey::Function(function)),
    }
}

fn text(input: ParseStream<'_>) -> syn::Result<String> {
    equals(input)?;
    let literal: LitStr = input.parse().map_err(|error| syn::Error::new(error.span(), "expected a text in quotes"))?;
    let text = literal.value();
    if text.is_empty() {
        return Err(syn::Error::new(literal.span(), "expected a text that is not empty"));
    }
    Ok(text)
}

fn version(input: ParseStream<'_>) -> syn::Result<String> {
    if input.peek2(LitInt) {
        equals(input)?;
        return Ok(input.parse::<LitInt>()?.base10_digits().to_owned());
    }
    text(input).map_err(|error| syn::Error::new(error.span(), "expected a number or a text that is not empty"))
}

fn flag(input: ParseStream<'_>) -> syn::Result<bool> {
    if input.peek(Token![=]) { yes_or_no(input) } else { Ok(true) }
}

fn yes_or_no(input: ParseStream<'_>) -> syn::Result<bool> {
    equals(input)?;
    input
        .parse::<LitBool>()
        .map(|literal| literal.value)
        .map_err(|error| syn::Error::new(error.span(), "expected `true` or `false`"))
}

fn handle(input: ParseStream<'_>) -> syn::Result<HandleArg> {
    if input.peek2(Token![Self]) {
        equals(input)?;
        input.parse::<Token![Self]>()?;
        return Ok(HandleArg::Associated);
    }
    let yes = yes_or_no(input)
        .map_err(|error| syn::Error::new(error.span(), "expected `= false`, or `= Self` for an associated function"))?;
    Ok(if yes { HandleArg::Yes } else { HandleArg::No })
}
