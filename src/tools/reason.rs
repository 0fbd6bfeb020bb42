//! Why a server or the system did not do what a tool asked for, in plain words.
//!
//! Deliberately not here: what was asked for. The caller says that before the reason.

use redis::{ErrorKind, RedisError};

/// What to say to somebody who is not let in without a password.
const WANTS_PASSWORD: &str = "the server wants a password; set MILLRACE_PASSWORD";

/// A wrong one; also one where the server has none, or one of a user that has all its connections.
const REFUSED: &str = "the server did not accept the user or the password; if it has none, unset MILLRACE_PASSWORD; \
                       if they are right, the user may have as many connections as maxclients-per-user allows";

/// What speaks something else is something else.
pub(super) const NO_SERVER: &str = "the answer is not that of a Redis server";

/// The code of the server's error, also of the first one in a pipeline: `NOAUTH`, `WRONGTYPE`.
pub(super) fn code_of(error: &RedisError) -> Option<String> {
    match error.code() {
        Some(code) => Some(code.to_owned()),
        None => first_server_error(error).map(|(code, _)| code),
    }
}

/// Whether the server did not let us in: no password, or a wrong one.
pub(super) fn is_login_refused(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(code_of(error).as_deref(), Some("NOAUTH" | "WRONGPASS"))
}

fn first_server_error(error: &RedisError) -> Option<(String, String)> {
    let errors = error.clone().into_server_errors()?;
    let (_, first) = errors.first()?;
    let detail = first.details().unwrap_or_default();
    Some((first.code().to_owned(), detail.to_owned()))
}

/// The reason in words.
pub(super) fn of(error: &RedisError) -> String {
    if let Some((code, detail)) = first_server_error(error) {
        return of_answer(&code, &detail);
    }
    match error.kind() {
        // The client does not keep what the server answered.
        ErrorKind::AuthenticationFailed => REFUSED.to_owned(),
        ErrorKind::Server(_) | ErrorKind::Extension => of_answer(
            error.code().unwrap_or("ERR"),
            error.detail().unwrap_or_default(),
        ),
        ErrorKind::Parse => NO_SERVER.to_owned(),
        ErrorKind::UnexpectedReturnType => format!("the server answered something else: {error}"),
        _ if about_tls(&error.to_string()).is_some() => {
            about_tls(&error.to_string()).unwrap_or_default().to_owned()
        }
        _ if error.is_timeout() => "the server did not answer in time".to_owned(),
        _ if error.is_connection_dropped() && !error.is_connection_refusal() => {
            "the server closed the connection".to_owned()
        }
        _ => without_number(&error.to_string()),
    }
}

/// What went wrong with TLS, where something can be done about it.
fn about_tls(text: &str) -> Option<&'static str> {
    const KNOWN: [(&str, &str); 6] = [
        (
            "certificate: UnknownIssuer",
            "no authority is known for the server's certificate; name it with --cacert",
        ),
        (
            "not valid for name",
            "the server's certificate is for another name than that of the address",
        ),
        (
            "certificate expired",
            "the server's certificate has expired",
        ),
        (
            "InvalidContentType",
            "the server does not speak TLS at this port; use redis://",
        ),
        (
            "CertificateRequired",
            "the server wants a certificate; give --cert and --key",
        ),
        (
            "fatal alert: UnknownCA",
            "the server does not know the authority of the certificate of --cert",
        ),
    ];
    let mut known = KNOWN.iter();
    known
        .find(|(word, _)| text.contains(word))
        .map(|(_, reason)| *reason)
}

/// The reason of the system, without the number that std appends.
pub(super) fn of_system(error: &std::io::Error) -> String {
    without_number(&error.to_string())
}

fn without_number(text: &str) -> String {
    text.split(" (os error").next().unwrap_or(text).to_owned()
}

fn of_answer(code: &str, detail: &str) -> String {
    match code {
        "NOAUTH" => WANTS_PASSWORD.to_owned(),
        "WRONGPASS" => REFUSED.to_owned(),
        "DENIED" => "the server is in protected mode: it accepts only connections to 127.0.0.1, ::1 or a unix socket".to_owned(),
        "LOADING" => "the server is still loading its data".to_owned(),
        "BUSY" => "the server is busy with a script".to_owned(),
        "NOGROUP" => "the group does not exist".to_owned(),
        _ => format!("the server answered '{code} {detail}'"),
    }
}
