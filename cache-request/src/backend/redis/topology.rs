//! What the nodes of a cluster say about it: which node has which slots, and the addresses of the nodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Value, cmd};

/// The identifier of a node, which does not change with its address.
pub(super) type Id = String;

pub(super) fn cluster_nodes() -> Cmd {
    let mut command = cmd("CLUSTER");
    command.arg("NODES");
    command
}

pub(super) fn cluster_slots() -> Cmd {
    let mut command = cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// Which node has which slots, as one node sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// The node itself.
    pub(super) myself: Id,
    /// The owner of each range of slots. Nodes that agree write the same ranges.
    pub(super) owners: BTreeMap<String, Id>,
    /// The nodes to which it is moving slots. They may already have some of the keys.
    pub(super) receivers: BTreeSet<Id>,
}

impl View {
    /// Parses the answer to `CLUSTER NODES`. `None` if it is malformed.
    pub(super) fn parse(nodes: &str) -> Option<Self> {
        let mut view = Self::default();
        for line in nodes.lines() {
            let mut fields = line.split_ascii_whitespace();
            let (id, _address, flags) = (fields.next()?, fields.next()?, fields.next()?);
            if flags.split(',').any(|flag| flag == "myself") {
                id.clone_into(&mut view.myself);
            }
            // Five fields come before the slots: the master, two times, the epoch and the state of the link.
            for slots in fields.skip(5) {
                if !slots.starts_with('[') {
                    view.owners.insert(slots.to_owned(), id.to_owned());
                } else if let Some((_, receiver)) = slots.trim_end_matches(']').split_once("->-") {
                    view.receivers.insert(receiver.to_owned());
                }
            }
        }
        (!view.myself.is_empty()).then_some(view)
    }
}

/// The addresses of the masters of all slots, by the answer to `CLUSTER SLOTS` of the node at `host`.
pub(super) fn masters(slots: Value, host: &str) -> RedisResult<BTreeMap<Id, (String, u16)>> {
    let mut masters = BTreeMap::new();
    for range in Vec::<Vec<Value>>::from_redis_value(slots)? {
        let Some(master) = range.into_iter().nth(2) else { continue };
        let mut fields = Vec::<Value>::from_redis_value(master)?.into_iter();
        let mut next = || fields.next().unwrap_or(Value::Nil);
        let named = Option::<String>::from_redis_value(next())?.unwrap_or_default();
        let (port, id) = (u16::from_redis_value(next())?, Id::from_redis_value(next())?);
        let host = match named.as_str() {
            // An empty host means the host of the node that answers.
            "" => host.to_owned(),
            // The node prefers a name, and none is configured.
            "?" => {
                let also = HashMap::<String, String>::from_redis_value(next()).unwrap_or_default();
                let ip = also.get("ip").filter(|ip| !ip.is_empty());
                ip.ok_or((ErrorKind::ClusterConnectionNotFound, "the cluster does not say where all its masters are"))?
                    .to_owned()
            }
            _ => named,
        };
        masters.insert(id, (host, port));
    }
    Ok(masters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the documentation of `CLUSTER NODES` has it.
    const NODES: &str = "\
07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,hostname4 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002,hostname2 master - 0 1426238316232 2 connected 5461-10922
292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 127.0.0.1:30003@31003,hostname3 master,fail - 0 1426238318243 3 disconnected 10923-16382 16383
824fe116063bc5fcf9f4ffd895bc17aee7731ac3 :30006@31006 master,noaddr - 0 1426238317741 6 disconnected
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 [93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f] [77->-824fe116063bc5fcf9f4ffd895bc17aee7731ac3]
";

    #[test]
    fn a_view_is_who_has_which_slots() {
        let view = View::parse(NODES).unwrap();
        assert!(view.myself.starts_with("e7d1"));
        let owners: Vec<_> = view.owners.iter().map(|(slots, id)| (slots.as_str(), &id[..4])).collect();
        assert_eq!(owners, [("0-5460", "e7d1"), ("10923-16382", "292f"), ("16383", "292f"), ("5461-10922", "67ed")]);
        assert_eq!(view.receivers.iter().map(|id| &id[..4]).collect::<Vec<_>>(), ["824f"]);
        for answer in ["", "garbage", "a b c", &NODES.replace("myself,", "")] {
            assert_eq!(View::parse(answer), None, "{answer}");
        }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn slots(host: Value, more: Vec<Value>) -> Value {
        let master = [vec![host, Value::Int(7), text("id")], more].concat();
        let replica = vec![text("replica"), Value::Int(8), text("other"), Value::Array(Vec::new())];
        let range = vec![Value::Int(0), Value::Int(16383), Value::Array(master), Value::Array(replica)];
        Value::Array(vec![Value::Array(range)])
    }

    /// As the documentation of `CLUSTER SLOTS` says what they mean.
    #[test]
    fn hosts_may_be_unknown() {
        let ip = |ip| vec![Value::Map(vec![(text("ip"), text(ip))])];
        let flat = |ip| vec![Value::Array(vec![text("hostname"), text("h"), text("ip"), text(ip)])];
        for (host, more, expected) in [
            (text("10.0.0.1"), vec![], Some("10.0.0.1")),
            (text("name"), ip("10.0.0.1"), Some("name")),
            (Value::Nil, ip("10.0.0.1"), Some("asked")),
            (text(""), vec![], Some("asked")),
            (text("?"), ip("10.0.0.1"), Some("10.0.0.1")),
            (text("?"), flat("10.0.0.1"), Some("10.0.0.1")),
            (text("?"), ip(""), None),
            (text("?"), vec![], None),
        ] {
            let found = masters(slots(host.clone(), more), "asked").ok();
            let expected = expected.map(|host| BTreeMap::from([("id".to_owned(), (host.to_owned(), 7))]));
            assert_eq!(found, expected, "{host:?}");
        }
        assert!(masters(Value::Okay, "asked").is_err());
        assert_eq!(masters(Value::Array(Vec::new()), "asked").unwrap(), BTreeMap::new());
    }
}
