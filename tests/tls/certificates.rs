//! Whose certificates are taken, how they change while the server runs, and what is said at the start when they cannot be used.

use std::process::Command;

use super::authority::{Authority, Identity};
use super::client::{TlsClient, TlsServer, VERSIONS, config, free_port, is_served};
use crate::support::{Frame, expect_error};

/// A server with further options, each text split at its blanks.
fn start(options: &str) -> TlsServer {
    let options: Vec<&str> = options.split_whitespace().collect();
    TlsServer::start(1, &options)
}

#[test]
fn clients_show_certificates_as_the_setting_says() {
    let stranger = Authority::new("Somebody Else");
    for version in VERSIONS {
        for (setting, bare, wrong) in [
            ("yes", false, false),
            ("optional", true, false),
            // It is not asked for, so nobody looks at it.
            ("no", true, true),
        ] {
            let server = start(&format!("--tls-auth-clients {setting}"));
            let served = |shown: Option<&Identity>| {
                let config = config(&server.authority, shown, &[version]);
                is_served(server.port, &config)
            };
            let good = server.authority.issue("client");
            assert!(served(Some(&good)), "{setting}");
            assert_eq!(served(None), bare, "{setting}");
            assert_eq!(served(Some(&stranger.issue("client"))), wrong, "{setting}");
            let expired = server.authority.issue_expired("client");
            assert_eq!(served(Some(&expired)), wrong, "{setting}");
        }
    }
}

#[test]
fn the_authorities_may_lie_in_a_directory() {
    let clients = Authority::new("Authority of Clients");
    clients.issue("other-files-there-are-no-harm");
    std::fs::write(clients.directory().join("README"), "words").unwrap();
    let directory = clients.directory().display().to_string();
    let server = TlsServer::start(
        1,
        &[
            "--tls-auth-clients",
            "yes",
            "--tls-ca-cert-file",
            "",
            "--tls-ca-cert-dir",
            &directory,
        ],
    );
    let served = |shown: &Identity| {
        is_served(
            server.port,
            &config(&server.authority, Some(shown), &VERSIONS),
        )
    };
    assert!(served(&clients.issue("client")));
    assert!(!served(&server.authority.issue("client")));
}

#[test]
fn versions_and_ciphers_are_limited_by_settings() {
    let server = start("--tls-protocols TLSv1.3 --tls-ciphersuites TLS_AES_128_GCM_SHA256");
    let served = |version| is_served(server.port, &config(&server.authority, None, &[version]));
    assert!(!served(VERSIONS[0]));
    assert!(served(VERSIONS[1]));
    let client = server.connect();
    let suite = client.stream.conn.negotiated_cipher_suite().unwrap();
    assert_eq!(format!("{:?}", suite.suite()), "TLS13_AES_128_GCM_SHA256");
    let mut control = server.server.connect();
    let set = control.call(&[
        "CONFIG",
        "SET",
        "tls-protocols",
        "TLSv1.2",
        "tls-ciphers",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ]);
    assert_eq!(set.to_string(), "+OK");
    assert!(!served(VERSIONS[1]));
    let client = server.connect();
    let suite = client.stream.conn.negotiated_cipher_suite().unwrap();
    assert_eq!(
        format!("{:?}", suite.suite()),
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    );
}

#[test]
fn clients_that_come_again_need_no_whole_handshake_unless_the_setting_says_so() {
    for (setting, resumed) in [("yes", true), ("no", false)] {
        let server = start(&format!("--tls-session-caching {setting}"));
        for version in VERSIONS {
            let config = config(&server.authority, None, &[version]);
            let mut kinds = Vec::new();
            for _ in 0..2 {
                let mut client = TlsClient::connect(server.port, &config).unwrap();
                assert_eq!(client.run("PING").to_string(), "+PONG");
                kinds.push(client.stream.conn.handshake_kind().unwrap());
            }
            assert_eq!(
                kinds[1] == rustls::HandshakeKind::Resumed,
                resumed,
                "{setting} {version:?}"
            );
        }
    }
}

