//! The example site `departures`, as its tests start it and ask it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// The running site. Dropping it ends it.
pub(crate) struct Site {
    pub(crate) child: Child,
    /// Host and port.
    pub(crate) address: String,
    /// Held open: a program may fail to print if its output is not read.
    _output: BufReader<ChildStdout>,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_with("memory://")
    }

    pub(crate) fn start_with(cache: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_departures"))
            .env("PORT", "0")
            .env("CACHE_URL", cache)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the site can be started");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("it prints text"), 0, "the site ended before it was open");
            if let Some(address) = line.strip_prefix("Open http://") {
                break address.split('/').next().expect("split gives one part at least").to_owned();
            }
        };
        Self { child, address, _output: output }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// Sends a form.
    pub(crate) fn post(&self, path: &str, form: &str) -> Answer {
        self.ask("POST", path, "Content-Type: application/x-www-form-urlencoded\r\n", form)
    }

    /// Asks under the site's own name, unless `headers` has another one.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the site is open");
        let host = if headers.contains("Host: ") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the site listens");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the site answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head ends with an empty line");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The last requests and the counters.
    pub(crate) fn stats(&self) -> Value {
        self.get("/stats.json").json()
    }

    /// The counters of a function.
    pub(crate) fn function(&self, name: &str) -> Value {
        let stats = self.stats();
        let functions = stats["cache"]["functions"].as_array().expect("an array");
        let found = functions.iter().find(|function| function["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {stats}")).clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Neither matters if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn page(self) -> Page {
        assert!(self.has_header("cache-control: no-cache"), "{}", self.head);
        self.html(200)
    }

    /// A page that is not to be kept.
    pub(crate) fn refused(self, status: u16) -> Page {
        assert!(self.has_header("cache-control: no-store") || self.header("cache-control").is_none(), "{}", self.head);
        self.html(status)
    }

    fn html(self, status: u16) -> Page {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.has_header("content-type: text/html; charset=utf-8"), "{}", self.head);
        assert!(self.has_header(&format!("content-length: {}", self.body.len())), "{}", self.head);
        Page(self.body)
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert!(self.has_header("content-type: application/json"), "{}", self.head);
        serde_json::from_str(&self.body).expect("this is JSON")
    }

    #[track_caller]
    pub(crate) fn leads_to(&self, path: &str) {
        assert!([303, 308].contains(&self.status), "{} {}", self.status, self.body);
        assert!(self.has_header(&format!("location: {path}")), "{}", self.head);
    }

    pub(crate) fn has_header(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Whether it came from the cache, by `Cache-Status`.
    pub(crate) fn is_hit(&self) -> bool {
        let status = self.header("cache-status").unwrap_or_else(|| panic!("no Cache-Status in {}", self.head));
        assert!(status.contains("; hit") != status.contains("; fwd="), "{status}");
        status.contains("; hit")
    }
}

pub(crate) struct Page(pub(crate) String);

impl Page {
    #[track_caller]
    pub(crate) fn has(&self, text: &str) {
        assert!(self.0.contains(text), "{text} is not in {}", self.0);
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.matches(text).count()
    }
}
