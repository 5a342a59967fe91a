//! A wire that does what wires do: it is slow, it breaks, and it changes what it carries.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What the wire does from now on, also with the connections that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It carries all as it is.
    Passes,
    /// Every piece that the server sends comes so much later.
    Delays(Duration),
    /// What the server sends comes a byte at a time, with such a pause after each.
    Trickles(Duration),
    /// Of so many pieces that the server sends, one is cut in two: the second half does not come, and the connection ends.
    Cuts(u64),
    /// The next piece that the server sends is cut like that, and from then on it carries all as it is.
    CutsOnce,
    /// Of so many pieces that the server sends, one does not come, and the next one takes its place.
    Loses(u64),
    /// Of so many pieces that the server sends, one has a bit that is not as it was.
    FlipsAnswers(u64),
    /// The same, of those that the client sends.
    FlipsQuestions(u64),
}

/// A port of the loopback that stands for another one.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    wire: Arc<Wire>,
    accepts: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Wire {
    mode: Mutex<Mode>,
    harmed: AtomicU64,
    random: AtomicU64,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToClient,
    ToServer,
}

impl Proxy {
    /// In front of the server at this port.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    #[must_use]
    pub fn of(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        let wire = Arc::new(Wire {
            mode: Mutex::new(Mode::Passes),
            harmed: AtomicU64::new(0),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepts = thread::spawn({
            let wire = Arc::clone(&wire);
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    if wire.ended.load(Relaxed) {
                        break;
                    }
                    // Where there is no server, the client's connection ends.
                    if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
                        Wire::join(&wire, &client, &server);
                    }
                }
            }
        });
        Self { port, wire, accepts: Some(accepts) }
    }

    /// What it does from now on.
    pub fn set(&self, mode: Mode) {
        *self.wire.mode() = mode;
    }

    /// How many pieces have not arrived as they were sent, or not when they were.
    #[must_use]
    pub fn harmed(&self) -> u64 {
        self.wire.harmed.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.ended.store(true, Relaxed);
        // So that it looks.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.accepts.take().map(JoinHandle::join);
        for connection in self.wire.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Wire {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(wire: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        let another = |stream: &TcpStream| stream.try_clone().expect("a handle");
        let mut connections = wire.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for (way, from, to) in [(Way::ToServer, client, server), (Way::ToClient, server, client)] {
            connections.push(another(from));
            let (wire, mut from, mut to) = (Arc::clone(wire), another(from), another(to));
            thread::spawn(move || {
                // Nagle's algorithm would put together what is to come in pieces.
                let _ = to.set_nodelay(true);
                wire.carry(way, &mut from, &mut to);
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    /// Until one side ends, or the wire does.
    fn carry(&self, way: Way, from: &mut TcpStream, to: &mut TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(length @ 1..) = from.read(&mut buffer) else { return };
            let piece = &mut buffer[..length];
            // Not for as long as it is done.
            let mode = *self.mode();
            let goes_on = match (way, mode) {
                (Way::ToClient, Mode::Delays(pause)) => {
                    self.harmed.fetch_add(1, Relaxed);
                    thread::sleep(pause);
                    to.write_all(piece)
                }
                (Way::ToClient, Mode::Trickles(pause)) => {
                    self.harmed.fetch_add(1, Relaxed);
                    self.trickle(piece, pause, to)
                }
                (Way::ToClient, Mode::Cuts(one_in)) if self.is_hit(one_in) => {
                    let _ = to.write_all(&piece[..length / 2]);
                    return;
                }
                (Way::ToClient, Mode::CutsOnce) if self.is_first_in(mode) => {
                    let _ = to.write_all(&piece[..length / 2]);
                    return;
                }
                (Way::ToClient, Mode::Loses(one_in)) if self.is_hit(one_in) => Ok(()),
                (Way::ToClient, Mode::FlipsAnswers(one_in)) | (Way::ToServer, Mode::FlipsQuestions(one_in))
                    if self.is_hit(one_in) =>
                {
                    let bit = self.random() % (length as u64 * 8);
                    piece[(bit / 8) as usize] ^= 1 << (bit % 8);
                    to.write_all(piece)
                }
                _ => to.write_all(piece),
            };
            if goes_on.is_err() {
                return;
            }
        }
    }

    fn trickle(&self, piece: &[u8], pause: Duration, to: &mut TcpStream) -> std::io::Result<()> {
        for (place, byte) in piece.iter().enumerate() {
            if *self.mode() == Mode::Passes {
                return to.write_all(&piece[place..]);
            }
            to.write_all(&[*byte])?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Whether this connection is the first to see this mode, which ends with that.
    fn is_first_in(&self, mode: Mode) -> bool {
        let mut current = self.mode();
        let is_first = *current == mode;
        if is_first {
            *current = Mode::Passes;
            self.harmed.fetch_add(1, Relaxed);
        }
        is_first
    }

    fn is_hit(&self, one_in: u64) -> bool {
        let is_hit = self.random().is_multiple_of(one_in);
        self.harmed.fetch_add(u64::from(is_hit), Relaxed);
        is_hit
    }

    /// `SplitMix64`.
    fn random(&self) -> u64 {
        let mut state = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }
}