#[test]
fn the_name_in_a_certificate_logs_its_user_in() {
    let server = start("--tls-auth-clients optional --tls-auth-clients-user CN");
    let mut control = server.server.connect();
    control.run("ACL SETUSER alice on >secret ~a:* +@all");
    control.run("ACL SETUSER bob off >secret ~* +@all");
    control.run("ACL SETUSER default on >other ~* +@all");
    let connect = |name: &str| {
        let shown = server.authority.issue(name);
        let config = config(&server.authority, Some(&shown), &VERSIONS);
        TlsClient::connect(server.port, &config).unwrap()
    };
    let mut alice = connect("alice");
    assert_eq!(alice.run("ACL WHOAMI").text(), "alice");
    assert_eq!(alice.run("SET a:1 x").to_string(), "+OK");
    expect_error!(alice, "SET b:1 x", "NOPERM");
    assert!(alice.run("CLIENT INFO").text().contains(" user=alice "));
    // She may become another.
    assert_eq!(alice.run("AUTH default other").to_string(), "+OK");
    // Nobody of that name, or nobody who may come in: as any other client.
    for name in ["bob", "carol"] {
        expect_error!(connect(name), "ACL WHOAMI", "NOAUTH");
    }
    let mut bare = server.connect();
    expect_error!(bare, "ACL WHOAMI", "NOAUTH");
    control.run("AUTH default other");
    assert_eq!(
        control
            .run("CONFIG SET tls-auth-clients-user off")
            .to_string(),
        "+OK"
    );
    expect_error!(connect("alice"), "ACL WHOAMI", "NOAUTH");
}

#[test]
fn certificates_are_read_again_while_connections_stay() {
    let server = start("");
    let mut control = server.server.connect();
    let mut before = server.connect();
    let first = before.server_certificate();
    // The same files, with something else in them.
    let renewed = server.authority.issue("server");
    let other = server.connect();
    assert!(
        other.server_certificate() == first,
        "nobody has said anything"
    );
    let set = control.call(&["CONFIG", "SET", "tls-cert-file", renewed.certificate()]);
    assert_eq!(set.to_string(), "+OK");
    let second = server.connect().server_certificate();
    assert!(second != first);
    assert_eq!(before.run("PING").to_string(), "+PONG");
    // All or nothing: a key that does not belong to it.
    let stranger = Authority::new("Somebody Else").issue("server");
    let refused = control
        .call(&["CONFIG", "SET", "tls-key-file", stranger.key()])
        .to_string();
    assert!(
        refused.starts_with("-ERR CONFIG SET failed (possibly related to argument 'tls-key-file') - Unable to update TLS configuration."),
        "{refused}"
    );
    assert_eq!(
        control.run("CONFIG GET tls-key-file").items()[1].text(),
        renewed.key()
    );
    std::fs::write(&renewed.certificate, "nothing").unwrap();
    let refused = control.call(&["CONFIG", "SET", "tls-cert-file", renewed.certificate()]);
    assert!(refused.is_error(), "{refused}");
    assert!(server.connect().server_certificate() == second);
    assert_eq!(before.run("PING").to_string(), "+PONG");
    // What has nothing to do with it can still be set.
    assert_eq!(control.run("CONFIG SET hz 20").to_string(), "+OK");
    let told = format!(
        "The certificate in {} is in use, until ",
        renewed.certificate()
    );
    assert_eq!(server.server.log().matches(&told).count(), 2);
}

#[test]
fn a_certificate_that_is_not_valid_now_is_warned_of() {
    let server = start("");
    let mut control = server.server.connect();
    for (year, what) in [
        (
            2019,
            "ended on 01 Jan 2020 00:00:00.000: clients refuse it.",
        ),
        (
            3000,
            "is valid from 01 Jan 3000 00:00:00.000 only: clients refuse it until then.",
        ),
    ] {
        let shown = server.authority.issue_for_year("server", year);
        let words = ["CONFIG", "SET", "tls-cert-file", shown.certificate()];
        let set = control.call(&[&words[..], &["tls-key-file", shown.key()]].concat());
        assert_eq!(set.to_string(), "+OK");
        let told = format!("The certificate in {} {what}", shown.certificate());
        assert!(
            server.server.log().contains(&told),
            "{}",
            server.server.log()
        );
    }
}

#[test]
fn the_port_for_tls_opens_moves_and_closes_while_the_server_runs() {
    let server = start("");
    let mut control = server.server.connect();
    let mut kept = server.connect();
    // It is let in by then: whoever is in the middle of a handshake does not stay.
    assert_eq!(kept.run("PING").to_string(), "+PONG");
    let other = free_port();
    assert_eq!(
        control
            .run(&format!("CONFIG SET tls-port {other}"))
            .to_string(),
        "+OK"
    );
    let config = config(&server.authority, None, &VERSIONS);
    assert!(is_served(other, &config));
    assert!(!is_served(server.port, &config));
    assert_eq!(control.run("CONFIG SET tls-port 0").to_string(), "+OK");
    assert!(!is_served(other, &config));
    assert_eq!(kept.run("PING").to_string(), "+PONG");
    // Without a certificate there is nothing to open it with.
    control.call(&["CONFIG", "SET", "tls-cert-file", ""]);
    expect_error!(
        control,
        &format!("CONFIG SET tls-port {other}"),
        "ERR CONFIG SET failed (possibly related to argument 'tls-cert-file')"
    );
    assert_eq!(
        control.run("CONFIG GET tls-port").items()[1],
        Frame::Bulk(b"0".to_vec())
    );
}

