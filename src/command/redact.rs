//! What of a request nobody else may read: passwords, before MONITOR and the slow log show it.

use std::borrow::Cow;

use crate::resp::arguments::{Args, Request};

use super::args::is;

/// Shown in the place of a secret. Source: Redis.
const REDACTED: &[u8] = b"(redacted)";
/// Parameters with a secret value.
const SECRET_PARAMETERS: [&str; 5] = [
    "requirepass",
    "masterauth",
    "masteruser",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
];

/// The request with its secrets covered, when it has any. `name`: the row's full name.
pub(crate) fn redacted(name: &str, args: &Args<'_>) -> Option<Request> {
    let mut shown: Vec<Cow<'_, [u8]>> = args.iter().map(Cow::Borrowed).collect();
    let mut found = false;
    let mut cover = |at: usize| {
        if let Some(argument) = shown.get_mut(at) {
            *argument = Cow::Borrowed(REDACTED);
            found = true;
        }
    };
    match name {
        "auth" if args.len() <= 3 => (1..args.len()).for_each(cover),
        "acl|setuser" | "acl|deluser" | "acl|getuser" => (2..args.len()).for_each(cover),
        "hello" => {
            // Behind each: a client may be named so.
            for at in (2..args.len()).filter(|at| is(args.at(*at), "auth")) {
                cover(at + 1);
                cover(at + 2);
            }
        }
        "config|set" => {
            for at in (2..args.len()).step_by(2) {
                if SECRET_PARAMETERS.iter().any(|name| is(args.at(at), name)) {
                    cover(at + 1);
                }
            }
        }
        "migrate" => {
            let mut at = 6;
            while at < args.len() && !is(args.at(at), "keys") {
                let secret_count = match args.at(at) {
                    word if is(word, "auth") => 1,
                    word if is(word, "auth2") => 2,
                    _ => 0,
                };
                (at + 1..=at + secret_count).for_each(&mut cover);
                at += 1 + secret_count;
            }
        }
        _ => return None,
    }
    found.then(|| Request::from_arguments(shown.iter().map(AsRef::as_ref)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn shown(name: &str, words: &str) -> Option<String> {
        let request = Request::from_arguments(words.split(' ').map(str::as_bytes));
        let redacted = redacted(name, &request.args())?;
        let words: Vec<_> = redacted
            .args()
            .iter()
            .map(|word| String::from_utf8(word.to_vec()).unwrap())
            .collect();
        Some(words.join(" "))
    }

    #[test]
    fn passwords_are_covered() {
        let hidden = "auth (redacted) (redacted)";
        assert_eq!(shown("auth", "auth me secret").unwrap(), hidden);
        let hidden = "hello 3 AUTH (redacted) (redacted) SETNAME x";
        assert_eq!(
            shown("hello", "hello 3 AUTH me secret SETNAME x").unwrap(),
            hidden
        );
        let hidden = "config set hz 3 requirepass (redacted)";
        assert_eq!(
            shown("config|set", "config set hz 3 requirepass x").unwrap(),
            hidden
        );
        assert_eq!(shown("config|set", "config set hz 3"), None);
        assert_eq!(shown("get", "get requirepass"), None);
        let hidden = "migrate h 1 auth 0 1 COPY auth (redacted) KEYS auth x";
        let line = "migrate h 1 auth 0 1 COPY auth x KEYS auth x";
        assert_eq!(shown("migrate", line).unwrap(), hidden);
        let hidden = "migrate h 1 k 0 1 AUTH2 (redacted) (redacted)";
        let line = "migrate h 1 k 0 1 AUTH2 me x";
        assert_eq!(shown("migrate", line).unwrap(), hidden);
        assert_eq!(shown("migrate", "migrate h 1 auth 0 1 KEYS auth x"), None);
    }
}
