//! Clients that others and we have made, over TLS.

use std::process::Command;

use redis::{ClientTlsConfig, TlsCertificates};

use super::client::TlsServer;
use crate::support::for_each_shard_count;

/// A server whose clients have to show certificates.
fn server() -> TlsServer {
    TlsServer::start(1, &["--tls-auth-clients", "yes"])
}

/// What a program prints, and whether it ended well.
fn run(command: &mut Command) -> (bool, String) {
    for name in ["MILLRACE_URL", "MILLRACE_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    (output.status.success(), printed)
}

/// A subcommand with the options for TLS.
fn millrace(server: &TlsServer, words: &[&str]) -> (bool, String) {
    let client = server.authority.issue("client");
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command
        .args(words)
        .args(["--cacert", &server.authority.certificate()]);
    command.args(["--cert", client.certificate(), "--key", client.key()]);
    run(&mut command)
}

#[test]
fn redis_cli_speaks_it() {
    let server = server();
    let client = server.authority.issue("client");
    let cli = |words: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["--tls", "-p", &server.port.to_string()]);
        command.args(["--cacert", &server.authority.certificate()]);
        command.args(["--cert", client.certificate(), "--key", client.key()]);
        run(command.args(words))
    };
    assert_eq!(cli(&["PING"]), (true, "PONG\n".to_owned()));
    assert_eq!(
        cli(&["-3", "HSET", "h", "a", "1"]),
        (true, "1\n".to_owned())
    );
    let (_, printed) = cli(&["--insecure", "HGETALL", "h"]);
    assert_eq!(printed, "a\n1\n");
}

#[test]
fn redis_rs_speaks_it() {
    let server = server();
    let client = server.authority.issue("client");
    let read = |path: &str| std::fs::read(path).unwrap();
    let certificates = TlsCertificates {
        client_tls: Some(ClientTlsConfig {
            client_cert: read(client.certificate()),
            client_key: read(client.key()),
        }),
        root_cert: Some(read(&server.authority.certificate())),
    };
    let url = format!("rediss://localhost:{}", server.port);
    let client = redis::Client::build_with_tls(url, certificates).unwrap();
    let mut connection = client.get_connection().unwrap();
    let long = "x".repeat(1_000_000);
    let got: String = redis::pipe()
        .cmd("SET")
        .arg("k")
        .arg(&long)
        .ignore()
        .cmd("GET")
        .arg("k")
        .query::<(String,)>(&mut connection)
        .unwrap()
        .0;
    assert!(got == long);
}

#[test]
fn ping_says_what_is_wrong() {
    let server = server();
    let url = format!("rediss://localhost:{}", server.port);
    assert_eq!(
        millrace(&server, &["ping", "--url", &url]),
        (true, "PONG\n".to_owned())
    );
    let ping = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        let (ended_well, said) = run(command.arg("ping").args(words));
        assert!(!ended_well, "{words:?}: {said}");
        said
    };
    let ca = server.authority.certificate();
    let said = ping(&["--url", &url]);
    assert!(said.contains("name it with --cacert"), "{said}");
    let said = ping(&["--url", &url, "--cacert", &ca]);
    assert!(said.contains("give --cert and --key"), "{said}");
    let said = ping(&["--url", &url, "--cacert", "/nonexistent.crt"]);
    assert!(
        said.contains("cannot read /nonexistent.crt of --cacert: No such file"),
        "{said}"
    );
    let plain = format!("redis://localhost:{}", server.server.port());
    let said = ping(&["--url", &plain, "--cacert", &ca]);
    assert!(said.contains("rediss://"), "{said}");
    let said = ping(&["--url", &url, "--cert", &ca]);
    assert!(said.contains("--key"), "{said}");
}

#[test]
fn insecure_takes_any_certificate() {
    let server = TlsServer::start(1, &[]);
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    let said = run(command.args(["ping", "--insecure", "--url", &url]));
    assert_eq!(said, (true, "PONG\n".to_owned()));
}

#[test]
fn reclaim_import_and_the_demo_speak_it() {
    let (source, target) = (server(), server());
    let url = |server: &TlsServer| format!("rediss://localhost:{}", server.port);
    let mut control = source.server.connect();
    control.run("XADD jobs * a 1");
    control.run("XGROUP CREATE jobs workers 0");
    let words = [
        "reclaim",
        "--stream",
        "jobs",
        "--group",
        "workers",
        "--min-idle",
        "1s",
        "--url",
    ];
    let (ended_well, said) = millrace(&source, &[&words[..], &[&url(&source)]].concat());
    assert!(ended_well, "{said}");
    control.run("SET key value");
    // The source speaks TLS, the target does not: the options are for the one that does.
    let plain = format!("redis://localhost:{}", target.server.port());
    let (ended_well, said) = millrace(
        &source,
        &["import", "--from", &url(&source), "--to", &plain],
    );
    assert!(ended_well, "{said}");
    assert_eq!(target.server.connect().run("GET key").text(), "value");
    let words = [
        "demo",
        "--messages",
        "200",
        "--workers",
        "2",
        "--rate",
        "0",
        "--url",
    ];
    let (ended_well, said) = millrace(&target, &[&words[..], &[&url(&target)]].concat());
    assert!(ended_well, "{said}");
}

#[test]
fn the_plain_port_goes_on_beside_it() {
    for_each_shard_count(|server| assert_eq!(server.connect().run("PING").to_string(), "+PONG"));
    let both = TlsServer::start(1, &[]);
    both.connect().run("SET k v");
    assert_eq!(both.server.connect().run("GET k").text(), "v");
}
