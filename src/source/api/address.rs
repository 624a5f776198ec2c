//! Where the API is.

use url::{Host, Url};

use crate::error::{Error, Result};

/// The API's address, to which the key may go: unencrypted only on this machine, unless that is allowed. `setting` is what it was given as.
pub fn address(setting: &'static str, text: &str, allows_http: bool) -> Result<Url> {
    let refused = |expected: &str, found: &str| {
        Err(Error::Usage { setting, expected: expected.to_owned(), found: found.to_owned() })
    };
    let text = text.trim();
    let Ok(mut url) = text.parse::<Url>() else {
        let found = text.split(['?', '#']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        return refused(&format!("an address with its scheme, such as https://{}", host_like(found)), found);
    };
    // What stands before the host may be a secret.
    let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if !url.username().is_empty() || url.password().is_some() {
        return refused("an address without a name or a password; the key comes by itself", &shown);
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) || allows_http => {}
        "http" => return refused("https://, since the key would go unencrypted, unless that is allowed", &shown),
        // `localhost:8080` is an address of the scheme `localhost`.
        _ if url.cannot_be_a_base() => {
            return refused(&format!("an address with its scheme, such as http://{text}"), text);
        }
        _ => return refused("an address that begins with https://", &shown),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if let Some(before) = path.find("/v2").filter(|at| matches!(path.as_bytes().get(at + 3), None | Some(b'/'))) {
        url.set_path(path.get(..before).unwrap_or_default());
        return refused(
            &format!("the API's address without /v2, {}", url.as_str().trim_end_matches('/')),
            &(shown + &path),
        );
    }
    Ok(url)
}

/// What of a text without a scheme may be a host; Scale's own where there is nothing.
fn host_like(text: &str) -> &str {
    let host = text.trim_start_matches('/').split('/').next().unwrap_or_default();
    if host.is_empty() { "api.scale.com" } else { host }
}

/// True for an address of this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_goes_unencrypted_to_this_machine_alone() {
        let check = |text: &str, allows_http| address("--api-url", text, allows_http).is_ok();
        for text in ["https://api.scale.com", "http://127.0.0.1:80", "http://localhost:80/", "http://[::1]:80"] {
            assert!(check(text, false), "{text}");
        }
        for text in ["http://api.scale.com", "http://127.0.0.1.example.com", "http://localhost.example.com"] {
            assert!(!check(text, false) && check(text, true), "{text}");
        }
        assert!(!check("https://live_key@api.scale.com", true) && !check("ftp://api.scale.com", true));
    }

    #[test]
    fn an_address_that_is_nearly_right_gets_a_hint() {
        for (text, hint) in [
            ("api.scale.com", "such as https://api.scale.com,"),
            ("api.scale.com/v2", "such as https://api.scale.com,"),
            ("", "such as https://api.scale.com,"),
            ("localhost:8080", "such as http://localhost:8080,"),
            ("127.0.0.1:8080", "such as https://127.0.0.1:8080,"),
            ("https://api.scale.com/v2", "without /v2, https://api.scale.com,"),
            ("https://api.scale.com/v2/tasks?a=b", "without /v2, https://api.scale.com"),
            ("http://127.0.0.1:1/proxy/v2/", "without /v2, http://127.0.0.1:1/proxy,"),
        ] {
            let refused = address("--api-url", text, false).unwrap_err().to_string();
            assert!(refused.contains(hint), "{text}: {refused}");
        }
        assert!(address("--api-url", "https://host/v2x", false).is_ok());
        let secret = address("--api-url", "live_secret@api.scale.com", false).unwrap_err().to_string();
        assert!(!secret.contains("live_secret"), "{secret}");
    }
}
