//! Clears a namespace, by `SCAN` and `UNLINK`, a page at a time, so that the server answers other clients in between.

use std::{collections::BTreeSet, pin::pin};

use redis::{
    Cmd, FromRedisValue, RedisResult, Value,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};

use super::{
    live::Live,
    record,
    server::Connection,
    topology::{self, cluster_slots},
};

/// How many keys the server visits for one page.
const PAGE: usize = 1000;

/// A page: the cursor of the next one, which is zero after the last, and the keys.
type Page = (u64, Vec<Vec<u8>>);

pub(super) async fn clear(live: &Live, namespace: &str) -> RedisResult<()> {
    let values = pattern(namespace);
    let records = format!("{}{values}", record::PATTERN);
    // Even if no key is found: an abandoned write may still store one.
    live.wait_for_abandoned_writes().await?;
    // Claims end first. What one of them has stored until then is found among the values.
    for pattern in [records, values] {
        match live.connection.clone() {
            Connection::One(_) => clear_server(live, &pattern).await?,
            Connection::Cluster(mut cluster) => {
                for node in masters(live, &mut cluster).await? {
                    clear_node(live, &mut cluster, node, &pattern).await?;
                }
            }
        }
    }
    Ok(())
}

async fn clear_server(live: &Live, pattern: &str) -> RedisResult<()> {
    let mut cursor = 0;
    loop {
        let (next, keys) = Page::from_redis_value(live.ask(&scan(cursor, pattern)).await?)?;
        if !keys.is_empty() {
            live.change(cmd("UNLINK").arg(keys)).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// The addresses of all masters, by the answers of all masters that the client knows.
async fn masters(live: &Live, cluster: &mut ClusterConnection) -> RedisResult<BTreeSet<(String, u16)>> {
    let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let answers = live.watched(pin!(cluster.route_command(cluster_slots(), all))).await?;
    let mut masters = BTreeSet::new();
    for (address, slots) in Vec::<(String, Value)>::from_redis_value(answers)? {
        let host = address.rsplit_once(':').map_or("", |(host, _port)| host);
        masters.extend(topology::masters(slots.extract_error()?, host)?.into_values());
    }
    Ok(masters)
}

async fn clear_node(
    live: &Live,
    cluster: &mut ClusterConnection,
    (host, port): (String, u16),
    pattern: &str,
) -> RedisResult<()> {
    let mut cursor = 0;
    loop {
        let node = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port };
        let asked = pin!(cluster.route_command(scan(cursor, pattern), RoutingInfo::SingleNode(node)));
        let page = live.watched(asked).await?;
        let (next, keys) = Page::from_redis_value(page)?;
        if !keys.is_empty() {
            // The client divides it into one command for each slot.
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

/// The pattern that matches the keys of the values of a namespace, and no others.
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
