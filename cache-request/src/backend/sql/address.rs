//! What the address of a PostgreSQL server says.

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::engine::Engine;
use crate::{Error, options::kind::SslMode};

/// `user:password@host:port/database`, where each part may be missing. It was percent-encoded, so that a password may be anything.
pub(super) fn decoded(rest: &str) -> Result<Engine, Error> {
    let (login, place) = rest.rsplit_once('@').map_or((None, rest), |(login, place)| (Some(login), place));
    let (host, database) = match place.strip_prefix('/') {
        // The directory of a socket, in which there are more slashes.
        Some(path) if path.contains('/') => place.rsplit_once('/').unwrap_or((place, "")),
        _ => place.split_once('/').unwrap_or((place, "")),
    };
    let mut options =
        PgConnectOptions::new_without_pgpass().application_name("cache-request").disable_statement_logging();
    let (user, password) = login.map_or(("", None), |login| match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    });
    if !user.is_empty() {
        options = options.username(user);
    }
    if let Some(password) = password {
        options = options.password(password);
    }
    if host.starts_with('/') {
        options = options.socket(host);
    } else {
        let (host, port) = split(host)?;
        if !host.is_empty() {
            options = options.host(host);
        }
        if let Some(port) = port {
            options = options.port(port);
        }
    }
    if database.contains('/') {
        return Err(wrong("has more than the name of a database behind its host"));
    }
    if !database.is_empty() {
        options = options.database(database);
    }
    Ok(Engine::Postgres { options: options.into(), password: password.map(str::to_owned) })
}

/// The host and the port of `host:port`, where the host may be an address of IPv6 in brackets.
fn split(text: &str) -> Result<(&str, Option<u16>), Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| wrong("has a bracket that is not closed"))?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|port| port.parse().map_err(|_| wrong("has a port that is no number"))).transpose()?;
    Ok((host, port))
}

/// The mode as the client calls it.
pub(super) fn ssl_mode(mode: SslMode) -> PgSslMode {
    match mode {
        SslMode::Disable => PgSslMode::Disable,
        SslMode::Allow => PgSslMode::Allow,
        SslMode::Prefer => PgSslMode::Prefer,
        SslMode::Require => PgSslMode::Require,
        SslMode::VerifyCa => PgSslMode::VerifyCa,
        SslMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// Shows nothing of the address, as it may hold a password.
fn wrong(what: &str) -> Error {
    Error::config(format!("the `postgres://` address {what}: it is postgres://user:password@host:5432/database"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(rest: &str) -> (String, u16, String, Option<String>, Option<String>) {
        let Ok(Engine::Postgres { options, password }) = decoded(rest) else { panic!("{rest}") };
        let database = options.get_database().map(str::to_owned);
        let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
        (host, options.get_port(), options.get_username().to_owned(), password, database)
    }

    #[test]
    fn every_part_finds_its_place() {
        let is = |rest: &str, host: &str, port, user: &str, password: Option<&str>, database: &str| {
            let expected = (host.into(), port, user.into(), password.map(Into::into), Some(database.into()));
            assert_eq!(parts(rest), expected, "{rest}");
        };
        is("u:p@h:1/d", "h", 1, "u", Some("p"), "d");
        is("u@h:1/d", "h", 1, "u", None, "d");
        is("u:p@:/w:@h:1/d", "h", 1, "u", Some("p@:/w:"), "d");
        is("u:@[::1]:2/d", "::1", 2, "u", Some(""), "d");
        assert_eq!(parts("u@/run/postgresql/d").0, "/run/postgresql");
        assert_eq!(parts("u@/run/postgresql/d").4.as_deref(), Some("d"));
        assert_eq!(parts("u@h/").4, parts("u@h").4);
    }

    #[test]
    fn what_is_wrong_shows_no_password() {
        for rest in ["u:secret@h:port/d", "u:secret@[::1/d", "u:secret@h/d/e", "u:secret@h:70000"] {
            let Err(error) = decoded(rest) else { panic!("{rest}") };
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
