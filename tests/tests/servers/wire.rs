//! What comes between callers and servers: delays, cuts, and bits that are not as they were. Each test prints its figures:
//! `--nocapture` shows them.

use std::time::Duration;

use cache_request_tests::{
    proxy::Mode,
    servers::{memcached::Memcached, postgres::Postgres, redis::Redis},
    wire::Wired,
};

macro_rules! wire {
    ($($server:ident: $wired:expr;)*) => {$(
        mod $server {
            use super::*;

            #[test]
            fn answers_that_are_late_but_not_too_late() {
                let wired = $wired;
                wired.suffers(&[Mode::Delays(Duration::from_millis(20))], false);
                wired.has_answers_that_are_late(Duration::from_millis(20));
            }

            #[test]
            fn answers_that_come_too_late() {
                $wired.suffers(&[Mode::Delays(Duration::from_millis(400))], true);
            }

            #[test]
            fn answers_that_come_a_byte_at_a_time() {
                $wired.suffers(&[Mode::Trickles(Duration::from_millis(1))], false);
            }

            #[test]
            fn connections_that_break_in_the_middle_of_an_answer() {
                $wired.suffers(&[Mode::Cuts(20), Mode::Cuts(1)], true);
            }

            /// As where a flipped bit makes one answer of two, and each question is given the answer to another one.
            #[test]
            fn answers_that_are_lost() {
                $wired.suffers(&[Mode::Loses(20), Mode::Loses(3)], true);
            }

            #[test]
            fn bits_that_flip_on_the_way_to_the_client() {
                $wired.suffers(&[Mode::FlipsAnswers(20), Mode::FlipsAnswers(3)], true);
            }

            #[test]
            fn bits_that_flip_on_the_way_to_the_server() {
                $wired.suffers(&[Mode::FlipsQuestions(20), Mode::FlipsQuestions(3)], true);
            }
        }
    )*};
}

// An unusable wire does no harm: the breaker does not stay open for long, and callers do not wait for one another's connections.
wire! {
    redis: Wired::new(Redis::start(&[]), |redis| redis.server.port, |port| format!("redis://127.0.0.1:{port}?breaker_pause=1ms"));
    tiered_redis: Wired::new(
        Redis::start(&[]),
        |redis| redis.server.port,
        |port| format!("tiered+redis://127.0.0.1:{port}?breaker_pause=1ms"),
    );
    memcached: Wired::new(
        Memcached::start(&[]),
        |memcached| memcached.server.port,
        |port| format!("memcached://127.0.0.1:{port}?breaker_pause=1ms"),
    );
    postgres: Wired::new(
        Postgres::start(&[]),
        |postgres| postgres.server.port,
        |port| format!("{}?sslmode=disable&breaker_pause=1ms&max_connections=32", Postgres::url_at(port)),
    );
}
