//! The address and the options of `file://`.

use super::{
    options::{Bytes, Entries, Options},
    scheme::Scheme,
};
use crate::{Error, backend::FileBackend, cache::CacheBuilder};

pub(super) fn open(
    _: &Scheme,
    path: &str,
    options: &mut Options,
    builder: CacheBuilder,
) -> Result<CacheBuilder, Error> {
    let mut backend = FileBackend::builder(directory(path)?);
    if let Some(Bytes(bytes)) = options.take("max_bytes")? {
        backend = backend.max_bytes(bytes);
    }
    if let Some(Entries(entries)) = options.take("max_entries")? {
        backend = backend.max_entries(entries);
    }
    Ok(builder.backend(backend.build()?))
}

/// The directory that an address names. A file's address is `file://`, then the machine, which can only be this one, and then
/// an absolute path (RFC 8089): what stands there otherwise is taken for neither.
fn directory(path: &str) -> Result<&str, Error> {
    const LOCAL: &str = "localhost";
    let local = |(machine, _): &(&str, &str)| machine.eq_ignore_ascii_case(LOCAL);
    let path = path.split_at_checked(LOCAL.len()).filter(local).map_or(path, |(_, path)| path);
    let wrong = if path.is_empty() {
        "needs a directory"
    } else if path.starts_with('~') {
        "knows no `~`: the directory is written in full"
    } else if !path.starts_with('/') {
        "takes an absolute path, behind a third slash"
    } else if path.contains('\0') {
        "takes no path with a NUL in it"
    } else if path.split('/').all(|step| matches!(step, "" | "." | "..")) {
        "does not take the root of all directories"
    } else {
        let drive = path.strip_prefix('/').filter(|path| cfg!(windows) && path.get(1..2) == Some(":"));
        return Ok(drive.unwrap_or(path));
    };
    Err(Error::config(format!("`file://` {wrong}, such as file:///var/cache/app")))
}
