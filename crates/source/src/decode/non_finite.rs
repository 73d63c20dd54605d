//! NaN and Infinity, which Python's json writes and JSON does not know.

/// The bytes with every bare NaN, Infinity and -Infinity in quotes; `None` when there is none.
pub fn quote(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut found = false;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest[0] == b'"' {
            let mut end = 1;
            while end < rest.len() && rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            let end = (end + 1).min(rest.len());
            out.extend_from_slice(&rest[..end]);
            at += end;
            continue;
        }
        let word: Option<&[u8]> = [&b"NaN"[..], b"-Infinity", b"Infinity"]
            .into_iter()
            .find(|w| rest.starts_with(w));
        if let Some(word) = word {
            found = true;
            out.push(b'"');
            out.extend_from_slice(word);
            out.push(b'"');
            at += word.len();
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
    found.then_some(out)
}
