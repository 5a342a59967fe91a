//! Reads a key back. What can be read back to what it was made of is made of nothing else.
//!
//! Written down from the documentation of the notation, with no look at how it is made.

use crate::model::{Meaning, NAMES};

/// The client and the arguments of a call of `named`.
pub(crate) fn call(key: &str) -> (String, [Meaning; 2]) {
    let rest = key.strip_prefix("p.").expect("the prefix");
    let (client, rest) = rest.split_once('.').expect("a client, or none");
    let client = decoded(client.strip_prefix('\'').unwrap_or(client));
    let mut reader = Reader { rest: rest.strip_prefix("f?a=").expect("the name, and the first argument") };
    let first = reader.value();
    reader.expect("&b=");
    let second = reader.value();
    assert_eq!(reader.rest, "", "nothing is left");
    (client, [first, second])
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, what: &str) -> bool {
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    #[track_caller]
    fn expect(&mut self, what: &str) {
        assert!(self.take(what), "{what} and not {}", self.rest);
    }

    /// What stands up to the next character that no string, number or name has.
    fn token(&mut self) -> &'a str {
        let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte);
        let length = self.rest.bytes().take_while(|&byte| of_token(byte)).count();
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        token
    }

    fn value(&mut self) -> Meaning {
        if self.take("'") {
            return Meaning::Text(decoded(self.token()));
        }
        if self.take("*") {
            return Meaning::Unit;
        }
        if self.take("!") {
            let mut somes = 0;
            while self.take("!") {
                somes += 1;
            }
            return Meaning::None(somes);
        }
        if self.take("$") {
            let digits = self.token().as_bytes().chunks_exact(2);
            assert!(digits.remainder().is_empty(), "two digits to a byte");
            return Meaning::Bytes(
                digits.map(|digits| u8::try_from(hexadecimal(digits)).expect("two digits")).collect(),
            );
        }
        if self.take("@") {
            return self.variant();
        }
        if self.take("(") {
            let compound = self.compound();
            self.expect(")");
            return match compound {
                Compound::Elements { elements, .. } => Meaning::Seq(elements),
                Compound::Entries(entries) => Meaning::Map(entries),
                Compound::Fields(fields) => Meaning::Struct(fields),
            };
        }
        self.bare()
    }

    fn bare(&mut self) -> Meaning {
        let token = self.token();
        assert_ne!(token, "", "a value at {}", self.rest);
        if token == "nan" {
            self.expect(":");
            let (bits, rest) = self.rest.split_at(16);
            self.rest = rest;
            return Meaning::Float(hexadecimal(bits.as_bytes()));
        }
        let digits = token.strip_prefix('-').unwrap_or(token);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match token.parse() {
                Ok(natural) => Meaning::Natural(natural),
                Err(_) => Meaning::Negative(token.parse().expect("an integer")),
            };
        }
        match (token, token.parse::<f64>()) {
            ("true", _) => Meaning::Bool(true),
            ("false", _) => Meaning::Bool(false),
            (_, Ok(float)) => Meaning::Float(float.to_bits()),
            (_, Err(_)) => Meaning::Text(decoded(token)),
        }
    }

    fn variant(&mut self) -> Meaning {
        let name = name(self.token());
        if !self.take("(") {
            return Meaning::UnitVariant(name);
        }
        let compound = self.compound();
        self.expect(")");
        match compound {
            Compound::Elements { mut elements, comma: false } if elements.len() == 1 => {
                Meaning::NewtypeVariant(name, elements.swap_remove(0).into())
            }
            Compound::Elements { elements, .. } => Meaning::TupleVariant(name, elements),
            Compound::Fields(fields) => Meaning::StructVariant(name, fields),
            Compound::Entries(_) => panic!("a variant has no entries"),
        }
    }

    /// What stands in parentheses.
    fn compound(&mut self) -> Compound {
        if self.rest.starts_with(')') {
            return Compound::Elements { elements: Vec::new(), comma: false };
        }
        if self.rest.starts_with(":)") {
            self.expect(":");
            return Compound::Entries(Vec::new());
        }
        if self.rest.starts_with("=)") {
            self.expect("=");
            return Compound::Fields(Vec::new());
        }
        if let Some(first) = self.field() {
            let mut fields = vec![first];
            while self.take(",") {
                fields.push(self.field().expect("a field"));
            }
            return Compound::Fields(fields);
        }
        let first = self.value();
        if self.take(":") {
            let mut entries = vec![(first, self.value())];
            while self.take(",") {
                let key = self.value();
                self.expect(":");
                entries.push((key, self.value()));
            }
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            return Compound::Entries(entries);
        }
        let (mut elements, mut comma) = (vec![first], false);
        while self.take(",") {
            comma = true;
            if self.rest.starts_with(')') {
                assert_eq!(elements.len(), 1, "only one element alone has a comma behind it");
                break;
            }
            elements.push(self.value());
        }
        Compound::Elements { elements, comma }
    }

    /// A name and a value, if the next thing is a name.
    fn field(&mut self) -> Option<(&'static str, Meaning)> {
        let mut ahead = Reader { rest: self.rest };
        let token = ahead.token();
        ahead.take("=").then(|| {
            self.rest = ahead.rest;
            (name(token), self.value())
        })
    }
}

enum Compound {
    Elements { elements: Vec<Meaning>, comma: bool },
    Entries(Vec<(Meaning, Meaning)>),
    Fields(Vec<(&'static str, Meaning)>),
}

fn name(token: &str) -> &'static str {
    let name = decoded(token);
    NAMES.into_iter().find(|known| *known == name).expect("a known name")
}

fn hexadecimal(digits: &[u8]) -> u64 {
    let lower = |digit: &&u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    assert!(digits.iter().all(|digit| lower(&digit)), "lower-case digits");
    u64::from_str_radix(std::str::from_utf8(digits).expect("digits"), 16).expect("a number")
}

/// Percent-encoded text, as it was.
fn decoded(token: &str) -> String {
    let mut pieces = token.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')), "{token}");
        bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("text")
}
