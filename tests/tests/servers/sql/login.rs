//! Encrypted connections and certificates.

use std::{path::Path, process::Command};

use cache_request_tests::{certificates::Certificates, servers::postgres::Postgres};

/// The output of a process that makes two calls. It trusts the given authority besides those that the system trusts.
fn two_calls(url: &str, authority: Option<&Path>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_child"));
    command.args(["two_calls", url]).env_remove("PGSSLROOTCERT");
    if let Some(authority) = authority {
        command.env("PGSSLROOTCERT", authority);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn connections_are_encrypted_and_strangers_are_not_trusted() {
    let certificates = Certificates::new();
    let (postgres, plain) = (Postgres::encrypted(&certificates), Postgres::shared());
    let authority = certificates.authority();
    let options = "connect=now&connect_limit=60s&soft_limit=60s&cull_every=1h";
    let url = |postgres: &Postgres, mode: &str| format!("{}?sslmode={mode}&namespace={mode}&{options}", postgres.url());
    // A trigger records what the server says of the connection that writes: whether it is encrypted.
    let _ = postgres.ask(
        "CREATE TABLE seen (mode text, ssl bool); \
         CREATE TABLE cache_request (namespace TEXT NOT NULL, key TEXT NOT NULL, value BYTEA NOT NULL, \
         stored BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key)); \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO seen SELECT NEW.namespace, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid(); RETURN NEW; END $$; \
         CREATE TRIGGER look BEFORE INSERT ON cache_request FOR EACH ROW EXECUTE FUNCTION look()",
    );
    for (mode, trusted) in [
        ("disable", None),
        ("prefer", None),
        ("require", None),
        ("verify-ca", Some(authority.as_path())),
        ("verify-full", Some(authority.as_path())),
    ] {
        assert_eq!(two_calls(&url(&postgres, mode), trusted), "1 hits, 0 faults\n", "{mode}");
        let encrypted = postgres.ask(&format!("SELECT bool_and(ssl) FROM seen WHERE mode = '{mode}'"));
        assert_eq!(encrypted, if mode == "disable" { "f" } else { "t" }, "{mode}");
    }
    for mode in ["verify-ca", "verify-full"] {
        let refused = two_calls(&url(&postgres, mode), None);
        assert!(refused.starts_with("Backend: ") && refused.contains("certificate"), "{mode}: {refused}");
    }
    // With these modes, there is no fallback to a connection without encryption.
    for mode in ["require", "verify-full"] {
        let refused = two_calls(&url(&plain, mode), Some(&authority));
        assert!(refused.starts_with("Backend: "), "{mode}: {refused}");
    }
    assert_eq!(two_calls(&url(&plain, "prefer"), None), "1 hits, 0 faults\n");
}
