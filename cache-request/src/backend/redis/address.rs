//! Parses an address: the servers, the login, and the database.

use std::path::PathBuf;

use crate::Error;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// The schemes of this backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Redis,
    Rediss,
    Unix,
    Cluster,
    Sentinel,
}

impl Scheme {
    pub(super) const ALL: [Self; 5] = [Self::Redis, Self::Rediss, Self::Unix, Self::Cluster, Self::Sentinel];

    pub(super) fn of(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.name() == name);
        found.ok_or_else(|| Error::config(format!("`{name}://` is not a scheme of Redis")))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Rediss => "rediss",
            Self::Unix => "redis+unix",
            Self::Cluster => "redis-cluster",
            Self::Sentinel => "redis-sentinel",
        }
    }
}

/// User and password at a server. It has no `Debug`, so that no password is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Where the servers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Host(String, u16),
    Cluster(Vec<(String, u16)>),
    Socket(PathBuf),
    Sentinels { hosts: Vec<(String, u16)>, master: String },
}

/// An address without its scheme, percent-decoded.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) login: Login,
    pub(super) place: Place,
    pub(super) database: Option<i64>,
}

impl Address {
    /// Errors show only the scheme of the address, as the rest may contain a password.
    pub(super) fn parse(scheme: Scheme, rest: &str) -> Result<Self, Error> {
        // A password may contain `@` and a host does not, so the last one counts. A path may contain it, too: if the address begins with
        // the path, there is no login.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) if scheme != Scheme::Unix || !is_path(login) => (Login::parse(login), rest),
            _ => (Login::default(), rest),
        };
        if scheme == Scheme::Unix {
            return match is_path(rest) {
                true => Ok(Self { login, place: Place::Socket(rest.into()), database: None }),
                false => Err(wrong(scheme, "needs the path of a socket, such as redis+unix:///run/redis.sock")),
            };
        }
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if scheme == Scheme::Sentinel { SENTINEL_PORT } else { PORT };
        let hosts = hosts.split(',').map(|host| parse_host(scheme, host, port)).collect::<Result<Vec<_>, _>>()?;
        match scheme {
            Scheme::Sentinel => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(wrong(scheme, "needs the master's name, such as redis-sentinel://host:26379/mymaster"));
                }
                let database = parse_database(scheme, database)?;
                Ok(Self { login, place: Place::Sentinels { hosts, master: master.to_owned() }, database })
            }
            Scheme::Cluster if !path.is_empty() => Err(wrong(scheme, "takes no path: a cluster has one database")),
            Scheme::Cluster => Ok(Self { login, place: Place::Cluster(hosts), database: None }),
            Scheme::Redis | Scheme::Rediss | Scheme::Unix => match <[_; 1]>::try_from(hosts) {
                Ok([(host, port)]) => {
                    Ok(Self { login, place: Place::Host(host, port), database: parse_database(scheme, path)? })
                }
                Err(_) => Err(wrong(scheme, "takes one host: several are a redis-cluster:// or redis-sentinel://")),
            },
        }
    }
}

impl Login {
    fn parse(text: &str) -> Self {
        let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self { user: some(user), password: password.and_then(some) }
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
}

fn parse_host(scheme: Scheme, text: &str, default: u16) -> Result<(String, u16), Error> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(default), str::parse).ok().filter(|port| *port != 0);
    match port {
        Some(port) if !host.is_empty() => Ok((host.to_owned(), port)),
        Some(_) => Err(wrong(scheme, "needs a host, such as redis://localhost:6379")),
        None => Err(wrong(scheme, "has a port that is no number from 1 to 65535")),
    }
}

fn parse_database(scheme: Scheme, text: &str) -> Result<Option<i64>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) => Ok(Some(number.into())),
        Err(_) => Err(wrong(scheme, "has a database that is no number")),
    }
}

pub(super) fn wrong(scheme: Scheme, what: &str) -> Error {
    Error::config(format!("`{}://` {what}", scheme.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[(&str, u16)]) -> Vec<(String, u16)> {
        hosts.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect()
    }

    fn login(user: Option<&str>, password: Option<&str>) -> Login {
        Login { user: user.map(str::to_owned), password: password.map(str::to_owned) }
    }

    #[test]
    fn what_addresses_say() {
        let none = Login::default();
        for (scheme, text, login, place, database) in [
            (Scheme::Redis, "h", none.clone(), Place::Host("h".into(), 6379), None),
            (Scheme::Redis, "h/", none.clone(), Place::Host("h".into(), 6379), None),
            (Scheme::Redis, "[::1]/2", none.clone(), Place::Host("::1".into(), 6379), Some(2)),
            (Scheme::Rediss, "[::1]:7/2", none.clone(), Place::Host("::1".into(), 7), Some(2)),
            (Scheme::Redis, "u:p@s/s:w@h:7/2", login(Some("u"), Some("p@s/s:w")), Place::Host("h".into(), 7), Some(2)),
            (Scheme::Redis, ":p@h", login(None, Some("p")), Place::Host("h".into(), 6379), None),
            (Scheme::Unix, "/run/a@b", none.clone(), Place::Socket("/run/a@b".into()), None),
            (Scheme::Unix, "u:p@/run/r", login(Some("u"), Some("p")), Place::Socket("/run/r".into()), None),
            (Scheme::Cluster, "a:1,b", none.clone(), Place::Cluster(hosts(&[("a", 1), ("b", 6379)])), None),
            (
                Scheme::Sentinel,
                "a,b:1/main/3",
                none,
                Place::Sentinels { hosts: hosts(&[("a", 26379), ("b", 1)]), master: "main".into() },
                Some(3),
            ),
        ] {
            let address = Address::parse(scheme, text).expect(text);
            assert!(address == Address { login, place, database }, "{text}");
        }
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for (scheme, text, part) in [
            (Scheme::Redis, "", "needs a host"),
            (Scheme::Redis, ":6379", "needs a host"),
            (Scheme::Redis, "secret@", "needs a host"),
            (Scheme::Redis, "h:secret", "port"),
            (Scheme::Redis, "h:0", "port"),
            (Scheme::Redis, "h:65536", "port"),
            (Scheme::Redis, "h/secret", "database"),
            (Scheme::Redis, "h/-1", "database"),
            (Scheme::Redis, "a,b", "one host"),
            (Scheme::Unix, "secret", "path"),
            (Scheme::Cluster, "a,b/0", "no path"),
            (Scheme::Cluster, "a,,b", "needs a host"),
            (Scheme::Sentinel, "a,b", "master"),
            (Scheme::Sentinel, "a,b/main/secret", "database"),
        ] {
            let error = Address::parse(scheme, text).err().expect(text).to_string();
            assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
