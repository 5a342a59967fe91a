//! An authority of the test's own, and what it signs.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::servers::run;

/// A certificate for this machine, its key, and the authority's certificate.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Panics
    ///
    /// If `openssl` is missing or fails.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let openssl = |arguments: &str| {
            let arguments: Vec<_> = arguments.split(' ').collect();
            run("openssl", &arguments, dir.path());
        };
        let request = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {request} -keyout ca.key -out ca.pem -days 1 -subj /CN=test-ca"));
        openssl(&format!("req {request} -keyout server.key -out server.csr -subj /CN=localhost"));
        std::fs::write(dir.path().join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 1 -extfile names",
        );
        Self { dir }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What the server shows.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("server.pem")
    }

    /// What only the server has.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }
}