/// How a start with these options ends: what is printed.
fn failed_start(options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["--port", "0", "--save", "", "--tls-port", "1"])
        .args(options)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_start_that_cannot_serve_tls_names_the_setting_the_file_and_what_to_do() {
    let authority = Authority::new("Test Authority");
    let [one, other] = ["one", "other"].map(|name| authority.issue(name));
    let old = authority.directory().join("old.key");
    std::fs::write(
        &old,
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
    )
    .unwrap();
    let (old, ca) = (old.to_str().unwrap(), authority.certificate());
    let good = [
        "--tls-cert-file",
        one.certificate(),
        "--tls-key-file",
        one.key(),
    ];
    let no_clients = [&good[..], &["--tls-auth-clients", "no"]].concat();
    let with = |more: &[&'static str]| [&no_clients[..], more].concat();
    let cases: [(Vec<&str>, Vec<&str>); 13] = [
        (
            vec![],
            vec!["tls-cert-file", "name the server's certificate"],
        ),
        (good[..2].to_vec(), vec!["tls-key-file", "name the key"]),
        (
            good.to_vec(),
            vec!["tls-ca-cert-file", "or set tls-auth-clients no"],
        ),
        (
            [&good[..], &["--tls-cert-file", "/nonexistent.crt"]].concat(),
            vec!["tls-cert-file: /nonexistent.crt: No such file"],
        ),
        (
            [&good[..], &["--tls-cert-file", one.key()]].concat(),
            vec!["tls-cert-file", one.key(), "there is no certificate in it"],
        ),
        (
            [&good[..], &["--tls-key-file", &ca]].concat(),
            vec!["tls-key-file", "there is no private key in it"],
        ),
        (
            [&good[..], &["--tls-key-file", other.key()]].concat(),
            vec![
                "tls-key-file",
                "this is not the key of the first certificate in",
            ],
        ),
        (
            [&good[..], &["--tls-key-file", old]].concat(),
            vec!["tls-key-file", old, "openssl pkcs8 -topk8"],
        ),
        (
            with(&["--tls-protocols", "TLSv1.1"]),
            vec!["tls-protocols", "use TLSv1.2"],
        ),
        (
            with(&["--tls-ciphers", "RC4-SHA"]),
            vec!["tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256"],
        ),
        (
            with(&["--tls-dh-params-file", "dh.pem"]),
            vec!["remove tls-dh-params-file"],
        ),
        (with(&["--tls-replication", "yes"]), vec!["set it to no"]),
        (with(&["--tls-cluster", "yes"]), vec!["set it to no"]),
    ];
    for (options, expected) in cases {
        let said = failed_start(&options);
        assert_eq!(said.lines().count(), 1, "{options:?}: {said}");
        for words in expected {
            assert!(said.contains(words), "{options:?}: {said}");
        }
    }
}

#[test]
fn a_key_with_a_password_is_read_with_it() {
    let authority = Authority::new("Test Authority");
    let server = authority.issue("server");
    let encrypted = authority.directory().join("encrypted.key");
    let done = Command::new("openssl")
        .args([
            "pkcs8",
            "-topk8",
            "-passout",
            "pass:sesame",
            "-in",
            server.key(),
        ])
        .arg("-out")
        .arg(&encrypted)
        .status()
        .expect("openssl is missing");
    assert!(done.success());
    let encrypted = encrypted.to_str().unwrap();
    let files = [
        "--tls-cert-file",
        server.certificate(),
        "--tls-key-file",
        encrypted,
    ];
    let said = failed_start(&files);
    assert!(said.contains("give it with tls-key-file-pass"), "{said}");
    let said = failed_start(&[&files[..], &["--tls-key-file-pass", "wrong"]].concat());
    assert!(
        said.contains("is tls-key-file-pass its password?"),
        "{said}"
    );
    assert!(!said.contains("wrong"), "{said}");
    let running = TlsServer::start(
        1,
        &[&files[..], &["--tls-key-file-pass", "sesame"]].concat(),
    );
    assert!(is_served(
        running.port,
        &config(&authority, None, &VERSIONS)
    ));
}
