//! Asking a running server, with a token where it wants one.

use clap::Args;
use reqwest::RequestBuilder;

use crate::{
    error::{CommandError, Result},
    wiring,
};

/// The server to ask.
#[derive(Debug, Args)]
pub struct Remote {
    /// A running server to ask, such as http://127.0.0.1:3000; without it the data directory is
    /// opened, which a running server keeps for itself
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Token for the server, where it asks for one (`tickcast token new` makes them)
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "TICKCAST_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

impl Remote {
    /// The address of a path there; `None` without a server.
    pub fn at(&self, path: &str) -> Option<String> {
        let url = self.url.as_ref()?;
        Some(format!("{}{path}", url.trim_end_matches('/')))
    }

    /// A GET of an address.
    ///
    /// # Errors
    /// There is no client for HTTP.
    pub fn get(&self, url: &str) -> Result<RequestBuilder> {
        Ok(self.with_token(wiring::http_client()?.get(url)))
    }

    /// A POST to an address.
    ///
    /// # Errors
    /// There is no client for HTTP.
    pub fn post(&self, url: &str) -> Result<RequestBuilder> {
        Ok(self.with_token(wiring::http_client()?.post(url)))
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// Sends a request and reads the answer's JSON.
///
/// # Errors
/// The server cannot be reached, or refuses, with what it says.
pub async fn answer<T: serde::de::DeserializeOwned>(
    url: &str,
    request: RequestBuilder,
) -> Result<T> {
    let remote = |detail: String| CommandError::Remote {
        url: url.into(),
        detail,
    };
    let response = request.send().await.map_err(|e| remote(cause(&e)))?;
    let status = response.status();
    if !status.is_success() {
        let text = response.text().await.unwrap_or_default();
        return Err(remote(format!("{status}: {text}")));
    }
    response.json().await.map_err(|e| remote(cause(&e)))
}

/// What lies deepest: above it reqwest only says, with the URL once more, that the request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
