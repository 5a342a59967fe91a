//! Tags: no value from before an invalidation of its tag is returned after it, or kept, whether the arguments tell the tag or the body does.

use shuttle::rand::Rng;

use super::{fleet::Server, *};
use crate::{engine::tagging::TagList, tag};

/// Who tells of the tag.
#[derive(Clone, Copy)]
enum By {
    Arguments,
    /// After it has read the source.
    Body,
    /// A cached function that the body calls.
    Inner,
}

const ALL: [By; 3] = [By::Arguments, By::Body, By::Inner];

impl World {
    fn call_tagged(self: &Arc<Self>, by: By) -> u32 {
        scoped_sync(&self.cache, || plain(1, policy_of(by), || self.tagged_body(by)).call())
    }

    fn tagged_body(self: &Arc<Self>, by: By) -> u32 {
        match by {
            By::Arguments => self.plain_body(),
            By::Body => {
                let read = self.plain_body();
                tag("seven");
                read
            }
            By::Inner => self.inner(),
        }
    }

    fn inner(self: &Arc<Self>) -> u32 {
        plain(2, policy_of(By::Arguments), || self.plain_body()).call()
    }

    fn kept(self: &Arc<Self>, by: By) -> Option<u32> {
        scoped_sync(&self.cache, || plain(1, policy_of(by), || unreachable!()).peek())
    }
}

fn policy_of(by: By) -> Policy<u32, u32> {
    match by {
        By::Arguments => policy().tags(TagList::of(|tags| tags.add(format_args!("seven")))),
        By::Body => policy().may_name_tags(),
        By::Inner => policy(),
    }
}

/// Callers of these worlds come and go while the source changes, and the last world invalidates the tag.
fn check(by: By, worlds: impl Fn() -> Vec<Arc<World>> + Send + Sync + 'static) {
    explore(move || {
        let worlds = worlds();
        match shuttle::rand::thread_rng().gen_range(0..3) {
            // There is a value, and the records of its tags.
            0 => _ = worlds[0].call_tagged(by),
            // There is what it is made of.
            1 => _ = scoped_sync(&worlds[0].cache, || worlds[0].inner()),
            _ => {}
        }
        let threads: Vec<_> = worlds
            .iter()
            .chain(worlds.first())
            .map(|world| {
                let world = Arc::clone(world);
                thread::spawn(move || world.call_tagged(by))
            })
            .collect();
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..16) {
            thread::yield_now();
        }
        worlds.iter().for_each(|world| world.source.store(2, SeqCst));
        worlds.last().unwrap().cache.invalidate_tag_sync("seven").unwrap();
        for world in &worlds {
            assert_eq!(world.call_tagged(by), 2, "an older value is shared, or was kept");
        }
        for thread in threads {
            assert!([1, 2].contains(&thread.join().unwrap()));
        }
        for world in &worlds {
            assert_ne!(world.kept(by), Some(1), "an older value came back");
            assert_eq!(world.call_tagged(by), 2);
            world.assert_quiet();
        }
    });
}

#[test]
fn a_value_in_memory_outlived_its_tag() {
    ALL.into_iter().for_each(|by| check(by, || vec![World::in_memory()]));
}

#[test]
fn a_value_in_a_backend_outlived_its_tag() {
    ALL.into_iter().for_each(|by| check(by, || vec![World::on(Server::default())]));
}

#[test]
fn a_value_in_front_of_a_backend_outlived_its_tag() {
    ALL.into_iter().for_each(|by| check(by, || vec![World::in_front_of(Server::default())]));
}

#[test]
fn a_value_outlived_its_tag_that_another_process_invalidated() {
    let worlds = || {
        let server = Arc::new(Server::default());
        vec![World::on(Arc::clone(&server)), World::on(server)]
    };
    ALL.into_iter().for_each(|by| check(by, worlds));
}

#[test]
fn a_quiet_value_was_not_kept() {
    for by in ALL {
        explore(move || {
            let world = World::on(Server::default());
            let threads = [(); 2].map(|()| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.call_tagged(by))
            });
            world.cache.invalidate_tag_sync("eight").unwrap();
            threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 1));
            // The first of all bodies may have begun before there was a sequence.
            world.call_tagged(by);
            assert_eq!(world.kept(by), Some(1), "another tag kept it from being kept");
        });
    }
}
