//! The settings of the web server, and of the health port of processes without one.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use super::{Layers, path};

/// The web server.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where it listens.
    pub address: SocketAddr,
    /// The built front end.
    pub site_root: PathBuf,
    /// Origins besides its own that browsers may post from.
    pub allowed_origins: Vec<String>,
    /// Origins whose pages may read what OpenBB Workspace asks for.
    pub openbb_origins: Vec<String>,
    /// Hosts besides those of loopback and the bound address that it answers for.
    pub hosts: Vec<String>,
    /// Tokens, sessions and the audit log.
    pub access_dir: PathBuf,
}

pub(super) fn read_web(l: &mut Layers) -> Option<WebConfig> {
    let host = l.one("web.host", str::parse::<IpAddr>);
    let port = l.one("web.port", str::parse::<u16>);
    let site_root = path(l, "web.site_root");
    let allowed_origins = l.many("web.allowed_origins", origin);
    let openbb_origins = l.many("web.openbb_origins", origin);
    let hosts = l.many("web.hosts", host_name);
    let access_dir = l.one("web.access_dir", |t| {
        Ok::<_, ()>((!t.is_empty()).then(|| PathBuf::from(t)))
    });
    let data_dir = l.raw("store.data_dir").items.concat();
    Some(WebConfig {
        address: SocketAddr::new(host?, port?),
        site_root: site_root?,
        allowed_origins,
        openbb_origins,
        hosts,
        access_dir: access_dir?.unwrap_or_else(|| PathBuf::from(data_dir).join("access")),
    })
}

pub(super) fn read_health(l: &mut Layers) -> Option<Option<SocketAddr>> {
    let host = l.one("web.host", str::parse::<IpAddr>);
    let port = l.one("health.port", |t| {
        if t.is_empty() {
            return Ok(None);
        }
        t.parse::<u16>().map(Some)
    });
    // A fault of web.host has been told of with the web server's address.
    let host = host?;
    Some(port?.map(|port| SocketAddr::new(host, port)))
}

fn host_name(text: &str) -> Result<String, ()> {
    let is_v6 = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .is_some_and(|t| t.parse::<Ipv6Addr>().is_ok());
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (is_v6 || is_name)
        .then(|| text.to_ascii_lowercase())
        .ok_or(())
}

fn origin(text: &str) -> Result<String, ()> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or(())?;
    let ok = !rest.is_empty() && !rest.contains('/');
    ok.then(|| text.to_ascii_lowercase()).ok_or(())
}
