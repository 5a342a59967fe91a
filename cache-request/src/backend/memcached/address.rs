//! `memcached://a:11211,b:11211,c`.

use crate::Error;

const PORT: u16 = 11211;

/// The servers, each as `host:port`.
///
/// Errors here show nothing of the address: there may be a password in it.
pub(super) fn parse(rest: &str) -> Result<Vec<String>, Error> {
    let mut servers = Vec::new();
    for server in rest.strip_suffix('/').unwrap_or(rest).split(',') {
        let server = one(server).ok_or_else(|| {
            Error::config(
                "`memcached://` takes hosts, each with a port or without, such as memcached://a:11211,b:11211; memcached knows neither \
                 users nor databases",
            )
        })?;
        if servers.contains(&server) {
            return Err(Error::config("`memcached://` names a server twice"));
        }
        servers.push(server);
    }
    Ok(servers)
}

fn one(server: &str) -> Option<String> {
    let (host, port) = match server.strip_prefix('[') {
        // An IPv6 address, which has colons of its own.
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (format!("[{host}]"), port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
        }
        None => match server.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (server.to_owned(), Some("")),
        },
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(in_name)) {
        return None;
    }
    let port = match port? {
        "" if !server.ends_with(':') => PORT,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    Some(format!("{}:{port}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_names_and_ports() {
        for (rest, servers) in [
            ("h", &["h:11211"][..]),
            ("a,B:1,c.example.org/", &["a:11211", "b:1", "c.example.org:11211"]),
            ("127.0.0.1:5,[::1],[::1]:5", &["127.0.0.1:5", "[::1]:11211", "[::1]:5"]),
        ] {
            assert_eq!(parse(rest).unwrap(), servers, "{rest}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_not_shown() {
        for rest in [
            "",
            ",",
            "a,",
            "a,a",
            "a,a:11211",
            "a:",
            "a:0",
            "a:70000",
            "a:secret",
            "user:secret@h",
            "secret@h",
            "h/secret",
            "::1",
            "[::1",
            "[secret]",
            "[::1]secret",
            "h secret",
        ] {
            let error = parse(rest).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
