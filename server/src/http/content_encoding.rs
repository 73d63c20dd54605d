//! A body in an encoding that nobody here decodes is 415, not read as if it were plain.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use market::ErrorKind;

use super::problem::Problem;

/// How much of a header is told again, in characters.
const SHOWN: usize = 100;

/// The middleware.
pub async fn check(request: Request, next: Next) -> Response {
    let Some(unknown) = unknown(request.headers()) else {
        return next.run(request).await;
    };
    let detail =
        format!("a body with Content-Encoding {unknown:?} is not understood: send it plain");
    let problem = Problem::new(ErrorKind::Invalid, detail)
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .field("Content-Encoding");
    let mut response = problem.into_response();
    // What would be (RFC 9110, 15.5.16).
    response.headers_mut().insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    response
}

/// The first coding that is none of ours.
fn unknown(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .map(|coding| {
            String::from_utf8_lossy(coding)
                .chars()
                .take(SHOWN)
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identity_is_understood_wherever_it_stands() {
        for (values, expected) in [
            (&[][..], None),
            (&["identity"], None),
            (&["Identity, "], None),
            (&["gzip"], Some("gzip")),
            (&["identity, br"], Some("br")),
            (&["identity", "zstd"], Some("zstd")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(unknown(&headers).as_deref(), expected, "{values:?}");
        }
    }
}
