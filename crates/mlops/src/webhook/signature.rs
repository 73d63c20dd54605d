//! What a message is signed by.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// `v1,` and the base64 of HMAC-SHA256 of `ID.TIMESTAMP.BODY`, as Standard Webhooks has it.
///
/// ```
/// // As Python's hmac and base64 have it.
/// let signed = mlops::webhook::signature("secret", "a-1", "1700000000", "{}");
/// assert_eq!(signed, "v1,BkAU/O/qeJMIsznqc7UnPYQBwzjqBXKSJ8EpdA3+XY4=");
/// ```
#[must_use]
pub fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
