//! The hosts that this server answers for. A page of another site whose name an attacker points at
//! this machine (DNS rebinding) is of the same origin as what it asks for, so that neither the
//! same-origin policy nor a look at `Origin` stops it; its name does.
//!
//! Model: names of loopback and the bound address always pass; where every address of the machine is
//! bound, every literal address does, since a name is what rebinding needs. Other names are listed in
//! `web.hosts`. Ports are not looked at: a tunnel or a container maps them. Both the request's target
//! (`:authority` of HTTP/2) and the header `Host` have to pass where they are there.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{StatusCode, Version, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use market::ErrorKind;

use super::problem::Problem;

/// How much of a host that is refused is told again, in characters.
const SHOWN: usize = 100;

/// The hosts that pass.
#[derive(Clone, Debug)]
pub struct Hosts {
    bound: IpAddr,
    named: Vec<String>,
}

impl Hosts {
    /// Those of an address that is listened on, and others by name.
    pub fn new(bound: IpAddr, named: &[String]) -> Self {
        Self {
            bound: bound.to_canonical(),
            named: named.iter().map(|name| plain(name)).collect(),
        }
    }

    fn passes(&self, authority: &Authority) -> bool {
        let host = plain(authority.host());
        if self.named.contains(&host) {
            return true;
        }
        match address(&host) {
            Some(ip) => ip.is_loopback() || self.bound.is_unspecified() || ip == self.bound,
            None => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

/// As it is compared: lower case, without the dot that ends an absolute name.
fn plain(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.strip_suffix('.') {
        Some(relative) => relative.to_owned(),
        None => host,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let ip = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse::<Ipv6Addr>().ok()?),
        None => host.parse().ok()?,
    };
    Some(ip.to_canonical())
}

/// The middleware.
pub async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let refusal = match asked_for(&request) {
        Ok(asked) => match asked.iter().find(|authority| !hosts.passes(authority)) {
            None => return next.run(request).await,
            Some(other) => {
                let shown: String = other.host().chars().take(SHOWN).collect();
                let detail = format!(
                    "this server does not answer for {shown:?}: name the host in web.hosts if it is right"
                );
                Problem::new(ErrorKind::Invalid, detail)
                    .with_status(StatusCode::MISDIRECTED_REQUEST)
            }
        },
        Err(detail) => {
            Problem::new(ErrorKind::Invalid, detail).with_status(StatusCode::BAD_REQUEST)
        }
    };
    refusal.field("host").into_response()
}

/// The hosts that a request names. One of HTTP/1.0 may name none; no browser sends it.
fn asked_for(request: &Request) -> Result<Vec<Authority>, &'static str> {
    let mut asked: Vec<Authority> = request.uri().authority().cloned().into_iter().collect();
    let mut headers = request.headers().get_all(header::HOST).iter();
    if let Some(host) = headers.next() {
        let host = Authority::try_from(host.as_bytes());
        asked.push(host.map_err(|_| "the header Host is not a host")?);
    }
    if headers.next().is_some() {
        return Err("there is more than one header Host");
    }
    if asked
        .iter()
        .any(|authority| authority.as_str().contains('@'))
    {
        return Err("a host has no user name");
    }
    if asked.is_empty() && request.version() > Version::HTTP_10 {
        return Err("the request names no host");
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(bound: &str, host: &str) -> bool {
        let named = ["prices.example.com".to_owned(), "198.51.100.7".to_owned()];
        let hosts = Hosts::new(bound.parse().unwrap(), &named);
        hosts.passes(&Authority::try_from(host).unwrap())
    }

    #[test]
    fn names_of_loopback_the_bound_address_and_listed_names_pass() {
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "localhost.",
            "tickcast.localhost:3000",
            "127.0.0.1:3000",
            "127.0.0.2",
            "[::1]:3000",
            "[::ffff:127.0.0.1]",
            "prices.example.com",
            "Prices.Example.com.:8443",
            "198.51.100.7",
        ] {
            assert!(passes("127.0.0.1", host), "{host}");
        }
        assert!(passes("192.0.2.5", "192.0.2.5:3000"));
        assert!(passes("::ffff:192.0.2.5", "192.0.2.5:3000"));
    }

    #[test]
    fn other_names_do_not_whatever_they_resolve_to() {
        for host in [
            "rebound.example:3000",
            "prices.example.com.evil.example",
            "evil-prices.example.com",
            "localhost.evil.example",
            "192.0.2.6",
            "0.0.0.0",
        ] {
            assert!(!passes("127.0.0.1", host), "{host}");
        }
        assert!(!passes("192.0.2.5", "192.0.2.6"));
        assert!(!passes("0.0.0.0", "rebound.example"));
    }

    #[test]
    fn where_every_address_is_bound_every_address_passes() {
        for host in ["192.0.2.6:3000", "[2001:db8::1]", "10.1.2.3"] {
            assert!(passes("0.0.0.0", host), "{host}");
            assert!(passes("::", host), "{host}");
        }
    }
}
