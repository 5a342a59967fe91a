//! What belongs to one process, and must be made anew in a child after a fork.
//!
//! A fork copies memory but no threads. A child that went on with its parent's timer would wait for a thread that does not exist,
//! and one that went on with its parent's connections would read answers meant for the parent.

use std::{mem, process};

use once_cell::sync::OnceCell;

/// The process that runs. To ask for it is a system call of a hundred nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn this() -> Self {
        Self(process::id())
    }
}

/// A value that is made once in each process that asks for it: a list as long as the forks are deep.
///
/// A child keeps its parent's value in memory and never uses it.
pub(crate) struct PerProcess<T: 'static> {
    first: OnceCell<Node<T>>,
}

struct Node<T> {
    process: Process,
    value: T,
    /// The value of a child process. Only a child sets it, in its own copy of the memory.
    child: OnceCell<Box<Node<T>>>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { first: OnceCell::new() }
    }

    /// This process's value.
    pub(crate) fn get(&self, make: impl Fn() -> T) -> &T {
        self.of(Process::this(), make)
    }

    /// The value of `process`, which is this one.
    pub(crate) fn of(&self, process: Process, make: impl Fn() -> T) -> &T {
        let node = || Node { process, value: make(), child: OnceCell::new() };
        let mut own = self.first.get_or_init(node);
        while own.process != process {
            own = own.child.get_or_init(|| Box::new(node()));
        }
        &own.value
    }
}

impl<T> Drop for PerProcess<T> {
    /// Drops the value of this process. An inherited one stays in memory: to drop it could close what the parent uses.
    fn drop(&mut self) {
        let mut next = self.first.take().map(Box::new);
        while let Some(mut inherited) = next.take_if(|node| node.process != Process::this()) {
            next = inherited.child.take();
            mem::forget(inherited);
        }
    }
}
