//! Reads the address of a PostgreSQL server.

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::engine::Engine;
use crate::{Error, options::kind::SslMode};

/// Reads `user:password@host:port/database`, where each part may be missing. It is already percent-decoded.
pub(super) fn parse(rest: &str) -> Result<Engine, Error> {
    // The last `@`: a password may have one too.
    let (login, server) = rest.rsplit_once('@').map_or((None, rest), |(login, server)| (Some(login), server));
    let (host, database) = match server.strip_prefix('/') {
        // The path of a socket's directory. The database follows its last slash.
        Some(path) if path.contains('/') => server.rsplit_once('/').unwrap_or((server, "")),
        _ => server.split_once('/').unwrap_or((server, "")),
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
        let (host, port) = split_port(host)?;
        if !host.is_empty() {
            options = options.host(host);
        }
        if let Some(port) = port {
            options = options.port(port);
        }
    }
    if database.contains('/') {
        return Err(wrong("has a slash in the name of its database"));
    }
    if !database.is_empty() {
        options = options.database(database);
    }
    Ok(Engine::Postgres { options: options.into(), password: password.map(str::to_owned) })
}

/// Splits `host:port`, where the host may be an IPv6 address in brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or_else(|| wrong("has an opening bracket without a closing one"))?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or(port)) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port
        .map(|port| port.parse().map_err(|_| wrong("has a port that is not a number from 0 to 65535")))
        .transpose()?;
    Ok((host, port))
}

/// The mode in the client's type.
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

/// The error does not show the address, which may have a password.
fn wrong(what: &str) -> Error {
    Error::config(format!("the `postgres://` address {what}: expected postgres://user:password@host:5432/database"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(rest: &str) -> (String, u16, String, Option<String>, Option<String>) {
        let Ok(Engine::Postgres { options, password }) = parse(rest) else { panic!("{rest}") };
        let database = options.get_database().map(str::to_owned);
        let host = options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
        (host, options.get_port(), options.get_username().to_owned(), password, database)
    }

    #[test]
    fn every_part_is_read() {
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
    fn errors_show_no_password() {
        for rest in ["u:secret@h:port/d", "u:secret@[::1/d", "u:secret@h/d/e", "u:secret@h:70000"] {
            let Err(error) = parse(rest) else { panic!("{rest}") };
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
