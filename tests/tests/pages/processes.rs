//! Pages that several processes share on one server.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use cache_request_tests::servers::{PATIENCE, memcached::Memcached, redis::Redis, wait_until};

/// A process with a page layer. It ends when this is dropped.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// What a process got.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    is_hit: bool,
    length: usize,
    /// The process that made it, how many that one had made, and the field that it varies by.
    origin: String,
}

impl Process {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_child"))
            .args(["pages", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is built with the tests");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.child.stdin.as_mut().expect("it is piped"), "{command}").expect("it reads");
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {command}"))
    }

    fn get(&mut self, path: &str, field: &str) -> Page {
        let line = self.ask(&format!("get {path} {field}"));
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
        let is_hit = next() == "hit";
        Page { is_hit, length: next().parse().unwrap(), origin: next().to_owned() }
    }

    /// Asks until the page is a hit: it is stored after the answer.
    fn hit(&mut self, path: &str, field: &str) -> Page {
        let mut page = self.get(path, field);
        wait_until("the page is stored", || {
            if !page.is_hit {
                page = self.get(path, field);
            }
            page.is_hit
        });
        page
    }

    fn has_made(&self, page: &Page) -> bool {
        page.origin.starts_with(&format!("{} ", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page that is a hit in all processes, whichever has made it.
fn agreed(processes: &mut [Process; 3], path: &str, field: &str) -> Page {
    let mut pages = processes.each_mut().map(|process| process.get(path, field));
    wait_until("all agree on a page", || {
        let agree = pages.iter().all(|page| page.is_hit && *page == pages[0]);
        if !agree {
            pages = processes.each_mut().map(|process| process.get(path, field));
        }
        agree
    });
    let [page, ..] = pages;
    page
}

/// Pages of three processes. A purge by one of them is seen by the others: at once, or `eventually` where the server tells near caches.
fn are_shared(url: &str, eventually: bool) {
    let mut processes = [(); 3].map(|()| Process::start(url));
    let fields = ["one", "two", "three"];
    for (path, length) in [("/small", 0..100), ("/large", 2 << 20..(2 << 20) + 1)] {
        // Each variant is made by another process, and is a hit in all.
        let variants: Vec<Page> = processes.iter_mut().zip(fields).map(|(made, field)| made.hit(path, field)).collect();
        for (maker, (page, field)) in variants.iter().zip(fields).enumerate() {
            assert!(processes[maker].has_made(page) && page.origin.ends_with(field), "{url}{path}: {page:?}");
            assert!(length.contains(&page.length), "{page:?}");
        }
        // A near cache that has not been told of a variant yet makes it once more.
        let shared = fields.map(|field| agreed(&mut processes, path, field));
        assert!(eventually || shared == *variants, "{url}{path}: {shared:?}, {variants:?}");
        let variants = shared;

        assert_eq!(processes[1].ask(&format!("purge {path}")), "true");
        for (page, field) in variants.iter().zip(fields) {
            for process in &mut processes {
                if eventually {
                    wait_until("the purge is seen", || &process.get(path, field) != page);
                } else {
                    assert_ne!(&process.get(path, field), page, "{url}{path}");
                }
            }
            // Each of them may have made a new one.
            assert_ne!(&agreed(&mut processes, path, field), page, "the old one came back");
        }
        assert_eq!(processes[2].ask(&format!("purge {path}")), "true");
        assert_eq!(processes[2].ask(&format!("purge {path}")), "false");
    }
}

#[test]
fn processes_share_pages_on_redis_and_purge_each_others_near_caches() {
    let server = Redis::start(&[]);
    let url = format!("{}?soft_limit=60s&connect_limit=60s", server.url());
    are_shared(&url, false);
    // Only what the server tells ends an entry of a near cache in time.
    are_shared(&format!("{}&near_timeout=1h", url.replace("redis://", "tiered+redis://")), true);
}

#[test]
fn processes_share_pages_on_memcached() {
    let one = Memcached::start(&[]);
    let (_fleet, three) = Memcached::fleet(3);
    for url in [one.url(), three] {
        are_shared(&format!("{url}?soft_limit=60s&answer_limit=60s"), false);
    }
}
