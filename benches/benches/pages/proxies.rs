//! HTTP caches that are programs of their own. They take their time to live from the origin's `Cache-Control`.

use std::{fs, path::Path, process::Command};

/// The files that nginx writes are all in its prefix; root would leave its rights otherwise, and could not read them.
const NGINX: &str = "
daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    client_body_temp_path body;
    fastcgi_temp_path fastcgi;
    proxy_temp_path proxy;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    proxy_cache_path pages keys_zone=pages:1m use_temp_path=off;
    server {
        listen LISTEN;
        location / {
            proxy_pass http://ORIGIN;
            proxy_cache pages;
        }
    }
}
";

/// One worker, and no log. Its pages are files, which the system keeps in memory.
pub(crate) fn nginx(port: u16, directory: &Path, origin: &str) -> Command {
    let listen = format!("127.0.0.1:{port}");
    let configuration = NGINX.replace("LISTEN", &listen).replace("ORIGIN", origin);
    fs::write(directory.join("nginx.conf"), configuration).expect("nginx's configuration");
    let mut command = Command::new("nginx");
    // Until it has read the configuration it knows no other file for errors.
    command.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "error.log"]);
    command
}

/// One pool, with as many threads as there are connections; it needs some besides.
pub(crate) fn varnish(port: u16, directory: &Path, origin: &str) -> Command {
    let mut command = Command::new("varnishd");
    command.args(["-F", "-a", &format!("127.0.0.1:{port}"), "-b", origin, "-s", "malloc,64m"]);
    command.arg("-n").arg(directory.join("varnish"));
    // Neither another user, who could not enter the directory, nor a port to manage it.
    command.args(["-j", "none", "-T", "none"]);
    command.args(["-p", "thread_pools=1", "-p", "thread_pool_min=10", "-p", "thread_pool_max=40"]);
    command
}
