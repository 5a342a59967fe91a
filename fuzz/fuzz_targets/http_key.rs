//! Keys of pages: two requests share a page exactly if their targets have one normal form, by RFC 3986, section 6.2.2, and by the
//! rules for queries. One whose path is in another form has no page.

#![no_main]

use arbitrary::Arbitrary;
use cache_request::http::CachePage;
use cache_request_fuzz::pages::{Answer, BODY, Bench};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    one: Target<'a>,
    /// Another one, or a part of the first that is written anew.
    other: Other<'a>,
    rules: Rules,
}

#[derive(Debug, Arbitrary)]
struct Target<'a> {
    uri: Vec<Piece<'a>>,
    host: Option<Vec<Piece<'a>>>,
}

#[derive(Debug, Arbitrary)]
enum Other<'a> {
    Target(Target<'a>),
    /// The first with a piece replaced, so that the two are alike.
    Changed(u8, Piece<'a>),
    /// The first with pieces swapped.
    Swapped(u8, u8),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Piece<'a> {
    Word(u8),
    Text(&'a str),
    /// `%` and two digits, in small letters or not.
    Escaped(u8, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Rules {
    None,
    Sorted,
    Without,
    Only,
    SortedWithout,
}

const WORDS: [&str; 24] = [
    "/",
    "?",
    "&",
    "=",
    ";",
    "+",
    "%",
    "a",
    "A",
    "b",
    "u",
    "u_x",
    "1",
    "2",
    "http://",
    "https://",
    "HTTP://",
    "example.com",
    "Example.COM",
    ":80",
    ".",
    "..",
    "#",
    "a=1",
];

fuzz_target!(|input: Input<'_>| run(&input));

fn run(input: &Input<'_>) {
    let (uri, host) = input.one.pieces();
    let (other_uri, other_host) = input.other.pieces(&input.one);
    let (Some(one), Some(other)) = (request(uri, host), request(&other_uri, other_host)) else { return };

    let fields = HeaderMap::from_iter([(http::header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
    let bench = Bench::new(input.rules.layer().show_key(true), StatusCode::OK, &fields);
    let [normal, other_normal] = [&one, &other].map(|request| normal(request, input.rules));
    let told = [bench.send(one), bench.send(other)];
    for (answer, normal) in told.iter().zip([&normal, &other_normal]) {
        assert_eq!(&*answer.body, BODY.as_bytes());
        assert_eq!(key(answer).is_some(), normal.is_some(), "{answer:?}");
    }
    let share = normal.is_some() && normal == other_normal;
    assert!(!told[0].is_hit());
    assert_eq!(told[1].is_hit(), share, "{told:?}\n{normal:?}\n{other_normal:?}");
    assert!(!share || key(&told[0]) == key(&told[1]), "{told:?}");
}

impl<'a> Target<'a> {
    fn pieces(&self) -> (&[Piece<'a>], Option<&[Piece<'a>]>) {
        (&self.uri, self.host.as_deref())
    }
}

impl<'a> Other<'a> {
    fn pieces<'b>(&'b self, one: &'b Target<'a>) -> (Vec<Piece<'a>>, Option<&'b [Piece<'a>]>) {
        let (uri, host) = if let Self::Target(target) = self { target.pieces() } else { one.pieces() };
        let mut uri = uri.to_vec();
        let len = uri.len().max(1);
        match *self {
            Self::Changed(at, piece) => {
                if let Some(old) = uri.get_mut(usize::from(at) % len) {
                    *old = piece;
                }
            }
            Self::Swapped(one, other) if !uri.is_empty() => uri.swap(usize::from(one) % len, usize::from(other) % len),
            Self::Target(_) | Self::Swapped(..) => {}
        }
        (uri, host)
    }
}

fn text(pieces: &[Piece<'_>]) -> String {
    let text = |piece: &Piece<'_>| match *piece {
        Piece::Word(number) => WORDS[usize::from(number) % WORDS.len()].to_owned(),
        Piece::Text(text) => text.to_owned(),
        Piece::Escaped(byte, true) => format!("%{byte:02X}"),
        Piece::Escaped(byte, false) => format!("%{byte:02x}"),
    };
    pieces.iter().map(text).collect()
}

fn request(uri: &[Piece<'_>], host: Option<&[Piece<'_>]>) -> Option<Request<String>> {
    let mut request = Request::new(String::new());
    *request.uri_mut() = text(uri).parse::<Uri>().ok()?;
    if let Some(host) = host {
        request.headers_mut().insert("host", HeaderValue::from_str(&text(host)).ok()?);
    }
    Some(request)
}

impl Rules {
    fn layer(self) -> CachePage {
        match self {
            Self::None => CachePage::new(),
            Self::Sorted => CachePage::new().sort_query(),
            Self::Without => CachePage::new().ignore_query(["a", "u*"]),
            Self::Only => CachePage::new().only_query(["a"]),
            Self::SortedWithout => CachePage::new().sort_query().ignore_query(["a", "u*"]),
        }
    }

    fn is_sorted(self) -> bool {
        matches!(self, Self::Sorted | Self::SortedWithout)
    }

    fn counts(self, name: &[u8]) -> bool {
        match self {
            Self::None | Self::Sorted => true,
            Self::Without | Self::SortedWithout => name != b"a" && !name.starts_with(b"u"),
            Self::Only => name == b"a",
        }
    }
}

/// A byte of a path or a query, and whether it must stay encoded.
type Unit = (u8, bool);

/// Scheme, host, path, and parameters.
type Normal = (String, String, Vec<Unit>, Option<Vec<Vec<Unit>>>);

/// The normal form of a target. `None` if it names no host, or two, or if its path is in another form.
fn normal(request: &Request<String>, rules: Rules) -> Option<Normal> {
    let uri = request.uri();
    let host = request.headers().get("host").map(|host| host.to_str().map_err(drop));
    let host = match (uri.authority(), host) {
        (_, Some(Err(()))) | (None, None) => return None,
        (Some(authority), None) => authority.as_str().to_lowercase(),
        (None, Some(Ok(host))) => host.to_lowercase(),
        (Some(authority), Some(Ok(host))) => {
            Some(host.to_lowercase()).filter(|host| *host == authority.as_str().to_lowercase())?
        }
    };
    if host.is_empty()
        || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte))
    {
        return None;
    }
    let target = uri.path_and_query()?;
    let path = target.as_str().split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
    if !is_normal(path) {
        return None;
    }
    let scheme = uri.scheme_str().unwrap_or("http").to_lowercase();
    let host = host.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(&host).to_owned();
    let query =
        target.query().filter(|query| rules == Rules::None || query.is_empty() || !counting(query, rules).is_empty());
    let query = query.map(|query| parameters(query, rules).into_iter().map(units).collect());
    Some((scheme, host, units(path), query))
}

/// Whether what is encoded in a path has to be, in upper-case digits.
fn is_normal(path: &str) -> bool {
    path.match_indices('%').all(|(at, _)| {
        let digits = path.as_bytes().get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let encoded = digits.and_then(|digits| Some((digits, units(path.get(at..at + 3)?).first()?.1)));
        encoded.is_none_or(|(digits, has_to_be)| has_to_be && !digits.iter().any(u8::is_ascii_lowercase))
    })
}

fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = [ahead.next(), ahead.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        match (byte, digits) {
            (b'%', [Some(high), Some(low)]) => {
                let byte = u8::try_from(high * 16 + low).expect("two digits");
                units.push((byte, !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))));
                bytes = ahead;
            }
            _ => units.push((byte, false)),
        }
    }
    units
}

/// A query as its parameters that count, joined again.
fn counting(query: &str, rules: Rules) -> String {
    parameters(query, rules).join("&")
}

fn parameters(query: &str, rules: Rules) -> Vec<&str> {
    let mut parameters: Vec<_> = query.split('&').collect();
    if rules != Rules::None {
        // Another parameter may begin behind a semicolon.
        parameters.retain(|parameter| parameter.contains(';') || rules.counts(&name(parameter)));
    }
    if rules.is_sorted() {
        parameters.sort_by_key(|parameter| name(parameter));
    }
    parameters
}

/// The name of a parameter, decoded as forms are.
fn name(parameter: &str) -> Vec<u8> {
    let name = parameter.split('=').next().unwrap_or_default();
    // An encoded plus is one, unlike a bare one.
    units(&name.replace('+', "%20")).iter().map(|(byte, _)| *byte).collect()
}

/// The key that the layer shows.
fn key(answer: &Answer) -> Option<String> {
    let line = answer.headers.get("cache-status")?.to_str().ok()?;
    Some(line.split_once("; key=\"")?.1.to_owned())
}
