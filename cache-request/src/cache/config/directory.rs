//! The path of a `file://` address.

use crate::Error;

/// The directory that an address names: behind `file://` stands this machine, or nothing, and then an absolute path (RFC 8089).
pub(super) fn directory(path: &str) -> Result<&str, Error> {
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
