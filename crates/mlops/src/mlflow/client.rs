//! One request to MLflow: address, credentials, limits, and what its failure means.
//!
//! Model: nothing here repeats a request. Whoever asks for a whole thing ([`Client::publish`]) can ask again,
//! and finds what the first try left.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode, Url, header};
use serde::{Serialize, de::DeserializeOwned};

use super::error::{MlflowError, Result};

/// Answers of the API above this size are refused.
const MAX_ANSWER: usize = 64 << 20;

/// Where MLflow is, and how to speak to it.
#[derive(Clone)]
pub struct MlflowOptions {
    /// `http://` or `https://` address of the server, with the prefix that it is served under, if any. A user
    /// and password in it count as [`MlflowOptions::login`].
    pub tracking_uri: String,
    /// Who we are.
    pub login: Option<Login>,
    /// For one answer of the API.
    pub timeout: Duration,
    /// For one artefact, there or back.
    pub artefact_timeout: Duration,
}

/// How MLflow, or what stands in front of it, knows who asks.
#[derive(Clone)]
pub enum Login {
    /// HTTP basic authentication.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(***)")
    }
}

impl std::fmt::Debug for MlflowOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("MlflowOptions").finish_non_exhaustive()
    }
}

impl MlflowOptions {
    /// An address, 30 s for an answer and 10 minutes for an artefact.
    pub fn new(tracking_uri: impl Into<String>) -> Self {
        Self {
            tracking_uri: tracking_uri.into(),
            login: None,
            timeout: Duration::from_secs(30),
            artefact_timeout: Duration::from_secs(600),
        }
    }

    /// From the variables that MLflow's own clients read: `MLFLOW_TRACKING_URI`, `MLFLOW_TRACKING_TOKEN`, or
    /// `MLFLOW_TRACKING_USERNAME` with `MLFLOW_TRACKING_PASSWORD`. None without an address.
    ///
    /// ```
    /// use mlops::mlflow::MlflowOptions;
    ///
    /// let options = MlflowOptions::from_variables(|name| std::env::var(name).ok());
    /// ```
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let mut options = Self::new(set("MLFLOW_TRACKING_URI")?.trim());
        options.login = match (
            set("MLFLOW_TRACKING_TOKEN"),
            set("MLFLOW_TRACKING_USERNAME"),
        ) {
            (Some(token), _) => Some(Login::Token(token)),
            (None, Some(user)) => Some(Login::Basic {
                user,
                password: set("MLFLOW_TRACKING_PASSWORD").unwrap_or_default(),
            }),
            (None, None) => None,
        };
        Some(options)
    }
}

/// Speaks to one MLflow server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without credentials, ends in a slash.
    base: Url,
    login: Option<Login>,
    timeout: Duration,
    artefact_timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.base.as_str()).finish()
    }
}

/// Parameters of an address.
pub(super) type Query<'a> = &'a [(&'a str, &'a str)];

