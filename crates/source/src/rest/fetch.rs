//! One request: credentials, conditions, limits, and what its failure means.

use std::{sync::Arc, time::Duration};

use reqwest::{StatusCode, Url, header};
use tokio::time::Instant;

use super::{
    conditions,
    options::RestOptions,
    pace::{RateLimit, retry_after},
    provider::{Credential, Provider, shown},
};
use crate::{Result, SourceError, WallClock};

/// Answers above this size are refused.
const MAX_BODY: usize = 64 << 20;

/// Redirects that one request follows.
const MAX_REDIRECTS: usize = 5;

/// A validator of an earlier answer of one address: sent along, it spares an answer that has not
/// changed.
#[derive(Debug)]
pub struct Validator {
    url: Url,
    header: header::HeaderName,
    value: header::HeaderValue,
}

/// What a request brought.
pub enum Fetched {
    /// The answer has not changed, or the provider has nothing to say (204).
    Nothing {
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// An answer.
    Body {
        bytes: Vec<u8>,
        validator: Option<Validator>,
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
}

/// Asks a provider.
pub struct Client {
    name: Arc<str>,
    provider: Provider,
    timeout: Duration,
    clock: WallClock,
    http: reqwest::Client,
    limit: Option<RateLimit>,
}

impl Client {
    pub fn new(options: &RestOptions) -> Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster: then its choice stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(options.timeout)
            .tcp_nodelay(true)
            .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")))
            // `get` follows those that stay where they were sent.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| SourceError::Config {
                key: "client".into(),
                expected: e.to_string(),
            })?;
        Ok(Self {
            name: options.name.clone(),
            provider: options.provider.clone(),
            timeout: options.timeout,
            clock: options.clock.clone(),
            limit: options.requests_per_second.map(RateLimit::new),
            http,
        })
    }

    /// Asks for an address, when the rate limit lets it. A redirect is followed while it stays with
    /// the scheme, host and port that were configured: credentials must not go to somebody else, and a
    /// provider must not point this process at what only it can reach.
    pub async fn get(&mut self, url: &Url, known: Option<&Validator>) -> Result<Fetched> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&at, known).await?;
            match self.redirect(&at, &response)? {
                Some(next) => at = next,
                None => return self.brought(url, response).await,
            }
        }
        Err(SourceError::Answer {
            url: shown(url),
            detail: format!("it redirects more than {MAX_REDIRECTS} times"),
        })
    }

    /// Where an answer leads on to, if it does.
    fn redirect(&self, from: &Url, response: &reqwest::Response) -> Result<Option<Url>> {
        let leads_on = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = response
            .headers()
            .get(header::LOCATION)
            .filter(|_| leads_on)
        else {
            return Ok(None);
        };
        let refused = |detail: String| SourceError::Refused {
            url: shown(from),
            status: response.status().as_u16(),
            detail,
        };
        let to = location.to_str().ok().and_then(|to| from.join(to).ok());
        let to = to.ok_or_else(|| refused("it redirects to what is no address".to_owned()))?;
        let origin = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (url.scheme().to_owned(), host, url.port_or_known_default())
        };
        if origin(&to) == origin(from) {
            return Ok(Some(to));
        }
        Err(refused(format!(
            "it redirects to {}, which is another host, port or scheme; configure that address if it is right",
            shown(&to)
        )))
    }

    /// Sends one request, when the rate limit lets it.
    async fn ask(&mut self, url: &Url, known: Option<&Validator>) -> Result<reqwest::Response> {
        if let Some(limit) = &mut self.limit {
            let wait = limit.take(Instant::now());
            tokio::time::sleep(wait).await;
        }
        let mut request = self.http.get(url.clone());
        let mut full = url.clone();
        for credential in &self.provider.credentials {
            match credential {
                Credential::Header(name, value) => request = request.header(name, value.reveal()),
                Credential::Query(name, value) => {
                    full.query_pairs_mut().append_pair(name, value.reveal());
                }
            }
        }
        let mut request = request.build().map_err(|e| self.failed(url, &e))?;
        *request.url_mut() = full;
        if let Some(known) = known
            && known.url == *url
        {
            request
                .headers_mut()
                .insert(known.header.clone(), known.value.clone());
        }
        let response = self.http.execute(request).await;
        let response = response.map_err(|e| self.failed(url, &e))?;
        metrics::counter!(
            "tickcast_source_requests_total",
            "source" => self.name.to_string(),
            "status" => response.status().as_u16().to_string()
        )
        .increment(1);
        Ok(response)
    }

    /// What the answer that was led to has brought.
    async fn brought(&self, url: &Url, response: reqwest::Response) -> Result<Fetched> {
        let retry_after = self.asked_to_wait(response.headers());
        if matches!(
            response.status(),
            StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT
        ) {
            return Ok(Fetched::Nothing { retry_after });
        }
        self.body(url, response, retry_after).await
    }

    fn asked_to_wait(&self, headers: &header::HeaderMap) -> Option<Duration> {
        let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        retry_after(value, (self.clock)())
    }

    async fn body(
        &self,
        url: &Url,
        mut response: reqwest::Response,
        retry_after: Option<Duration>,
    ) -> Result<Fetched> {
        let status = response.status();
        let headers = response.headers();
        let validator = [
            (header::ETAG, header::IF_NONE_MATCH),
            (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
        ]
        .into_iter()
        .find_map(|(has, header)| {
            headers.get(has).map(|value| Validator {
                url: url.clone(),
                header,
                value: value.clone(),
            })
        });
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(url, &e))? {
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(SourceError::Answer {
                    url: shown(url),
                    detail: format!("it is larger than {MAX_BODY} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Fetched::Body {
                bytes,
                validator,
                retry_after,
            });
        }
        let words = self.words(&bytes);
        // Whoever says when to come again means that it passes, whatever the status: 418 is how
        // Binance says that an address is shut out for a while.
        let passes = retry_after.is_some()
            || status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
            );
        Err(if passes {
            SourceError::Unavailable {
                url: shown(url),
                detail: match &*words {
                    "" => format!("it answered {status}"),
                    words => format!("it answered {status}: {words}"),
                },
                retry_after,
            }
        } else {
            SourceError::Refused {
                url: shown(url),
                status: status.as_u16(),
                detail: words,
            }
        })
    }

    /// The start of a body, as it may be shown.
    fn words(&self, bytes: &[u8]) -> String {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]);
        self.provider.without_credentials(conditions::shown(&start))
    }

    fn failed(&self, url: &Url, error: &reqwest::Error) -> SourceError {
        if error.is_timeout() {
            return SourceError::Timeout {
                url: shown(url),
                timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
            };
        }
        // The error's own text would show the query, which may hold a key.
        let mut detail = String::from("the request failed");
        let mut cause = std::error::Error::source(error);
        while let Some(e) = cause {
            detail = e.to_string();
            cause = e.source();
        }
        SourceError::Unavailable {
            url: shown(url),
            detail,
            retry_after: None,
        }
    }
}
