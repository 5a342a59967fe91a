//! Divides what a server sends into its answers (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! Values are taken out by hand, in one copy and without a parser's allocations. The client library parses all other answers.

use std::io::{Error, ErrorKind};

use redis::{RedisResult, Value, parse_redis_value};

/// Room for what is received at a time, in bytes.
const READ_BYTES: usize = 64 << 10;

/// A buffer larger than this, which a large answer has left behind, is not kept.
const KEPT_BYTES: usize = 1 << 20;

const LINE_END: &[u8] = b"\r\n";

/// What was received and not yet taken.
#[derive(Default)]
pub(super) struct Answers {
    received: Vec<u8>,
    /// How much of it was taken.
    taken: usize,
}

impl Answers {
    /// Where to append what is received next. It has room.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        if self.taken == self.received.len() {
            self.received.clear();
            if self.received.capacity() > KEPT_BYTES {
                self.received = Vec::new();
            }
        } else if self.taken > 0 {
            self.received.drain(..self.taken);
        }
        self.taken = 0;
        if self.received.capacity() - self.received.len() < READ_BYTES / 2 {
            self.received.reserve(READ_BYTES);
        }
        &mut self.received
    }

    /// Takes the next answer, if all of it was received.
    pub(super) fn next(&mut self) -> RedisResult<Option<Value>> {
        let left = &self.received[self.taken..];
        let Some(length) = length(left)? else { return Ok(None) };
        self.taken += length;
        parse(&left[..length]).map(Some)
    }
}

fn parse(answer: &[u8]) -> RedisResult<Value> {
    match answer {
        b"+OK\r\n" => return Ok(Value::Okay),
        b"_\r\n" | b"$-1\r\n" => return Ok(Value::Nil),
        [b'$', ..] => {}
        _ => return parse_redis_value(answer),
    }
    let start = answer.iter().position(|byte| *byte == b'\n').map_or(answer.len(), |end| end + 1);
    match answer[start..].strip_suffix(LINE_END) {
        Some(value) => Ok(Value::BulkString(value.to_vec())),
        None => Err(malformed()),
    }
}

/// The length of the first answer in `bytes`, or `None` if that goes on.
fn length(bytes: &[u8]) -> RedisResult<Option<usize>> {
    let (mut end, mut parts) = (0_usize, 1_usize);
    while parts > 0 {
        let Some(left) = bytes.get(end..) else { return Ok(None) };
        let Some(line) = left.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        end += line + 1;
        let Some((kind, line)) = left[..=line].strip_suffix(LINE_END).and_then(<[u8]>::split_first) else {
            return Err(malformed());
        };
        // Those of other kinds are whole with their line.
        let (long, contained) = match kind {
            b'$' | b'!' | b'=' => (count(line)?.map(|bytes| bytes.saturating_add(LINE_END.len())), 0),
            b'*' | b'~' | b'>' => (None, count(line)?.unwrap_or(0)),
            b'%' => (None, count(line)?.unwrap_or(0).saturating_mul(2)),
            // Attributes come before what they are about.
            b'|' => (None, count(line)?.unwrap_or(0).saturating_mul(2).saturating_add(1)),
            _ => (None, 0),
        };
        end = end.saturating_add(long.unwrap_or(0));
        parts = (parts - 1).saturating_add(contained);
    }
    Ok((end <= bytes.len()).then_some(end))
}

/// The number in a line, or `None` for -1, which stands for nothing.
fn count(line: &[u8]) -> RedisResult<Option<usize>> {
    if line == b"-1" {
        return Ok(None);
    }
    str::from_utf8(line).ok().and_then(|line| line.parse().ok()).map(Some).ok_or_else(malformed)
}