impl Client {
    /// A client. Sends nothing yet.
    ///
    /// # Errors
    /// Config: the address is none of a server.
    pub fn new(options: &MlflowOptions) -> Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster: then its choice stands.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let (base, in_address) = address(&options.tracking_uri)?;
        let http = reqwest::Client::builder()
            .connect_timeout(options.timeout.min(Duration::from_secs(10)))
            .tcp_nodelay(true)
            .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")))
            // A POST that is sent on comes as a GET, and credentials must not go to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| config(e.to_string()))?;
        Ok(Self {
            http,
            base,
            login: options.login.clone().or(in_address),
            timeout: options.timeout,
            artefact_timeout: options.artefact_timeout,
        })
    }

    /// The server's address, without credentials.
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Whether the API answers. MLflow's `/health` says yes to hosts that its API refuses.
    ///
    /// # Errors
    /// As every call: unreachable, denied, unavailable.
    pub async fn probe(&self) -> Result<()> {
        let query = [("max_results", "1")];
        self.get::<serde_json::Value>("experiments/search", &query)
            .await?;
        Ok(())
    }

    pub(super) async fn get<A: DeserializeOwned>(&self, call: &str, query: Query<'_>) -> Result<A> {
        self.call(Method::GET, call, query, None::<&()>).await
    }

    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        call: &str,
        body: &impl Serialize,
    ) -> Result<A> {
        self.call(Method::POST, call, &[], Some(body)).await
    }

    /// One call of the API and its answer.
    pub(super) async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        call: &str,
        query: Query<'_>,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<A> {
        let url = self.under("api/2.0/mlflow", call.split('/'))?;
        let mut request = self
            .http
            .request(method, url)
            .timeout(self.timeout)
            .query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.send(call, request, self.timeout).await?;
        let bytes = self.body(response, self.timeout).await?;
        serde_json::from_slice(&bytes).map_err(|e| MlflowError::Answer {
            call: call.to_owned(),
            detail: format!("{e}: {}", excerpt(&bytes)),
        })
    }

    /// Sends the content of an artefact. MLflow says nothing of what it got.
    pub(super) async fn put_bytes(&self, place: &str, content: Vec<u8>) -> Result<()> {
        let url = self.under("api/2.0/mlflow-artifacts/artifacts", place.split('/'))?;
        let request = self
            .http
            .put(url)
            .timeout(self.artefact_timeout)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(content);
        let call = format!("the artefact {place}");
        self.send(&call, request, self.artefact_timeout).await?;
        Ok(())
    }

    /// Fetches an artefact, chunk by chunk into `each`.
    pub(super) async fn get_bytes(
        &self,
        place: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let url = self.under("api/2.0/mlflow-artifacts/artifacts", place.split('/'))?;
        let request = self.http.get(url).timeout(self.artefact_timeout);
        let call = format!("the artefact {place}");
        let mut response = self.send(&call, request, self.artefact_timeout).await?;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| self.failed(&e, self.artefact_timeout))?
        {
            each(&chunk)?;
        }
        Ok(())
    }

    fn under<'a>(&self, api: &str, rest: impl Iterator<Item = &'a str>) -> Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| config(format!("{} has no path", self.base)))?
            .pop_if_empty()
            .extend(api.split('/'))
            .extend(rest);
        Ok(url)
    }

    /// Sends a request; what comes back is a success.
    async fn send(
        &self,
        call: &str,
        request: reqwest::RequestBuilder,
        timeout: Duration,
    ) -> Result<Response> {
        let request = match &self.login {
            Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password)),
            Some(Login::Token(token)) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.map_err(|e| self.failed(&e, timeout))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let headers = response.headers().clone();
        let bytes = self.body(response, timeout).await?;
        Err(self.refusal(call, status, &headers, &bytes))
    }

    async fn body(&self, mut response: Response, timeout: Duration) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| self.failed(&e, timeout))?
        {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(MlflowError::Answer {
                    call: response.url().path().to_owned(),
                    detail: format!("it is larger than {MAX_ANSWER} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// What an answer that is no success means. Its body has one of two shapes, or is somebody else's.
    fn refusal(
        &self,
        call: &str,
        status: StatusCode,
        headers: &header::HeaderMap,
        bytes: &[u8],
    ) -> MlflowError {
        #[derive(serde::Deserialize)]
        struct Body {
            error_code: Option<String>,
            message: Option<String>,
            detail: Option<serde_json::Value>,
        }
        let body = serde_json::from_slice::<Body>(bytes).ok();
        let of_mlflow = body.is_some();
        let (code, detail) = match body {
            Some(Body {
                error_code,
                message,
                detail,
            }) => (
                error_code.unwrap_or_default(),
                message
                    .or_else(|| detail.map(|d| d.to_string()))
                    .map(|text| excerpt(text.as_bytes()))
                    .unwrap_or_default(),
            ),
            None => (String::new(), excerpt(bytes)),
        };
        let denied = |detail: String| MlflowError::Denied {
            url: self.base.to_string(),
            detail,
        };
        match status.as_u16() {
            401 => denied(format!(
                "it answered 401 ({detail}): look at the user and password, or the token"
            )),
            403 if !of_mlflow && detail.contains("Host header") => denied(format!(
                "it does not answer to the host {:?}: start `mlflow server` with --allowed-hosts that names it, \
                 with the port",
                host_and_port(&self.base)
            )),
            403 => denied(format!("it answered 403 to {call} ({detail})")),
            300..=399 => {
                let to = headers
                    .get(header::LOCATION)
                    .and_then(|to| to.to_str().ok());
                denied(format!(
                    "it redirects to {}: name that address if it is right",
                    to.unwrap_or("another address")
                ))
            }
            404 if code == "RESOURCE_DOES_NOT_EXIST" => MlflowError::NotFound {
                what: format!("answer to {call}: {detail}"),
            },
            404 | 405 if !of_mlflow => denied(format!(
                "it answered {status} to {call}, which no MLflow does: is the address right, with its prefix?"
            )),
            408 | 429 | 500..=599 => MlflowError::Unavailable {
                call: call.to_owned(),
                status: status.as_u16(),
                detail,
                retry_after: retry_after(headers),
            },
            // The run or experiment was deleted after it was looked at.
            400 if detail.contains("must be in the 'active' state") => MlflowError::Deleted {
                what: format!("what {call} was to write to ({detail})"),
            },
            status => MlflowError::Refused {
                call: call.to_owned(),
                status,
                code,
                detail,
            },
        }
    }

    fn failed(&self, error: &reqwest::Error, timeout: Duration) -> MlflowError {
        if error.is_timeout() && !error.is_connect() {
            return MlflowError::Timeout {
                url: self.base.to_string(),
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            };
        }
        // The innermost cause says what happened; the others, that something did.
        let mut detail = String::from("the request failed");
        let mut cause = std::error::Error::source(error);
        while let Some(e) = cause {
            detail = e.to_string();
            cause = e.source();
        }
        MlflowError::Unreachable {
            url: self.base.to_string(),
            detail,
        }
    }
}

fn config(expected: String) -> MlflowError {
    MlflowError::Config {
        key: "MLFLOW_TRACKING_URI",
        expected,
    }
}

/// The server's address, ending in a slash, and the credentials that stood in it.
fn address(text: &str) -> Result<(Url, Option<Login>)> {
    let server = "expected http:// or https:// and the address of an MLflow server";
    // What came is not shown: it may hold a password.
    let mut url = Url::parse(text).map_err(|e| config(format!("{server}: {e}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => {}
        scheme => {
            return Err(config(format!(
                "{server}, not {scheme}: a store that Python opens by itself needs `mlflow server` in front"
            )));
        }
    }
    let user = percent_decoded(url.username());
    let login = (!user.is_empty()).then(|| Login::Basic {
        user,
        password: percent_decoded(url.password().unwrap_or_default()),
    });
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok((url, login))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match (first, after) {
            (b'%', [a, b, ..]) => std::str::from_utf8(&[*a, *b])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(seconds.trim().parse().ok()?))
}

/// The start of a body as it is shown, on one line.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * market::EXCERPT_CHARS)]);
    let words: Vec<&str> = text.split_whitespace().collect();
    market::excerpt(&words.join(" ")).into_owned()
}
