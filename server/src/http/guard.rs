//! Who asks, and whether they may: tokens and sessions in, [`Grant`]s out.
//!
//! Model: while no token has been made, everybody on this machine may do everything, and nobody else
//! can get in ([`Gate::open`] refuses to listen). Once there is one, what changes something needs it;
//! for whoever comes from beyond loopback everything does but what `super::routes` calls public. Beyond
//! loopback is an address that is bound there, a server that `web.hosts` gives a name to, and a request
//! that a proxy says it has forwarded. A token comes in `Authorization: Bearer`, or as the session of a
//! browser that logged in with it.
//!
//! What it does not do: look at the host or the origin (`super::hosts`, `super::same_origin`), which
//! come before it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use app::api::ApiError;
use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
};
use axum_login::{
    AuthManagerLayerBuilder, AuthSession,
    tower_sessions::{
        Expiry, SessionManagerLayer,
        cookie::{SameSite, time::Duration},
    },
};
use market::ErrorKind;

use super::{
    content_encoding, headers,
    hosts::{self, Hosts},
    problem::Problem,
    routes::{self, Access},
    same_origin::{self, SameOrigin},
};
use crate::{
    access::{
        Role, Who,
        audit::AuditLog,
        sessions::{Holders, SessionFolder},
        tokens::TokenFile,
        verifier::{Verdict, Verifier},
    },
    config::WebConfig,
    error::{CommandError, Result},
};

/// The cookie of a session.
const COOKIE: &str = "tickcast_session";
/// How long a login lasts.
const SESSION: Duration = Duration::days(7);

/// A browser's session.
pub type Session = AuthSession<Holders>;

/// What a request may do, and on whose behalf; an extension of every request that gets to a handler.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who asks.
    pub who: Who,
    /// What they may do, if anything.
    pub role: Option<Role>,
    /// The other end of the connection.
    pub from: IpAddr,
}

impl Grant {
    /// Whether a role is among what they may do.
    pub fn allows(&self, role: Role) -> bool {
        Access::Needs(role).allows(self.role)
    }

    /// The grant of whoever asks, where a role is among what they may do.
    ///
    /// # Errors
    /// It is not, or nobody asks.
    pub fn needed(grant: Option<&Self>, role: Role) -> std::result::Result<&Self, ApiError> {
        grant.filter(|grant| grant.allows(role)).ok_or_else(|| {
            ApiError::invalid(format!(
                "this needs a token with the role {role}: log in at /login"
            ))
        })
    }
}

/// What stands between the network and the handlers of a process.
pub struct Gate {
    hosts: Arc<Hosts>,
    same_origin: SameOrigin,
    verifier: Arc<Verifier>,
    sessions: SessionFolder,
    /// Where acts that cannot be undone are written down.
    pub audit: AuditLog,
    /// Whether everybody who comes is from beyond loopback.
    exposed: bool,
}

impl Gate {
    /// Of a process that listens on an address.
    ///
    /// # Errors
    /// Others are let in, by the address or by name, and no token has been made; the tokens cannot be
    /// read; an allowed origin is none.
    pub fn open(config: &WebConfig, address: SocketAddr) -> Result<Self> {
        let verifier = Verifier::open(TokenFile::in_folder(&config.access_dir))?;
        let other_machines = !address.ip().to_canonical().is_loopback();
        let exposed = other_machines || !config.hosts.is_empty();
        if exposed && !verifier.has_tokens() {
            let (what, instead) = if other_machines {
                (
                    format!("{address} can be reached from other machines"),
                    "listen on this machine alone with --host 127.0.0.1",
                )
            } else {
                (
                    "web.hosts lets others in by name".to_owned(),
                    "leave it empty",
                )
            };
            return Err(CommandError::input(format!(
                "{what}, and there is no token in {}: make one with `tickcast token new --role admin`, or {instead}",
                verifier.file().path().display(),
            )));
        }
        let same_origin = SameOrigin::new(&config.allowed_origins)
            .map_err(|e| CommandError::input(format!("web.allowed_origins: {e}")))?;
        Ok(Self {
            hosts: Arc::new(Hosts::new(address.ip(), &config.hosts)),
            same_origin,
            verifier: Arc::new(verifier),
            sessions: SessionFolder::in_folder(&config.access_dir),
            audit: AuditLog::in_folder(&config.access_dir),
            exposed,
        })
    }

