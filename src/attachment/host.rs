//! Whom may be asked: what stands in a task must not make a run ask a machine of its own network, or go unencrypted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::Failure;
use crate::source::api::is_loopback;

/// A host that may be asked although it is on this machine or in its network; of one port, if that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    name: String,
    port: Option<u16>,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<AllowedHost, String> {
        let refused = || format!("expected a host such as files.example.com or 10.0.0.7:8080, found `{text}`");
        // As an address spells it: lower case, without leading zeros, international names in ASCII.
        let url = Url::parse(&format!("ws://{text}")).map_err(|_| refused())?;
        let is_bare =
            url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        match url.host_str().filter(|_| is_bare && url.password().is_none()) {
            // The usual port of the scheme is no port.
            Some(name) => Ok(AllowedHost {
                name: name.to_owned(),
                port: url.port().or_else(|| text.ends_with(":80").then_some(80)),
            }),
            None => Err(refused()),
        }
    }
}

/// Who may be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub allowed: Vec<AllowedHost>,
    /// Unencrypted too.
    pub allows_http: bool,
    /// Hosts that are asked on behalf of others, and on nobody's else.
    pub proxies: Vec<String>,
}

impl Rules {
    /// Why an address must not be asked, if so. Its name is looked at when it is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), (Failure, String)> {
        let refused = |why: &str| Err((Failure::Refused, why.to_owned()));
        match url.scheme() {
            "https" => {}
            // What stays on this machine can't be overheard.
            "http" if self.allows_http || is_loopback(url) => {}
            "http" => return refused("it is not encrypted (allowed by --attachment-http)"),
            scheme => return Err((Failure::Unsupported, format!("nothing is asked by `{scheme}:`"))),
        }
        let Some(host) = url.host() else { return Err((Failure::Unsupported, "it has no host".to_owned())) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err((Failure::Unsupported, "it has a name or a password".to_owned()));
        }
        let named = || self.allowed.iter().filter(|allowed| Some(allowed.name.as_str()) == url.host_str());
        let is_named = named().next().is_some();
        let is_allowed = named().any(|allowed| allowed.port.is_none() || allowed.port == url.port_or_known_default());
        let is_proxy = self.proxies.iter().any(|proxy| Some(proxy.as_str()) == url.host_str());
        let is_inside = match host {
            Host::Ipv4(address) => is_inside(address.into()),
            Host::Ipv6(address) => is_inside(address.into()),
            // One that is named is resolved whatever it means; so its other ports are not to be asked.
            Host::Domain(_) => is_loopback(url) || is_named || is_proxy,
        };
        if is_inside && !is_allowed { refused(INSIDE) } else { Ok(()) }
    }

    /// Whether a name may be resolved to an address inside: what may be asked there is looked at before.
    fn names(&self, host: &str) -> bool {
        self.allowed
            .iter()
            .map(|allowed| &allowed.name)
            .chain(&self.proxies)
            .any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// Why most are refused.
const INSIDE: &str = "it lies on this machine or in its network (allowed by --attachment-host)";

/// A name that was resolved to an address of this machine or its network.
#[derive(Debug, thiserror::Error)]
#[error("{INSIDE}")]
pub(super) struct Inside;

/// Resolves names, but to addresses of this machine and its network those alone that are allowed. The connection is made to what was looked
/// at: a name can't mean one thing when it is checked, and another when it is used.
#[derive(Clone, Debug)]
pub(super) struct Resolver(pub Arc<Rules>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_allowed = self.0.names(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>();
            if !is_allowed && found.iter().any(|address| is_inside(address.ip())) {
                return Err(Box::from(Inside));
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The longest address that is told.
const MOST_SHOWN: usize = 200;

/// An address as it may be told: without its query, which may be a secret, and without a name or a password.
pub(super) fn shown(address: &str) -> String {
    let Ok(url) = Url::parse(address) else {
        let path = address.split(['?', '#']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        return path.chars().take(MOST_SHOWN).collect();
    };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let shown = match url.host_str() {
        Some(host) => format!("{}://{host}{port}{}", url.scheme(), url.path()),
        // Whatever stands behind such a scheme may be the content itself.
        None => format!("{}:…", url.scheme()),
    };
    shown.chars().take(MOST_SHOWN).collect()
}

/// Whether an address is one that can be asked at all, whoever has it.
pub(super) fn is_of_web(address: &str) -> bool {
    let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
    begins("https:") || begins("http:")
}

/// Hosts of the proxies that the environment names.
pub(super) fn proxies() -> Vec<String> {
    let names = ["https_proxy", "http_proxy", "all_proxy"];
    let set = names.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    let urls = set.filter_map(|name| std::env::var(name).ok()).filter_map(|proxy| {
        let whole = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        Url::parse(&whole).ok()
    });
    urls.filter_map(|url| url.host_str().map(str::to_owned)).collect()
}

/// Whether an address is not one of the public internet's: of this machine, of a private network, or of special use (IANA's registries).
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => is_inside_v6(address),
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // Of Azure's hosts; this network; carriers' own; protocol assignments; tests of devices; what is kept for later.
        || address.octets() == [168, 63, 129, 16]
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && second & 0xfe == 18)
        || first >= 240
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, ..] = segments;
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    // Whatever stands for an address of version 4 is as that one.
    let version_4 = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(embedded(high, low)),
        [0x2002, high, low, ..] => Some(embedded(high, low)),
        _ => None,
    };
    match version_4 {
        Some(address) => is_inside_v4(address),
        // Everything beside what is given out for the internet (2000::/3), and in that: protocol assignments, documentation.
        None => first & 0xe000 != 0x2000 || (first == 0x2001 && (second < 0x200 || second == 0xdb8)) || first == 0x3fff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str], allows_http: bool) -> Rules {
        let allowed = allowed.iter().map(|host| host.parse().unwrap()).collect();
        Rules { allowed, allows_http, proxies: vec!["proxy.corp".to_owned()] }
    }

    fn verdict(rules: &Rules, url: &str) -> Option<Failure> {
        rules.check(&url.parse().unwrap()).err().map(|(failure, _)| failure)
    }

    #[test]
    fn only_encrypted_addresses_outside_may_be_asked() {
        let strict = rules(&[], false);
        for url in ["https://files.example.com/a", "https://8.8.8.8/a", "https://[2606:4700::1111]/a"] {
            assert_eq!(verdict(&strict, url), None, "{url}");
        }
        for url in [
            "http://files.example.com/a",
            "https://localhost/a",
            "https://127.0.0.1/a",
            "https://127.1/a",
            "https://0x7f000001/a",
            "https://2130706433/a",
            "https://[::1]/a",
            "https://[::]/a",
            "https://[::ffff:10.0.0.1]/a",
            "https://[64:ff9b::a00:1]/a",
            "https://[2002:a00:1::]/a",
            "https://[fd00::1]/a",
            "https://[fe80::1]/a",
            "https://0.0.0.0/a",
            "https://10.1.2.3/a",
            "https://172.16.0.1/a",
            "https://192.168.1.1/a",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/a",
            "https://224.0.0.1/a",
            "https://168.63.129.16/a",
            "https://proxy.corp:8443/a",
        ] {
            assert_eq!(verdict(&strict, url), Some(Failure::Refused), "{url}");
        }
        for url in [
            "ftp://example.com/a",
            "scaledata://files/1",
            "file:///etc/passwd",
            "data:text/plain,x",
            "https://a:b@example.com/",
        ] {
            assert_eq!(verdict(&strict, url), Some(Failure::Unsupported), "{url}");
        }
    }

    #[test]
    fn a_named_host_may_be_asked_on_its_port_alone() {
        let named = rules(&["127.0.0.1:8080", "files.internal", "10.0.0.7"], false);
        for url in ["http://127.0.0.1:8080/a", "https://10.0.0.7:1/a", "https://10.0.0.7/a"] {
            assert_eq!(verdict(&named, url), None, "{url}");
        }
        let of_ports = rules(&["files.corp:8443", "files.corp:443"], false);
        assert_eq!(
            verdict(&of_ports, "https://files.corp:8443/a").or(verdict(&of_ports, "https://files.corp/a")),
            None
        );
        assert_eq!(verdict(&of_ports, "https://files.corp:2379/a"), Some(Failure::Refused));
        for url in ["http://127.0.0.1:8081/a", "https://127.0.0.1/a", "http://10.0.0.7/a", "https://10.0.0.8/a"] {
            assert_eq!(verdict(&named, url), Some(Failure::Refused), "{url}");
        }
        assert_eq!(verdict(&rules(&["10.0.0.7"], true), "http://10.0.0.7/a"), None);
        for wrong in ["", "https://files.example.com", "a/b", "user@host", "host:x", "*.example.com?"] {
            assert!(wrong.parse::<AllowedHost>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_told_of_an_address_is_no_secret_and_not_long() {
        assert_eq!(shown("https://name:word@host:1/path?sig=secret#x"), "https://host:1/path");
        assert_eq!(shown("https:name:word@host/path"), "https://host/path");
        assert_eq!(shown("scaledata://files/1"), "scaledata://files/1");
        assert_eq!(shown("https://host?sig=secret"), "https://host/");
        assert_eq!(shown(&format!("data:image/png;base64,{}", "A".repeat(9_000))), "data:…");
        assert_eq!(shown("me:word@a.png?secret"), "me:…");
        assert_eq!(shown(&"é".repeat(9_000)).chars().count(), MOST_SHOWN);
        assert!(is_of_web("HTTPS://host") && is_of_web("http:host") && !is_of_web("data:,x") && !is_of_web("a.png"));
    }

    #[tokio::test]
    async fn a_name_that_means_this_machine_is_resolved_only_where_it_is_named() {
        let resolve = |allowed: &[&str]| {
            let resolver = Resolver(Arc::new(rules(allowed, false)));
            resolver.resolve("localhost".parse().unwrap())
        };
        assert!(resolve(&[]).await.is_err_and(|error| error.is::<Inside>()));
        assert!(resolve(&["localhost"]).await.is_ok_and(|mut found| found.next().is_some()));
    }
}
