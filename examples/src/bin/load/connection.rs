//! A client of HTTP/1.1 that does little, so that the processors are there for the site. The client of hyper takes a third more
//! CPU a request.

use httparse::{EMPTY_HEADER, Response, Status};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::Error;

/// A connection that is kept for one request after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What the site has answered.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Whether it is from the cache; `None` if there is no `Cache-Status`.
    pub(crate) hit: Option<bool>,
    pub(crate) body: &'a [u8],
}

/// The request for a page, as it is sent.
pub(crate) fn get(address: &str) -> Vec<u8> {
    format!("GET {address} HTTP/1.1\r\nHost: departures\r\n\r\n").into_bytes()
}

/// The request that sends a form.
pub(crate) fn post(address: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    let form_type = "application/x-www-form-urlencoded";
    format!("POST {address} HTTP/1.1\r\nHost: departures\r\nContent-Type: {form_type}\r\nContent-Length: {length}\r\n\r\n{form}")
        .into_bytes()
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 32 * 1024] })
    }

    /// Sends a request, and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, Error> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
        };
        let end = head.length + head.body_length;
        while filled < end {
            filled += self.read(filled).await?;
        }
        Ok(Answer { status: head.status, hit: head.hit, body: &self.buffer[head.length..end] })
    }

    /// Asks for a page that has to be there, and returns whether it is from the cache.
    pub(crate) async fn page(&mut self, request: &[u8]) -> Result<bool, Error> {
        let answer = self.ask(request).await?;
        match (answer.status, answer.hit) {
            (200, Some(hit)) => Ok(hit),
            (status, hit) => {
                let request = String::from_utf8_lossy(request);
                Err(format!("status {status}, hit {hit:?} for {request}").into())
            }
        }
    }

    /// Reads what has come to behind the first `filled` bytes, and returns how many bytes that is.
    async fn read(&mut self, filled: usize) -> Result<usize, Error> {
        if filled == self.buffer.len() {
            self.buffer.resize(2 * filled, 0);
        }
        match self.stream.read(&mut self.buffer[filled..]).await? {
            0 => Err("the site has closed a connection".into()),
            read => Ok(read),
        }
    }
}

/// What stands before the body.
struct Head {
    status: u16,
    hit: Option<bool>,
    length: usize,
    body_length: usize,
}

impl Head {
    /// `None` if there is more to come.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let mut fields = [EMPTY_HEADER; 32];
        let mut response = Response::new(&mut fields);
        let Status::Complete(length) = response.parse(bytes)? else { return Ok(None) };
        let field = |name: &str| {
            let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.and_then(|field| str::from_utf8(field.value).ok())
        };
        Ok(Some(Self {
            status: response.code.ok_or("an answer has no status")?,
            hit: field("cache-status").map(|status| status.split("; ").any(|part| part == "hit")),
            length,
            body_length: field("content-length").ok_or("an answer has no Content-Length")?.parse()?,
        }))
    }
}
