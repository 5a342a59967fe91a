//! Backends that do what no backend should.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Error, MockClock,
    backend::{Backend, MemoryBackend},
};

/// What a [`Bent`] backend does instead of its work.
#[derive(Debug, Clone, Default)]
pub enum Bend {
    /// Nothing: it works.
    #[default]
    Works,
    /// Fails.
    Errs,
    /// Panics at once, before there is a future.
    Panics,
    /// Panics when it is polled.
    PanicsLater,
    /// Never answers.
    Hangs,
    /// Never answers, and panics when it is given up.
    HangsAndPanics,
    /// Finds these bytes, whatever it is asked for; of a `get` only.
    Finds(Vec<u8>),
}

/// A backend in memory, of which each operation can be bent. Clones share everything.
#[derive(Clone)]
pub struct Bent {
    memory: Arc<MemoryBackend>,
    bends: Arc<Mutex<Bends>>,
}

/// What each operation does.
#[derive(Debug, Clone, Default)]
pub struct Bends {
    /// Of `get`.
    pub get: Bend,
    /// Of `set`, `add` and `touch`.
    pub set: Bend,
    /// Of `delete` and `clear`.
    pub delete: Bend,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the backend's future panicked when it was dropped");
    }
}

impl Bent {
    /// A backend that works.
    #[must_use]
    pub fn new(clock: &MockClock) -> Self {
        Self { memory: Arc::new(MemoryBackend::new(64 << 20, clock)), bends: Arc::default() }
    }

    /// Has it work otherwise from now on.
    pub fn bend(&self, bends: Bends) {
        *self.bends.lock().expect("nothing panics here") = bends;
    }

    fn bends(&self) -> Bends {
        self.bends.lock().expect("nothing panics here").clone()
    }
}

/// Does what a bend other than `Finds` says.
async fn suffer(bend: Bend) -> Result<(), Error> {
    match bend {
        Bend::Works | Bend::Finds(_) => Ok(()),
        Bend::Errs => Err(Error::backend("the server is on fire")),
        Bend::Panics | Bend::PanicsLater => panic!("a bug in the backend"),
        Bend::Hangs => pending().await,
        Bend::HangsAndPanics => {
            let _bomb = Bomb;
            pending().await
        }
    }
}

fn early(bend: Bend) -> Bend {
    assert!(!matches!(bend, Bend::Panics), "a bug in the backend");
    bend
}

impl Backend for Bent {
    fn name(&self) -> &'static str {
        "bent"
    }

    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send {
        let bend = early(self.bends().get);
        async move {
            suffer(bend.clone()).await?;
            match bend {
                Bend::Finds(bytes) => Ok(Some(bytes)),
                _ => self.memory.get(key).await,
            }
        }
    }

    fn set(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let bend = early(self.bends().set);
        async move {
            suffer(bend).await?;
            self.memory.set(key, value, timeout).await
        }
    }

    fn add(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        let bend = early(self.bends().set);
        async move {
            suffer(bend).await?;
            self.memory.add(key, value, timeout).await
        }
    }

    fn touch(&self, key: &str, timeout: Option<Duration>) -> impl Future<Output = Result<bool, Error>> + Send {
        let bend = early(self.bends().set);
        async move {
            suffer(bend).await?;
            self.memory.touch(key, timeout).await
        }
    }

    fn delete(&self, key: &str) -> impl Future<Output = Result<bool, Error>> + Send {
        let bend = early(self.bends().delete);
        async move {
            suffer(bend).await?;
            self.memory.delete(key).await
        }
    }

    fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send {
        let bend = early(self.bends().delete);
        async move {
            suffer(bend).await?;
            self.memory.clear().await
        }
    }
}
