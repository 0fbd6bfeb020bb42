//! The command line as a newcomer meets it: help, mistakes, completions, the manual, and what the tools say when they fail.

#![allow(clippy::unwrap_used, reason = "tests")]

mod peer;

use std::process::{Command, Stdio};

use peer::{Ended, Server, call, millrace, run};

fn ended(words: &[&str]) -> Ended {
    run(millrace(words))
}

#[test]
fn help_shows_the_options_in_groups_with_their_defaults() {
    for words in [
        &["help"][..],
        &["--help"],
        &["-h"],
        &["help", "server"],
        &["server", "--help"],
    ] {
        let ended = ended(words);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{words:?}");
        for part in [
            "\nNetwork:\n",
            "\nClients:\n",
            "--maxclients NUMBER",
            "[10000]",
            "--appendonly",
        ] {
            assert!(ended.stdout.contains(part), "{words:?}: no {part}");
        }
    }
    let overview = ended(&["help"]).stdout;
    for subcommand in [
        "server",
        "reclaim",
        "import",
        "demo",
        "ping",
        "check",
        "completions",
        "man",
    ] {
        assert!(
            overview.contains(&format!("\n  {subcommand} ")),
            "{subcommand}"
        );
    }
}

#[test]
fn help_explains_an_option_or_a_subcommand() {
    for word in ["maxclients", "--maxclients", "MAXCLIENTS"] {
        let ended = ended(&["help", word]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended
                .stdout
                .starts_with("--maxclients NUMBER\n\nClients at a time")
        );
        assert!(ended.stdout.contains("Default:    10000\n"), "{ended:?}");
        assert!(ended.stdout.contains("CONFIG SET"), "{ended:?}");
    }
    assert!(
        ended(&["help", "tls-cluster"])
            .stdout
            .contains("does not start with it")
    );
    assert!(
        ended(&["help", "io-threads"])
            .stdout
            .contains("without effect")
    );
    assert_eq!(
        ended(&["help", "reclaim"]).stdout,
        ended(&["reclaim", "--help"]).stdout
    );
    for (directive, part) in [
        ("rename-command", "another name"),
        ("user", "ACL SETUSER"),
        ("loadmodule", "Stops the start: "),
    ] {
        let about = ended(&["help", directive]).stdout;
        assert!(about.contains(part), "{about}");
    }
    let wrong = ended(&["help", "maxclient"]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("'millrace help maxclients'"),
        "{wrong:?}"
    );
}

/// `CONFIG GET` and the help are two views of one table.
#[test]
fn help_says_the_default_that_config_get_answers() {
    let server = Server::start(&peer::Kind::Millrace(1), &[]);
    let mut connection = server.connect();
    for option in [
        "maxclients",
        "timeout",
        "tcp-backlog",
        "loglevel",
        "slowlog-max-len",
    ] {
        let reply = call(&mut connection, &format!("CONFIG GET {option}"));
        let (_, value): (String, String) = redis::from_redis_value(reply).unwrap();
        let help = ended(&["help", option]).stdout;
        assert!(help.contains(&format!("Default:    {value}\n")), "{help}");
    }
}

#[test]
fn a_mistyped_word_is_told_what_was_meant() {
    for (word, meant) in [
        ("recliam", "reclaim"),
        ("pings", "ping"),
        ("imprt", "import"),
        ("DEMO", "demo"),
    ] {
        let ended = ended(&[word, "--port", "1"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert_eq!(
            ended.stderr,
            format!(
                "millrace: '{word}' is neither a subcommand nor a configuration file; did you mean 'millrace {meant}'?\n"
            )
        );
    }
    let option = ended(&["--maxclient", "10"]);
    assert_eq!(option.code, 1, "{option:?}");
    assert!(
        option.stderr.ends_with(": did you mean 'maxclients'?\n"),
        "{option:?}"
    );
    let option = ended(&["reclaim", "--strem", "s"]);
    assert_eq!(option.code, 2, "{option:?}");
    assert!(option.stderr.starts_with("millrace: ") && option.stderr.contains("--stream"));
}

#[test]
fn a_file_whose_name_is_close_to_a_subcommand_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("recliam"), "port nought\n").unwrap();
    let mut command = millrace(&["recliam"]);
    command.current_dir(directory.path());
    let ended = run(command);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("configuration file recliam, line 1"),
        "{ended:?}"
    );
}

