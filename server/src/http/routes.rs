//! Which role each route asks for: the one table. What is not in it asks for `admin`, and a test walks
//! the router that is served, so that a route that nobody thought about is found before that.

use axum::{
    extract::MatchedPath,
    http::{Method, request::Parts},
};

use crate::access::Role;

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with or without a token.
    Public,
    /// Who holds a role. Reading needs none on loopback, and nothing does while no token has been made.
    Needs(Role),
}

impl Access {
    /// Whether whoever has this role, if any, may.
    pub fn allows(self, role: Option<Role>) -> bool {
        match self {
            Self::Public => true,
            Self::Needs(needed) => role.is_some_and(|role| role >= needed),
        }
    }
}

const GET: &str = "GET";
const POST: &str = "POST";

const PUBLIC: Access = Access::Public;
const READ: Access = Access::Needs(Role::Read);
const WRITE: Access = Access::Needs(Role::Write);
const ADMIN: Access = Access::Needs(Role::Admin);

/// The table: method (a HEAD counts as the GET), the route as the router has it, and whom it is for.
/// A method of `*` stands for every one.
pub const ROUTES: &[(&str, &str, Access)] = &[
    // Whether the process lives, and how one gets in.
    (GET, "/healthz", PUBLIC),
    (GET, "/readyz", PUBLIC),
    (GET, "/login", PUBLIC),
    (POST, "/login", PUBLIC),
    (POST, "/logout", PUBLIC),
    // Pages.
    (GET, "/", READ),
    (GET, "/s/{symbol}", READ),
    (GET, "/backtest", READ),
    (GET, "/pipeline", READ),
    (GET, "/models", READ),
    (GET, "/training", READ),
    (GET, "/scoreboard", READ),
    // For programs, and their description.
    (GET, "/openapi.json", READ),
    (GET, "/docs", READ),
    (GET, "/docs/", READ),
    (GET, "/docs/{*rest}", READ),
    (GET, "/metrics", READ),
    (GET, "/live", READ),
    (GET, "/forecast", READ),
    (POST, "/predict", READ),
    (GET, "/state", READ),
    (GET, "/widgets.json", READ),
    (GET, "/apps.json", READ),
    (GET, "/openbb/symbols", READ),
    (GET, "/openbb/watchlist", READ),
    (GET, "/openbb/forecast", READ),
    (GET, "/openbb/scoreboard", READ),
    (GET, "/api/pipeline", READ),
    (GET, "/api/deadletters", READ),
    (POST, "/api/ticks", WRITE),
    (POST, "/api/deadletters/replay", ADMIN),
    (POST, "/api/deadletters/discard", ADMIN),
    (GET, "/api/audit", ADMIN),
    // Jobs and models. Whoever may write may train; who is served is an administrator's to decide.
    (GET, "/api/jobs", READ),
    (POST, "/api/jobs", WRITE),
    (GET, "/api/jobs/{id}", READ),
    (GET, "/api/jobs/{id}/log", READ),
    (POST, "/api/jobs/{id}/cancel", WRITE),
    (GET, "/api/alarms", READ),
    (GET, "/api/models", READ),
    (GET, "/api/models/{name}/versions", READ),
    (GET, "/api/models/{name}/versions/{version}", READ),
    (POST, "/api/models/{name}/versions/{version}/archive", ADMIN),
    (GET, "/api/models/{name}/verdicts", READ),
    (GET, "/api/models/{name}/aliases/{alias}", READ),
    (POST, "/api/models/{name}/aliases/{alias}", ADMIN),
    ("*", "/api/{*path}", READ),
    // What the pages ask for. A backtest takes the machine for minutes, so it is no mere reading; a
    // page without scripts that runs one is held to that by the backend.
    (POST, "/api/overview", READ),
    (POST, "/api/chart", READ),
    (POST, "/api/record", READ),
    (POST, "/api/forecast", READ),
    (POST, "/api/backfill", READ),
    (POST, "/api/page", READ),
    (POST, "/api/backtest_page", READ),
    (POST, "/api/backtest", WRITE),
    (POST, "/api/stop_backtest", WRITE),
    (POST, "/api/train_now", WRITE),
    (POST, "/api/cancel_job", WRITE),
    (POST, "/api/move_champion", ADMIN),
    (POST, "/api/archive_version", ADMIN),
    (POST, "/api/load_sample_data", ADMIN),
    (POST, "/api/replay_dead_letters", ADMIN),
];

/// Files that the login page shows, and the manifest with its pictures, which browsers fetch without a cookie.
pub const PUBLIC_FILES: &[&str] = &[
    "/main.css",
    "/chart.css",
    "/evaluation.css",
    "/icon.svg",
    "/icon-192.png",
    "/icon-512.png",
    "/icon-maskable-192.png",
    "/icon-maskable-512.png",
    "/screenshot-wide.png",
    "/screenshot-narrow.png",
    "/manifest.webmanifest",
];

/// Whom a request's route is for.
pub fn access(request: &Parts) -> Access {
    match request.extensions.get::<MatchedPath>() {
        Some(path) => of_route(&request.method, path.as_str()).unwrap_or(ADMIN),
        None if PUBLIC_FILES.contains(&request.uri.path()) => PUBLIC,
        // Files, and the page that says that there is nothing.
        None => READ,
    }
}

/// The entry of a route. A method that the route does not know is answered with those that it does, to
/// whoever may use the first of them.
pub fn of_route(method: &Method, path: &str) -> Option<Access> {
    let method = match *method {
        Method::HEAD => Method::GET.as_str(),
        _ => method.as_str(),
    };
    let entries = || ROUTES.iter().filter(|(_, route, _)| *route == path);
    let exact = entries().find(|(known, _, _)| *known == method || *known == "*");
    exact
        .or_else(|| entries().next())
        .map(|(_, _, access)| *access)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The role in the row of docs/security.md that names a route.
    fn documented(method: &str, route: &str) -> Vec<&'static str> {
        include_str!("../../../docs/security.md")
            .lines()
            .filter(|line| line.starts_with(&format!("| {method} |")))
            .filter(|line| line.contains(&format!("`{route}`")))
            .filter_map(|line| line.trim_end_matches(" |").rsplit("| ").next())
            .collect()
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        for (method, route, access) in ROUTES {
            if *method == "*" {
                // Where there is nothing.
                continue;
            }
            let role = match access {
                Access::Public => "none",
                Access::Needs(role) => role.as_str(),
            };
            assert_eq!(documented(method, route), [role], "{method} {route}");
        }
        for file in PUBLIC_FILES {
            assert_eq!(documented("GET", file), ["none"], "{file}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_has_no_entry_and_a_head_is_a_get() {
        assert_eq!(of_route(&Method::GET, "/new"), None);
        assert_eq!(of_route(&Method::HEAD, "/metrics"), Some(READ));
        assert_eq!(of_route(&Method::POST, "/api/ticks"), Some(WRITE));
        assert_eq!(of_route(&Method::DELETE, "/api/ticks"), Some(WRITE));
    }
}
