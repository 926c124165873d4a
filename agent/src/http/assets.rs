//! `/dashboard/…`: the page, embedded by `build.rs` with its compressed forms.
//!
//! Nothing is read from disk and nothing is compressed at run time. Files below `assets/` have a hash of
//! their content in the name and may be kept for ever; the page itself is asked for anew each time and
//! answered with 304 while it is the same. The content policy allows what this agent serves and no more.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::error::{Answer, Error, excerpt, plain, protect};

/// `'self'` covers WebSockets of the same origin as well.
const POLICY: &str = "default-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Barograph: dashboard not built</title>
<h1>Dashboard not built</h1>
<p>This agent was built without its page. Stop it and run <code>cargo xtask run</code>, which builds the page
(Node.js is needed for that) and starts the agent with it.
<p>Everything else works: <a href=\"/metrics\">/metrics</a>,
<a href=\"/api/dashboard/metrics\">/api/dashboard/metrics</a>, <a href=\"/healthz\">/healthz</a>.
</html>
";

/// One file of the page.
#[derive(Debug)]
struct File {
    /// Relative to `/dashboard/`.
    path: &'static str,
    /// A hash of the content, in hexadecimal.
    tag: &'static str,
    body: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// GET `/dashboard/PATH`.
pub(super) fn file(path: &str, headers: &HeaderMap) -> Result<Answer, Error> {
    serve(FILES, path, headers)
}

fn serve(files: &'static [File], path: &str, headers: &HeaderMap) -> Result<Answer, Error> {
    let name = if path.is_empty() { "index.html" } else { path };
    if let Some(file) = files.iter().find(|file| file.path == name) {
        return Ok(answer(file, headers));
    }
    if path.is_empty() {
        let mut answer = plain(
            Bytes::from_static(NOT_BUILT.as_bytes()),
            "text/html; charset=utf-8",
        );
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer.headers_mut().insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        );
        return Ok(answer);
    }
    let path = excerpt(path.as_bytes());
    Err(Error::not_found(format!(
        "the page has no file `{path}`; open /dashboard/"
    )))
}

fn answer(file: &'static File, headers: &HeaderMap) -> Answer {
    let (coding, body) = choose(file, headers);
    let tag = match coding {
        Some(coding) => format!("\"{}-{coding}\"", file.tag),
        None => format!("\"{}\"", file.tag),
    };
    let unchanged = is_known(&tag, headers);
    let mut answer = Response::new(Bytes::from_static(if unchanged { b"" } else { body }).into());
    if unchanged {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    protect(&mut answer);
    let mut set = |name: HeaderName, value: &'static str| {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    };
    set(header::CACHE_CONTROL, keep(file.path));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::CONTENT_TYPE, content_type(file.path));
    set(header::VARY, "accept-encoding");
    if let Some(coding) = coding {
        set(header::CONTENT_ENCODING, coding);
    }
    let tag = HeaderValue::from_str(&tag).expect("a tag is made of hexadecimal digits and letters");
    answer.headers_mut().insert(header::ETAG, tag);
    answer
}

fn keep(path: &str) -> &'static str {
    if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The smallest form that the client takes, with its name.
fn choose(file: &File, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    for (coding, body) in [("br", file.brotli), ("gzip", file.gzip)] {
        if let Some(body) = body
            && accepts(headers, coding)
        {
            return (Some(coding), body);
        }
    }
    (None, file.body)
}

/// Whether `Accept-Encoding` names the coding (or `*`, unless the coding is named too) with a weight above 0.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight = weight
                .trim()
                .strip_prefix("q=")
                .and_then(|weight| weight.parse::<f32>().ok());
            let taken = weight.is_some_and(|weight| weight > 0.0);
            match name.trim() {
                name if name.eq_ignore_ascii_case(coding) => return taken,
                "*" => any = taken,
                _ => {}
            }
        }
    }
    any
}

/// Whether `If-None-Match` has this tag.
fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let mut known = value.to_str().unwrap_or_default().split(',').map(str::trim);
        known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    static PAGE: &[File] = &[
        File {
            path: "assets/a-1.js",
            tag: "a1",
            body: b"identity",
            brotli: Some(b"br"),
            gzip: Some(b"gz"),
        },
        File {
            path: "index.html",
            tag: "99",
            body: b"<html>",
            brotli: None,
            gzip: None,
        },
    ];

    fn get(path: &str, name: &'static str, value: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        serve(PAGE, path, &headers).unwrap()
    }

    async fn body(answer: Answer) -> Bytes {
        answer.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn the_client_gets_the_smallest_form_that_it_takes() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip", "gz"),
            ("GZIP;q=0.5, br;q=0", "gz"),
            ("br;q=0.0, *", "gz"),
            ("*;q=0", "identity"),
            ("identity", "identity"),
            ("br;q=wrong", "identity"),
        ] {
            let answer = get("assets/a-1.js", "accept-encoding", accepted);
            assert_eq!(answer.headers()[header::VARY], "accept-encoding");
            assert_eq!(body(answer).await, expected, "{accepted}");
        }
    }

    #[tokio::test]
    async fn tags_tell_the_forms_apart() {
        let first = get("assets/a-1.js", "accept-encoding", "br");
        assert_eq!(first.headers()[header::ETAG], "\"a1-br\"");
        assert_eq!(first.headers()[header::CONTENT_ENCODING], "br");
        let plain = get("assets/a-1.js", "if-none-match", "\"a1-br\"");
        assert_eq!(
            plain.status(),
            StatusCode::OK,
            "the client has another form"
        );
        for tags in ["\"99\"", "W/\"99\"", "\"x\", \"99\"", "*"] {
            let answer = get("", "if-none-match", tags);
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{tags}");
            assert_eq!(answer.headers()[header::ETAG], "\"99\"");
            assert_eq!(body(answer).await, "");
        }
    }

    #[test]
    fn the_page_is_asked_for_anew_and_hashed_files_are_kept() {
        let page = get("", "accept-encoding", "br");
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-cache");
        assert_eq!(
            page.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert_eq!(page.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        assert!(!POLICY.contains("unsafe"));
        let script = get("assets/a-1.js", "accept-encoding", "br");
        assert_eq!(
            script.headers()[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert_eq!(
            script.headers()[header::CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        assert_eq!(script.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[tokio::test]
    async fn without_a_page_the_agent_says_what_to_run() {
        let answer = serve(&[], "", &HeaderMap::new()).unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let text = String::from_utf8(body(answer).await.to_vec()).unwrap();
        assert!(
            text.contains("not built") && text.contains("cargo xtask run"),
            "{text}"
        );
    }

    #[test]
    fn only_the_files_themselves_are_served() {
        for path in [
            "x.js",
            "assets/",
            "../Cargo.toml",
            "assets/a-1.js.br",
            "assets/%61-1.js",
        ] {
            let error = serve(PAGE, path, &HeaderMap::new()).unwrap_err();
            assert_eq!(error.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
