//! Which addresses may be called.
//!
//! Model: the address of a setting is checked when it is read, and every address that its name resolves to when a
//! connection is made ([`Guarded`]), so that a name cannot be one thing when it is checked and another when it is
//! called. Link-local addresses, where machines of clouds have their metadata, are never called; those of this machine
//! and of private networks where that is allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use super::WebhookError;

/// Whether an address may be called as far as it tells by itself.
///
/// # Errors
/// Neither http nor https, with a name and a password in it, no host, a literal address that may not be called.
pub fn check(url: &Url, allow_private: bool) -> Result<(), WebhookError> {
    let refused = |detail: String| Err(WebhookError { detail });
    if !matches!(url.scheme(), "http" | "https") {
        return refused(format!("expected http or https, got {}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("a name and a password do not belong into the address".to_owned());
    }
    let Some(host) = url.host_str() else {
        return refused("it has no host".to_owned());
    };
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(address) if !may_be_called(address, allow_private) => refused(format!(
            "{address} is in no public network: it takes webhook.allow_private, and link-local addresses never do"
        )),
        _ => Ok(()),
    }
}

/// Whether an address may be called.
#[must_use]
pub fn may_be_called(address: IpAddr, allow_private: bool) -> bool {
    match address {
        IpAddr::V4(address) => may_v4(address, allow_private),
        IpAddr::V6(address) => may_v6(address, allow_private),
    }
}

fn may_v4(address: Ipv4Addr, allow_private: bool) -> bool {
    let [a, b, c, _] = address.octets();
    let never = address.is_link_local() || address.is_unspecified() || a == 0 || a >= 224;
    let private = address.is_private()
        || address.is_loopback()
        || address.is_documentation()
        // Carrier-grade translation, protocol assignments, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !never && (allow_private || !private)
}

fn may_v6(address: Ipv6Addr, allow_private: bool) -> bool {
    let first = address.segments();
    // What stands for an IPv4 address is that address: mapped, and by the translation of RFC 6052.
    let translated = first[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    if let Some(v4) = address.to_ipv4_mapped() {
        return may_v4(v4, allow_private);
    }
    if translated {
        let [.., a, b, c, d] = address.octets();
        return may_v4(Ipv4Addr::new(a, b, c, d), allow_private);
    }
    let never = address.is_unspecified()
        || address.is_multicast()
        || first[0] & 0xffc0 == 0xfe80
        // The metadata service of one cloud.
        || first == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
    let private = address.is_loopback()
        || first[0] & 0xfe00 == 0xfc00
        || (first[0] == 0x2001 && first[1] == 0xdb8);
    !never && (allow_private || !private)
}

/// Resolves names to the addresses that may be called.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    /// Whether these may be this machine's or private.
    pub allow_private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| may_be_called(address.ip(), allow_private))
                .collect();
            if allowed.is_empty() {
                let detail = format!(
                    "{} resolves to no address that may be called",
                    name.as_str()
                );
                return Err(Box::new(WebhookError { detail }) as Box<_>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(text: &str, allow_private: bool) -> bool {
        may_be_called(text.parse().unwrap(), allow_private)
    }

    #[test]
    fn private_addresses_are_called_where_that_is_allowed_and_link_local_ones_never() {
        for public in [
            "93.184.216.34",
            "2606:2800:220:1::1",
            "100.128.0.1",
            "172.32.0.1",
        ] {
            assert!(may(public, false) && may(public, true), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.0.0.8",
            "172.16.1.1",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd12::1",
            "::ffff:10.0.0.8",
            "64:ff9b::7f00:1",
        ] {
            assert!(!may(private, false) && may(private, true), "{private}");
        }
        for never in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "::",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "ff02::1",
        ] {
            assert!(!may(never, false) && !may(never, true), "{never}");
        }
    }

    #[test]
    fn an_address_that_may_not_be_called_is_refused_with_its_reason() {
        let refused = |url: &str, allow| {
            let checked = check(&url.parse().unwrap(), allow);
            checked.map_err(|e| e.detail).err()
        };
        assert_eq!(refused("https://hooks.example.com/a?b=c", false), None);
        assert_eq!(refused("http://127.0.0.1:9/", true), None);
        for (url, words) in [
            ("ftp://example.com/", "expected http or https"),
            ("https://a:b@example.com/", "a name and a password"),
            ("http://127.0.0.1:9/", "webhook.allow_private"),
            ("http://[::1]/", "webhook.allow_private"),
            ("http://2130706433/", "webhook.allow_private"),
        ] {
            let said = refused(url, false).unwrap_or_default();
            assert!(said.contains(words), "{url}: {said}");
        }
    }
}