#[test]
fn a_demo_that_makes_no_sense_shows_how_the_demo_is_used() {
    let ended = ended(&["demo", "--messages", "3"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("at least 160"), "{ended:?}");
    assert!(ended.stderr.contains("Usage: millrace demo"), "{ended:?}");
}

/// What bash offers for the last of `words`.
fn offered(words: &[&str]) -> String {
    let script = ended(&["completions", "bash"]).stdout;
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let [.., before, last] = words else {
        panic!("too few words")
    };
    let ask = format!(
        "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_millrace millrace '{last}' '{before}'\necho \"${{COMPREPLY[*]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn completions_cover_subcommands_and_options() {
    assert_eq!(offered(&["millrace", "recl"]), "reclaim");
    assert_eq!(
        offered(&["millrace", "--maxclients-"]),
        "--maxclients-per-user"
    );
    assert_eq!(
        offered(&["millrace", "server", "--maxmemory-c"]),
        "--maxmemory-clients"
    );
    assert_eq!(offered(&["millrace", "reclaim", "--min"]), "--min-idle");
    assert_eq!(offered(&["millrace", "import", "--skip"]), "--skip-errors");
    assert_eq!(offered(&["millrace", "--appendonly", ""]), "yes no");
    for shell in ["zsh", "fish"] {
        let text = ended(&["completions", shell]).stdout;
        for part in ["maxclients", "reclaim", "min-idle"] {
            assert!(text.contains(part), "{shell}: no {part}");
        }
    }
    assert_eq!(ended(&["completions", "csh"]).code, 2);
}

#[test]
fn the_manual_covers_subcommands_and_options() {
    let main = ended(&["man"]).stdout;
    assert!(main.contains(".TH millrace 1"), "{main}");
    for part in ["\\-\\-maxclients", ".SH NETWORK", "millrace\\-reclaim(1)"] {
        assert!(main.contains(part), "no {part} in {main}");
    }
    let reclaim = ended(&["man", "reclaim"]).stdout;
    assert!(reclaim.contains(".TH millrace-reclaim 1"), "{reclaim}");
    assert!(reclaim.contains("\\-\\-min\\-idle"));
    assert_eq!(ended(&["man", "nothing"]).code, 2);
    // A page that is named can be printed.
    for line in main.lines().filter(|line| line.ends_with("(1)")) {
        let name = line.replace('\\', "");
        let page = name
            .strip_prefix("millrace-")
            .and_then(|name| name.strip_suffix("(1)"));
        assert_eq!(ended(&["man", page.unwrap()]).code, 0, "{line}");
    }
}

#[test]
fn a_closed_pipe_ends_every_text_quietly() {
    let server = Server::start(&peer::Kind::Millrace(1), &[]);
    let url = server.url();
    let reclaim = [
        "reclaim",
        "--url",
        &url,
        "--stream",
        "s",
        "--group",
        "g",
        "--min-idle",
        "1s",
    ];
    let endless = [&reclaim[..], &["--every", "1ms"]].concat();
    for words in [
        &["help"][..],
        &["help", "port"],
        &["reclaim", "--help"],
        &["completions", "bash"],
        &["man"],
        &["--version"],
        &["ping", "--url", &url],
        &reclaim,
        &endless,
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = millrace(words)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), ""),
            "{words:?}"
        );
    }
}

#[test]
fn a_tool_that_fails_says_so_in_one_sentence_of_one_form() {
    let tools = |url: &str| -> Vec<Vec<String>> {
        [
            "ping",
            "demo",
            "reclaim --stream s --group g --min-idle 1s",
            "reclaim --stream s --group g --min-idle 1s --json --quiet",
        ]
        .iter()
        .map(|line| {
            line.split(' ')
                .chain(["--url", url])
                .map(str::to_owned)
                .collect()
        })
        .collect()
    };
    let expect = |url: &str, password: Option<&str>, sentence: &str| {
        for words in tools(url) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command = millrace(&words);
            if let Some(password) = password {
                command.env("MILLRACE_PASSWORD", password);
            }
            let ended = run(command);
            assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
            assert_eq!(ended.stderr, format!("millrace: {sentence}\n"), "{words:?}");
        }
    };
    for kind in peer::kinds() {
        let server = Server::start(&kind, &["--requirepass", "sesame"]);
        let to = format!("cannot log in to 127.0.0.1:{}", server.port);
        let wanted = format!("{to}: the server wants a password; set MILLRACE_PASSWORD");
        expect(&server.url(), None, &wanted);
        let refused = format!(
            "{to}: the server did not accept the user or the password; if it has none, unset MILLRACE_PASSWORD; \
             if they are right, the user may have as many connections as maxclients-per-user allows"
        );
        expect(&server.url(), Some("wrong"), &refused);
    }
    expect(
        "redis://127.0.0.1:1",
        None,
        "cannot connect to 127.0.0.1:1: Connection refused",
    );
    expect(
        "http://me:secret@host:1",
        None,
        "cannot use 'http://…@host:1' as the address of a server: it has the form redis://host:port, for TLS rediss://host:port",
    );
}
