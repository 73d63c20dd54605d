//! The settings of the web server, and of the health port of processes without one.

use std::{
    net::{IpAddr, SocketAddr},
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
}

pub(super) fn read_web(l: &mut Layers) -> Option<WebConfig> {
    let host = l.one("web.host", str::parse::<IpAddr>);
    let port = l.one("web.port", str::parse::<u16>);
    let site_root = path(l, "web.site_root");
    let allowed_origins = l.many("web.allowed_origins", origin);
    Some(WebConfig {
        address: SocketAddr::new(host?, port?),
        site_root: site_root?,
        allowed_origins,
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

fn origin(text: &str) -> Result<String, ()> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or(())?;
    let ok = !rest.is_empty() && !rest.contains('/');
    ok.then(|| text.to_ascii_lowercase()).ok_or(())
}