    /// What verifies tokens.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// Puts all of it in front of a router.
    pub fn guard<S>(self: &Arc<Self>, router: Router<S>) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let sessions = SessionManagerLayer::new(self.sessions.clone())
            .with_name(COOKIE)
            .with_expiry(Expiry::OnInactivity(SESSION))
            .with_http_only(true)
            // A link from elsewhere leads to a page; it changes nothing and opens no WebSocket.
            .with_same_site(SameSite::Lax)
            // `secure_cookies` adds it where the browser speaks TLS.
            .with_secure(false);
        let holders = Holders(Arc::clone(&self.verifier));
        let router = router
            .layer(middleware::from_fn_with_state(Arc::clone(self), check))
            .layer(AuthManagerLayerBuilder::new(holders, sessions).build())
            .layer(middleware::from_fn(secure_cookies))
            .layer(middleware::from_fn(content_encoding::check))
            .layer(middleware::from_fn_with_state(
                self.same_origin.clone(),
                same_origin::check,
            ))
            .layer(middleware::from_fn_with_state(
                Arc::clone(&self.hosts),
                hosts::check,
            ));
        headers::add(router)
    }

    /// What a request may do.
    async fn grant(&self, request: &Parts) -> std::result::Result<Grant, Box<Problem>> {
        let from = client(request);
        let token = match bearer(&request.headers) {
            Some(text) => match self.verifier.verify(text, from).await {
                Verdict::Good(token) => Some(token),
                refused => return Err(Box::new(refusal(&refused))),
            },
            None => {
                let session = request.extensions.get::<Session>();
                session.and_then(|s| s.user.as_ref().map(|holder| Arc::clone(&holder.0)))
            }
        };
        Ok(match token {
            Some(token) => Grant {
                who: token.who(),
                role: Some(token.role),
                from,
            },
            None => Grant {
                who: Who::Anybody,
                role: self.without_a_token(&request.headers),
                from,
            },
        })
    }

    fn without_a_token(&self, headers: &HeaderMap) -> Option<Role> {
        if self.exposed || was_forwarded(headers) {
            None
        } else if self.verifier.has_tokens() {
            Some(Role::Read)
        } else {
            Some(Role::Admin)
        }
    }
}

/// What is said of a token that is not good.
pub fn refusal(verdict: &Verdict) -> Problem {
    match verdict {
        Verdict::Later(wait) => {
            let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
            let detail = format!("too many wrong tokens: try again in {seconds} s");
            Problem::new(ErrorKind::Unavailable, detail)
                .with_status(StatusCode::TOO_MANY_REQUESTS)
                .retry_after(seconds)
        }
        Verdict::Good(_) | Verdict::Wrong => Problem::new(
            ErrorKind::Invalid,
            "the token is none of this server's, or has been revoked",
        )
        .with_status(StatusCode::UNAUTHORIZED),
    }
    .field("Authorization")
}

/// The middleware.
async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let access = routes::access(&head);
    let grant = match gate.grant(&head).await {
        Ok(grant) => grant,
        // A wrong token is no reason to keep somebody from what is for everybody.
        Err(_) if access == Access::Public => Grant {
            who: Who::Anybody,
            role: None,
            from: client(&head),
        },
        Err(problem) => return challenge(*problem),
    };
    if !access.allows(grant.role) {
        return refuse(&head, access, &grant);
    }
    let unseen = grant.role.is_none() && head.uri.path() == "/readyz";
    head.extensions.insert(grant);
    let response = next.run(Request::from_parts(head, body)).await;
    if unseen && !response.status().is_success() {
        // What is missing names hosts of the inside.
        let detail = "not ready; a token says what is missing";
        return Problem::new(ErrorKind::Unavailable, detail).into_response();
    }
    response
}

fn refuse(request: &Parts, access: Access, grant: &Grant) -> Response {
    let needed = match access {
        Access::Needs(role) => role,
        Access::Public => Role::Read,
    };
    if let Who::Token { name, role, .. } = &grant.who {
        let detail = format!("the token {name:?} allows to {role}, and this needs {needed}");
        return Problem::new(ErrorKind::Invalid, detail)
            .with_status(StatusCode::FORBIDDEN)
            .field("Authorization")
            .into_response();
    }
    if let Some(next) = page_to_return_to(request) {
        let login = format!("/login?next={}", super::login::encode(&next));
        return Redirect::to(&login).into_response();
    }
    let detail = format!(
        "this needs a token with the role {needed} (`tickcast token new --role {needed}` makes one): send it as `Authorization: Bearer …`, or log in at /login"
    );
    challenge(
        Problem::new(ErrorKind::Invalid, detail)
            .with_status(StatusCode::UNAUTHORIZED)
            .field("Authorization"),
    )
}

fn challenge(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"tickcast\""),
        );
    }
    response
}

/// Where a browser goes after it has logged in: to the page that it asked for, or to the one whose
/// form it posted. `None` for a program, which is told instead.
fn page_to_return_to(request: &Parts) -> Option<String> {
    let accepts = request.headers.get(header::ACCEPT)?.to_str().ok()?;
    if !accepts.contains("text/html") {
        return None;
    }
    if matches!(request.method, Method::GET | Method::HEAD) {
        return Some(request.uri.path_and_query()?.to_string());
    }
    let posted_from = request.headers.get(header::REFERER)?.to_str().ok()?;
    let page: Uri = posted_from.parse().ok()?;
    Some(page.path_and_query()?.to_string())
}

/// Whether a proxy says that it is not the one who asks. Who lies so gets less.
fn was_forwarded(headers: &HeaderMap) -> bool {
    [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-real-ip",
        "via",
    ]
    .into_iter()
    .any(|name| headers.contains_key(name))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    // Another scheme is for a proxy before us.
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The other end of the connection.
pub fn client(request: &Parts) -> IpAddr {
    let connection = request.extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip())
}

/// Marks our cookie `Secure` where the browser came over TLS, which a proxy tells. A lie harms nobody
/// but who tells it: the browser keeps its own cookie to itself.
async fn secure_cookies(request: Request, next: Next) -> Response {
    let over_tls = request
        .headers()
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let mut response = next.run(request).await;
    if over_tls
        && let header::Entry::Occupied(mut cookies) =
            response.headers_mut().entry(header::SET_COOKIE)
    {
        for cookie in cookies.iter_mut() {
            if let Ok(secure) = HeaderValue::from_bytes(&[cookie.as_bytes(), b"; Secure"].concat())
            {
                *cookie = secure;
            }
        }
    }
    response
}
