//! A spool under the model checker: however its writer and readers take turns, each reader that stays reads the whole body, and none
//! waits for ever.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use shuttle::{
    Config, Runner,
    future::block_on,
    scheduler::{DfsScheduler, RandomScheduler},
    thread,
};

use super::{PageBody, Spool};

/// Runs `model` under many schedules, or under all if it is small.
fn explore(model: impl Fn() + Send + Sync + 'static, is_small: bool) {
    let mut config = Config::new();
    config.stack_size = 1 << 17;
    if is_small {
        Runner::new(DfsScheduler::new(Some(20_000), false), config).run(model);
    } else {
        Runner::new(RandomScheduler::new(4000), config).run(model);
    }
}

async fn read(body: &mut PageBody) -> Option<u8> {
    let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    frame.expect("it does not fail").into_data().ok().map(|data| data[0])
}

/// Writes pieces of two bytes, numbered, as long as there are readers.
fn write(spool: &Arc<Spool>, pieces: u8) -> thread::JoinHandle<bool> {
    let spool = Arc::clone(spool);
    thread::spawn(move || {
        block_on(async {
            for piece in 0..pieces {
                if !spool.has_room().await {
                    return false;
                }
                spool.push(Frame::data(Bytes::from(vec![piece, piece])));
            }
            spool.end(Ok(()));
            true
        })
    })
}

fn read_all(mut body: PageBody) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        block_on(async {
            let mut pieces = Vec::new();
            while let Some(piece) = read(&mut body).await {
                pieces.push(piece);
            }
            pieces
        })
    })
}

#[test]
fn each_reader_reads_the_whole_body() {
    explore(
        || {
            let spool = Spool::new(SizeHint::new(), 100);
            let readers = [(); 2].map(|()| read_all(PageBody::reader(&spool).unwrap()));
            let writer = write(&spool, 2);
            assert!(writer.join().unwrap());
            for reader in readers {
                assert_eq!(reader.join().unwrap(), [0, 1]);
            }
            assert_eq!(spool.whole().unwrap(), [0, 0, 1, 1][..]);
        },
        true,
    );
}

/// It holds four bytes, so the writer waits for its readers. One of them leaves half way.
#[test]
fn a_reader_that_leaves_stops_neither_the_writer_nor_the_others() {
    explore(
        || {
            let spool = Spool::new(SizeHint::new(), 4);
            let stays = read_all(PageBody::reader(&spool).unwrap());
            let mut leaves = PageBody::reader(&spool).unwrap();
            let leaver = thread::spawn(move || block_on(async { read(&mut leaves).await }));
            let writer = write(&spool, 6);
            assert!(writer.join().unwrap());
            assert_eq!(leaver.join().unwrap(), Some(0));
            assert_eq!(stays.join().unwrap(), [0, 1, 2, 3, 4, 5]);
            assert!(spool.whole().is_none() && PageBody::reader(&spool).is_none());
        },
        false,
    );
}

/// It is too large to be stored, and no reader is left.
#[test]
fn a_writer_without_readers_gives_up() {
    explore(
        || {
            let spool = Spool::new(SizeHint::new(), 4);
            let leaves = PageBody::reader(&spool).unwrap();
            let writer = write(&spool, 6);
            drop(leaves);
            assert!(!writer.join().unwrap());
        },
        false,
    );
}
