//! Backends that do what no backend should, and what they are made of.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use cache_request::{
    Error, ErrorKind, MockClock,
    backend::{Backend, MemoryBackend},
};

/// The named methods of a [`Backend`] that are those of another one: `delegate!(self => self.0; get set)`. Six that store single values,
/// where none is named.
#[macro_export]
macro_rules! delegate {
    ($this:ident => $to:expr) => {
        $crate::delegate!($this => $to; get set add touch delete clear);
    };
    ($this:ident => $to:expr; $($method:ident)*) => {
        $($crate::delegate!(@$method $this => $to);)*
    };
    (@get $this:ident => $to:expr) => {
        async fn get(&$this, key: &str) -> Result<Option<Vec<u8>>, ::cache_request::Error> {
            $to.get(key).await
        }
    };
    (@set $this:ident => $to:expr) => {
        async fn set(
            &$this,
            key: &str,
            value: &[u8],
            timeout: Option<::std::time::Duration>,
        ) -> Result<(), ::cache_request::Error> {
            $to.set(key, value, timeout).await
        }
    };
    (@add $this:ident => $to:expr) => {
        async fn add(
            &$this,
            key: &str,
            value: &[u8],
            timeout: Option<::std::time::Duration>,
        ) -> Result<bool, ::cache_request::Error> {
            $to.add(key, value, timeout).await
        }
    };
    (@touch $this:ident => $to:expr) => {
        async fn touch(
            &$this,
            key: &str,
            timeout: Option<::std::time::Duration>,
        ) -> Result<bool, ::cache_request::Error> {
            $to.touch(key, timeout).await
        }
    };
    (@delete $this:ident => $to:expr) => {
        async fn delete(&$this, key: &str) -> Result<bool, ::cache_request::Error> {
            $to.delete(key).await
        }
    };
    (@clear $this:ident => $to:expr) => {
        async fn clear(&$this) -> Result<(), ::cache_request::Error> {
            $to.clear().await
        }
    };
    (@has_fences $this:ident => $to:expr) => {
        fn has_fences(&$this) -> bool {
            $to.has_fences()
        }
    };
    (@claim $this:ident => $to:expr) => {
        async fn claim(
            &$this,
            key: &str,
            claim: ::cache_request::backend::Claim,
        ) -> Result<::cache_request::backend::Claimed, ::cache_request::Error> {
            $to.claim(key, claim).await
        }
    };
    (@set_fenced $this:ident => $to:expr) => {
        async fn set_fenced(
            &$this,
            key: &str,
            value: &[u8],
            timeout: Option<::std::time::Duration>,
            fence: ::cache_request::backend::Fence,
        ) -> Result<bool, ::cache_request::Error> {
            $to.set_fenced(key, value, timeout, fence).await
        }
    };
    (@renew $this:ident => $to:expr) => {
        async fn renew(
            &$this,
            key: &str,
            fence: ::cache_request::backend::Fence,
            lease: ::std::time::Duration,
        ) -> Result<bool, ::cache_request::Error> {
            $to.renew(key, fence, lease).await
        }
    };
    (@release $this:ident => $to:expr) => {
        async fn release(
            &$this,
            key: &str,
            fence: ::cache_request::backend::Fence,
        ) -> Result<(), ::cache_request::Error> {
            $to.release(key, fence).await
        }
    };
    (@invalidate $this:ident => $to:expr) => {
        async fn invalidate(
            &$this,
            key: &str,
            refuse: ::std::time::Duration,
        ) -> Result<bool, ::cache_request::Error> {
            $to.invalidate(key, refuse).await
        }
    };
}

/// A backend in memory that pauses before and after each operation.
pub struct Pausing<P> {
    memory: MemoryBackend,
    pause: P,
}

impl<F: Future<Output = ()> + Send, P: Fn() -> F + Send + Sync + 'static> Pausing<P> {
    /// `pause` is how.
    #[must_use]
    pub fn new(memory: MemoryBackend, pause: P) -> Self {
        Self { memory, pause }
    }

    async fn between<T: Send>(&self, operation: impl Future<Output = T> + Send) -> T {
        (self.pause)().await;
        let outcome = operation.await;
        (self.pause)().await;
        outcome
    }
}

impl<F: Future<Output = ()> + Send, P: Fn() -> F + Send + Sync + 'static> Backend for Pausing<P> {
    fn name(&self) -> &'static str {
        "pausing"
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.between(self.memory.get(key)).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.between(self.memory.set(key, value, timeout)).await
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        self.between(self.memory.add(key, value, timeout)).await
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        self.between(self.memory.touch(key, timeout)).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.between(self.memory.delete(key)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.between(self.memory.clear()).await
    }
}

/// What a [`Bent`] backend does instead of its work.
#[derive(Debug, Clone, Default)]
pub enum Bend {
    /// Nothing: it works.
    #[default]
    Works,
    /// Fails.
    Errs,
    /// Fails with an error of this kind.
    ErrsAs(ErrorKind),
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
        Self {
            memory: Arc::new(MemoryBackend::builder().clock(clock).build().expect("no option is wrong")),
            bends: Arc::default(),
        }
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
        Bend::ErrsAs(kind) => Err(Error::new(kind, "on purpose")),
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
