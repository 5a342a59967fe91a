//! The connections of one runtime.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use memcache::exp::{self, AsyncMetaClient, MetaClientBuilder};
use tokio::runtime::Handle;

use super::get_queue::GetQueue;

/// The connections of one runtime: one client for each server, made at its first use.
pub(super) struct Link {
    runtime: Handle,
    clients: Vec<Mutex<Option<(Epoch, AsyncMetaClient)>>>,
    get_queues: Vec<GetQueue>,
    max_connections: usize,
}

/// Counts the times that all connections to a server were given up.
pub(super) type Epoch = u64;

impl Link {
    pub(super) fn new(runtime: &Handle, servers: usize, max_connections: usize) -> Self {
        Self {
            runtime: runtime.clone(),
            clients: (0..servers).map(|_| Mutex::default()).collect(),
            get_queues: (0..servers).map(|_| GetQueue::default()).collect(),
            max_connections,
        }
    }

    /// The gets that wait for a server.
    pub(super) fn get_queue(&self, server: usize) -> &GetQueue {
        &self.get_queues[server]
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The client of the server at `address`. One of an earlier epoch is replaced.
    pub(super) async fn client(&self, server: usize, address: &str, epoch: Epoch) -> exp::Result<AsyncMetaClient> {
        if let Some((of, client)) = &*self.slot(server)
            && *of == epoch
        {
            return Ok(client.clone());
        }
        // This resolves the name. The client connects at its first command. The caller limits the time of both.
        let client = MetaClientBuilder::new()
            .max_idle(self.max_connections)
            .max_connections(Some(self.max_connections))
            .connect_timeout(None)
            .io_timeout(None)
            .connect_async(address)
            .await?;
        let mut slot = self.slot(server);
        match &*slot {
            // Another caller was faster.
            Some((of, client)) if *of >= epoch => Ok(client.clone()),
            _ => {
                *slot = Some((epoch, client.clone()));
                Ok(client)
            }
        }
    }

    fn slot(&self, server: usize) -> MutexGuard<'_, Option<(Epoch, AsyncMetaClient)>> {
        self.clients[server].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls `future` within this link's runtime, to which its connections belong. The caller may be on another executor.
    pub(super) async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let _entered = self.runtime.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}
