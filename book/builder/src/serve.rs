//! Shows the built book to a browser on this machine.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Component, Path, PathBuf};

use tiny_http::{Header, Response, Server};

/// Serves `directory` on this machine's own address until the process is ended.
pub(crate) fn serve(directory: &Path, port: u16) -> io::Result<()> {
    let server = Server::http((Ipv4Addr::LOCALHOST, port)).map_err(io::Error::other)?;
    println!("the book is at http://127.0.0.1:{port}/ (Ctrl-C ends it)");
    for request in server.incoming_requests() {
        let answered = match file(directory, request.url()) {
            Some(path) => match File::open(&path) {
                Ok(file) => request.respond(Response::from_file(file).with_header(kind(&path))),
                Err(_) => request.respond(not_found()),
            },
            None => request.respond(not_found()),
        };
        // A browser that has gone away is no trouble of ours.
        drop(answered);
    }
    Ok(())
}

fn not_found() -> Response<io::Cursor<Vec<u8>>> {
    Response::from_string("no such page").with_status_code(404)
}

/// The file that a request asks for, never one outside the directory.
fn file(directory: &Path, url: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?.trim_start_matches('/');
    let path = Path::new(path);
    let inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let mut file = directory.join(path);
    if file.is_dir() {
        file.push("index.html");
    }
    inside.then_some(file)
}

fn kind(path: &Path) -> Header {
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    Header::from_bytes("Content-Type", kind).expect("our kinds are fit for a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_book_is_shown() {
        let root = Path::new("/book");
        assert_eq!(
            file(root, "/nat.html?x"),
            Some(PathBuf::from("/book/nat.html"))
        );
        assert_eq!(file(root, "/../secret"), None);
        assert_eq!(
            file(root, "//etc/passwd"),
            Some(PathBuf::from("/book/etc/passwd"))
        );
    }
}
