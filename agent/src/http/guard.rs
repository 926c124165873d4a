//! Who may speak to an agent that has no authentication: programs and pages of this machine only.
//!
//! In loopback mode the address alone protects the agent, and two things can lead strangers to it: a
//! browser, whose pages from anywhere may send requests here (also under a name of their own that is made
//! to resolve to 127.0.0.1), and a reverse proxy that listens to the world. So each request must name this
//! agent in `Host`, must not come from a page of another origin, and must not have been forwarded. The
//! guard reads headers only; it keeps nothing and logs nothing.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use super::error::{Error, excerpt};

/// The names of this agent, and the origins that may use it.
#[derive(Clone, Debug)]
pub struct Guard {
    /// `HOST:PORT` in lower case, as `Host` has it; without the port as well if that is 80.
    hosts: Vec<String>,
    /// Where to send those who came under another name.
    address: String,
    allowed_origins: Vec<String>,
}

/// What a request has to do with origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Our page, or no page at all.
    Own,
    /// A page of this configured origin, which needs to be told that it may read the answer.
    Allowed(HeaderValue),
}

/// Why a request was refused. The message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// HTTP/1.1 demands the header.
    #[error("the request has no Host header; send `Host: {0}`")]
    NoHost(String),
    /// More than one is how requests are smuggled.
    #[error("the request has more than one {0} header; send one")]
    Twice(&'static str),
    /// A name that is not ours: a rebound name, or a proxy.
    #[error("host `{host}` is not a name of this agent; use http://{address}")]
    ForeignHost {
        /// As it was given.
        host: String,
        /// One that is ours.
        address: String,
    },
    /// A page of another origin.
    #[error("origin `{0}` may not use this agent; add it to http.allowed_origins to let it")]
    ForeignOrigin(String),
    /// The browser says that another site asks.
    #[error("requests that a browser makes for another site are refused; open the page itself")]
    ForeignSite,
    /// A reverse proxy is in front of us.
    #[error(
        "header `{0}` shows that a proxy forwarded the request; without authentication the agent serves \
         its own machine only, so connect to it directly"
    )]
    Forwarded(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoHost(_) | Refusal::Twice(_) => Self::bad_request(message),
            _ => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
        }
    }
}

impl Guard {
    /// The guard of an agent that listens on `local`. Origins are `scheme://host[:port]`.
    pub fn new(local: SocketAddr, allowed_origins: &[String]) -> Self {
        let port = local.port();
        let ip = match local.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let mut hosts = Vec::new();
        for name in [ip.as_str(), "127.0.0.1", "localhost", "[::1]"] {
            hosts.push(format!("{name}:{port}"));
            if port == 80 {
                hosts.push(name.to_owned());
            }
        }
        Self {
            address: hosts[0].clone(),
            hosts,
            allowed_origins: allowed_origins
                .iter()
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Judges a request by its head.
    pub fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Origin, Refusal> {
        if let Some(name) = headers.keys().find(|name| is_forwarding(name.as_str())) {
            return Err(Refusal::Forwarded(name.to_string()));
        }
        self.check_host(uri, headers)?;
        let origin = self.check_origin(headers)?;
        if origin == Origin::Own && is_foreign_site(headers) && !is_visit(method, uri, headers) {
            return Err(Refusal::ForeignSite);
        }
        Ok(origin)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(host) = single(headers, &header::HOST, "Host")? else {
            return Err(Refusal::NoHost(self.address.clone()));
        };
        // The target's own authority would override the header, so it has to be ours as well.
        let authority = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        for host in [Some(host.as_bytes()), authority].into_iter().flatten() {
            if !self.is_own(host) {
                let address = self.address.clone();
                return Err(Refusal::ForeignHost {
                    host: excerpt(host),
                    address,
                });
            }
        }
        Ok(())
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<Origin, Refusal> {
        let Some(value) = single(headers, &header::ORIGIN, "Origin")? else {
            return Ok(Origin::Own);
        };
        let origin = value.as_bytes();
        if origin
            .strip_prefix(b"http://")
            .is_some_and(|host| self.is_own(host))
        {
            return Ok(Origin::Own);
        }
        if self
            .allowed_origins
            .iter()
            .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin))
        {
            return Ok(Origin::Allowed(value.clone()));
        }
        Err(Refusal::ForeignOrigin(excerpt(origin)))
    }

    fn is_own(&self, host: &[u8]) -> bool {
        self.hosts
            .iter()
            .any(|own| own.as_bytes().eq_ignore_ascii_case(host))
    }
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &header::HeaderName,
    label: &'static str,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::Twice(label));
    }
    Ok(first)
}

fn is_forwarding(name: &str) -> bool {
    matches!(
        name,
        "forwarded" | "via" | "x-real-ip" | "cf-connecting-ip" | "true-client-ip"
    ) || name.starts_with("x-forwarded-")
}

/// `none` is the address bar; browsers that do not send the header are judged by `Origin` alone.
fn is_foreign_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    sites.any(|site| site != "same-origin" && site != "none")
}

/// A link on another site that opens our page as a page of its own. Nothing of it can be read there.
fn is_visit(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let is = |name, value| headers.get(name).is_some_and(|found| found == value);
    method == Method::GET
        && matches!(uri.path(), "/" | "/dashboard" | "/dashboard/")
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests;
