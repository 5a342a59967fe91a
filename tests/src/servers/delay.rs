//! A way to a server on which what is sent can be held up, as a slow network would.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A port that forwards to another one. Delayed bytes arrive when they are released, even if the sender has hung up meanwhile.
#[derive(Debug)]
pub struct Delay {
    /// Where it listens on the loopback.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many connections have come.
    come: usize,
    /// How many of the first connections are held up.
    held: usize,
    /// How many parts of what they send still get through.
    parts: usize,
    /// How many connections are held up now.
    holding: usize,
    /// How many of those that were held up the server has ended, as it had done all and their clients had hung up.
    ended: usize,
}

impl Delay {
    /// A way to the port of a server on the loopback.
    ///
    /// # Panics
    ///
    /// If there is no port for it.
    #[must_use]
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let shared = Arc::new(Shared::default());
        let accepts = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server));
                let Some(streams) = server.ok().and_then(|server| Streams::new(client, server).ok()) else { continue };
                accepts.lead(streams);
            }
        });
        Self { port, shared }
    }

    /// From now on, so many parts still get through, each of what was sent at once, and then nothing, be it over connections
    /// that there are or that come.
    pub fn hold_after(&self, parts: usize) {
        let mut state = self.shared.lock();
        (state.held, state.parts) = (usize::MAX, parts);
    }

    /// From now on, connections that come are not held up.
    pub fn hold_no_more(&self) {
        let mut state = self.shared.lock();
        state.held = state.come;
    }

    /// Lets go what was held up.
    pub fn let_go(&self) {
        self.shared.lock().held = 0;
        self.shared.changed.notify_all();
    }

    /// Whether something is held up now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.shared.lock().holding > 0
    }

    /// How many connections that were held up have come to their end at the server, after all that was sent over them.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.shared.lock().ended
    }
}

struct Streams {
    there: [TcpStream; 2],
    back: [TcpStream; 2],
}

impl Streams {
    fn new(client: TcpStream, server: TcpStream) -> std::io::Result<Self> {
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        Ok(Self { back: [server.try_clone()?, client.try_clone()?], there: [client, server] })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leads one connection there and back.
    fn lead(self: &Arc<Self>, Streams { there, back }: Streams) {
        let number = {
            let mut state = self.lock();
            state.come += 1;
            state.come - 1
        };
        let was_held = Arc::new(AtomicBool::new(false));
        let (forth, held) = (Arc::clone(self), Arc::clone(&was_held));
        thread::spawn(move || {
            pass(there, || {
                if forth.wait(number) {
                    held.store(true, Ordering::SeqCst);
                }
            });
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            pass(back, || ());
            if was_held.load(Ordering::SeqCst) {
                shared.lock().ended += 1;
            }
        });
    }

    /// Waits while this connection is held up, and says whether it was.
    fn wait(&self, number: usize) -> bool {
        let mut state = self.lock();
        if number < state.held && state.parts > 0 {
            state.parts -= 1;
            return false;
        }
        let is_held = number < state.held;
        state.holding += usize::from(is_held);
        let waited = self.changed.wait_while(state, |state| number < state.held);
        waited.unwrap_or_else(PoisonError::into_inner).holding -= usize::from(is_held);
        is_held
    }
}

/// Passes on what comes, each part after `wait`, until the one hangs up. Then so does this to the other.
fn pass([mut from, mut to]: [TcpStream; 2], wait: impl Fn()) {
    let mut part = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut part) {
        wait();
        // A side that has stopped listening is waited for as well.
        let _ = to.write_all(&part[..count]);
    }
    let _ = to.shutdown(Shutdown::Write);
}
