//! How a namespace is emptied: with `SCAN` and `UNLINK`, a page at a time, so that the server answers others in between.

use std::pin::pin;

use redis::{
    Cmd, FromRedisValue, RedisResult,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};

use super::{
    link::Live,
    server::{Connection, masters},
};

/// How many keys the server looks at for one page.
const PAGE: usize = 1000;

/// A page: where the next one begins, which is zero after the last, and the keys.
type Page = (u64, Vec<Vec<u8>>);

pub(super) async fn clear(live: &Live, namespace: &str) -> RedisResult<()> {
    let pattern = pattern(namespace);
    // Also where there is nothing yet to be removed.
    live.wait_for_late_writes().await?;
    match live.connection() {
        Connection::One(_) => {
            let mut cursor = 0;
            loop {
                let (next, keys) = Page::from_redis_value(live.ask(&scan(cursor, &pattern)).await?)?;
                if !keys.is_empty() {
                    live.change(cmd("UNLINK").arg(keys)).await?;
                }
                if next == 0 {
                    return Ok(());
                }
                cursor = next;
            }
        }
        Connection::Cluster(mut cluster) => {
            for (host, port) in masters(&mut cluster).await? {
                clear_node(live, &mut cluster, (&host, port), &pattern).await?;
            }
            Ok(())
        }
    }
}

async fn clear_node(
    live: &Live,
    cluster: &mut ClusterConnection,
    (host, port): (&str, u16),
    pattern: &str,
) -> RedisResult<()> {
    let mut cursor = 0;
    loop {
        let node = SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port };
        let asked = pin!(cluster.route_command(scan(cursor, pattern), RoutingInfo::SingleNode(node)));
        let page = live.watched(asked).await?;
        let (next, keys) = Page::from_redis_value(page)?;
        if !keys.is_empty() {
            // One command for the caller, and one for each slot on its way.
            live.change(cmd("UNLINK").arg(keys)).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

fn scan(cursor: u64, pattern: &str) -> Cmd {
    let mut command = cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
    command
}

/// What matches the keys of a namespace, and no others.
fn pattern(namespace: &str) -> String {
    let mut pattern = String::with_capacity(namespace.len() + 2);
    for character in namespace.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + ":*"
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_namespace_is_no_pattern() {
        assert_eq!(super::pattern("cache"), "cache:*");
        assert_eq!(super::pattern(r"a*b?[c]\"), r"a\*b\?\[c\]\\:*");
    }
}