#[cold]
fn malformed() -> redis::RedisError {
    Error::new(ErrorKind::InvalidData, "the server sends something that is no answer").into()
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::*,
        sample::{Index, select},
    };

    use super::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    /// All answers in `received`, which arrives in pieces of this length.
    fn answers(received: &[u8], piece: usize) -> RedisResult<Vec<Value>> {
        let (mut answers, mut all) = (Answers::default(), Vec::new());
        for piece in received.chunks(piece) {
            answers.room().extend_from_slice(piece);
            while let Some(answer) = answers.next()? {
                all.push(answer);
            }
        }
        Ok(all)
    }

    #[test]
    fn answers_are_whole_however_they_arrive() {
        let received = b"$4\r\na\r\nb\r\n+OK\r\n$-1\r\n_\r\n:7\r\n$0\r\n\r\n-WRONGTYPE it is a list\r\n*2\r\n$1\r\na\r\n*1\r\n:1\r\n\
            %1\r\n+key\r\n$5\r\nvalue\r\n>2\r\n+invalidate\r\n*1\r\n$3\r\nkey\r\n*0\r\n*-1\r\n+last\r\n";
        let whole = answers(received, usize::MAX).unwrap();
        let expected = [bulk(b"a\r\nb"), Value::Okay, Value::Nil, Value::Nil, Value::Int(7), bulk(b"")];
        assert_eq!(whole[..6], expected);
        assert_eq!(whole[6].clone().extract_error().unwrap_err().code(), Some("WRONGTYPE"));
        assert_eq!(whole[7], Value::Array(vec![bulk(b"a"), Value::Array(vec![Value::Int(1)])]));
        assert_eq!(whole[8], Value::Map(vec![(Value::SimpleString("key".into()), bulk(b"value"))]));
        assert!(matches!(&whole[9], Value::Push { data, .. } if *data == [Value::Array(vec![bulk(b"key")])]));
        assert_eq!(whole[10..], [Value::Array(Vec::new()), Value::Nil, Value::SimpleString("last".into())]);
        for piece in 1..received.len() {
            assert_eq!(answers(received, piece).unwrap(), whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for received in ["\r\n", "$3\r\nabcde", "$x\r\n", "$-2\r\n", "*+\r\n", "+a\n", "?\r\n", "$1 \r\na\r\n"] {
            assert!(answers(received.as_bytes(), usize::MAX).is_err(), "{received:?}");
        }
    }

    #[test]
    fn an_answer_that_goes_on_is_waited_for() {
        for received in
            ["", "$", "$3", "$3\r", "$3\r\nab", "$3\r\nabc\r", "*2\r\n:1\r\n", "*99999999999999999999", "%1\r\n:1\r\n"]
        {
            assert_eq!(answers(received.as_bytes(), usize::MAX).unwrap(), [], "{received:?}");
        }
    }

    #[test]
    fn the_room_of_a_large_answer_is_not_kept() {
        let mut answers = Answers::default();
        let value = vec![b'a'; 2 * KEPT_BYTES];
        let large = [format!("${}\r\n", value.len()).as_bytes(), &value, LINE_END].concat();
        for piece in large.chunks(READ_BYTES) {
            answers.room().extend_from_slice(piece);
        }
        assert_eq!(answers.next().unwrap(), Some(bulk(&value)));
        assert!(answers.room().capacity() <= KEPT_BYTES);
    }

    /// An answer, and what a server sends for it.
    fn sent() -> impl Strategy<Value = (Value, Vec<u8>)> {
        let whole = prop_oneof![
            any::<i64>().prop_map(|number| (Value::Int(number), format!(":{number}\r\n").into())),
            "[a-z ]{0,9}".prop_map(|text| (Value::SimpleString(text.clone()), format!("+{text}\r\n").into())),
            Just((Value::Nil, b"$-1\r\n".to_vec())),
            Just((Value::Nil, b"_\r\n".to_vec())),
            Just((Value::Okay, b"+OK\r\n".to_vec())),
            vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'$')], 0..40).prop_map(|bytes| (
                bulk(&bytes),
                [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, LINE_END].concat()
            )),
        ];
        whole.prop_recursive(4, 16, 4, |inner| {
            (any::<bool>(), vec(inner, 0..5)).prop_map(|(is_set, parts)| {
                let (values, sent): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
                let kind = if is_set { '~' } else { '*' };
                let sent = [format!("{kind}{}\r\n", sent.len()).into_bytes(), sent.concat()].concat();
                (if is_set { Value::Set(values) } else { Value::Array(values) }, sent)
            })
        })
    }

    proptest! {
        #[test]
        fn each_answer_is_what_was_sent(all in vec(sent(), 0..6), piece in 1_usize..50) {
            let (values, sent): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            prop_assert_eq!(answers(&sent.concat(), piece).unwrap(), values);
        }

        /// Where an answer ends must be where the client library ends it: or else the next call gets what is left of it.
        #[test]
        fn what_is_damaged_ends_where_the_client_library_ends_it(
            all in vec(sent(), 0..6),
            changes in vec(
                (any::<Index>(), select(&b"\r\n$*:+-_>%~|!=#(0123456789ab"[..])),
                0..4,
            ),
            piece in 1_usize..50,
        ) {
            let mut received = all.into_iter().flat_map(|(_, sent)| sent).collect::<Vec<_>>();
            for (at, byte) in changes {
                if !received.is_empty() {
                    let at = at.index(received.len());
                    received[at] = byte;
                }
            }
            let (mut left, mut expected) = (&received[..], Vec::new());
            let ended = loop {
                match length(left) {
                    Ok(Some(length)) => match (parse(&left[..length]), parse_redis_value(&left[..length])) {
                        (Ok(ours), theirs) => {
                            prop_assert_eq!(Some(&ours), theirs.as_ref().ok());
                            prop_assert!(parse_redis_value(&left[..length - 1]).is_err(), "{:?}", &left[..length]);
                            expected.push(ours);
                            left = &left[length..];
                        }
                        (Err(_), theirs) => {
                            prop_assert!(theirs.is_err(), "{:?}", &left[..length]);
                            break true;
                        }
                    },
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
            let (mut answers, mut found, mut failed) = (Answers::default(), Vec::new(), false);
            'received: for piece in received.chunks(piece) {
                answers.room().extend_from_slice(piece);
                loop {
                    match answers.next() {
                        Ok(Some(answer)) => found.push(answer),
                        Ok(None) => break,
                        Err(_) => {
                            failed = true;
                            break 'received;
                        }
                    }
                }
            }
            prop_assert_eq!((found, failed), (expected, ended));
        }
    }
}
