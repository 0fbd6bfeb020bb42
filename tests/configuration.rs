//! Command lines as redis-server takes them: for each, CONFIG GET must answer what redis-server answers.
//!
//! The oracle is the machine's redis-server (7.0). Compared are all parameters that both know; the closed
//! list `NOT_COMPARED` names those that may differ, each with its reason. Where the oracle is missing the
//! test fails: scripts/test.sh installs it.
//! The second half starts the binary itself: what must stop the start, with one clear line and exit code 1.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millrace::config::Configuration;

type Answers = BTreeMap<String, String>;

/// Parameters that may differ from redis-server 7.0.
const NOT_COMPARED: &[&str] = &[
    // 7.2 hides it, 7.0 shows it.
    "aof-disable-auto-gc",
];

/// Command lines, `{dir}` being a fresh directory with `a.conf`, `b.conf` and `d/*.conf`; words split at
/// blanks as a shell would with the same quotes. The port is given by the test where `{port}` stands.
const COMMAND_LINES: [&str; 32] = [
    "--port {port}",
    "--port {port} --loglevel debug",
    "{dir}/a.conf --port {port}",
    "{dir}/a.conf --port {port} --timeout 7 --hz 50",
    "{dir}/b.conf --port {port}",
    "- --port {port}",
    "--port {port} --hz 30 -",
    "--port {port} --save ''",
    "--port {port} --save",
    "--port {port} --save --hz 20",
    "--port {port} --save 900 1 300 10",
    "--port {port} --save '900 1' --save '60 1000'",
    "--port {port} --client-output-buffer-limit normal 0 0 0",
    "--port {port} --client-output-buffer-limit 'pubsub 64mb 16mb 90' --client-output-buffer-limit replica 1g 500m 10",
    "--port {port} --notify-keyspace-events KEA",
    "--port {port} --notify-keyspace-events Kgt$l",
    "--port {port} --bind 127.0.0.1 -::1",
    "--port {port} --bind '127.0.0.1 -::1' --protected-mode no",
    "--port {port} --requirepass 's3 cret\"x'",
    "--port {port} --requirepass --dashed",
    "'--port {port}' '--maxclients 100'",
    "--port {port} --MAXCLIENTS 128 --LogLevel Warning",
    "--port {port} --proto-max-bulk-len 64mb --client-query-buffer-limit 2GB --list-max-ziplist-size -1",
    "--port {port} --slave-priority 50 --slaveof no one --min-slaves-max-lag 3",
    "--port {port} --unixsocket {dir}/s.sock --unixsocketperm 770",
    "--port {port} --latency-tracking-info-percentiles 50 90.5 99.99 --latency-monitor-threshold 25",
    "--port {port} --latency-tracking-info-percentiles '' --slowlog-log-slower-than -1 --slowlog-max-len 0",
    "--port {port} --hz 9999 --maxmemory-clients 5% --maxmemory-policy allkeys-lru",
    "--port {port} --shutdown-on-sigterm now force --oom-score-adj-values 1 2 3 --oom-score-adj relative",
    "--port {port} --dir {dir}/d --dbfilename x.rdb --appendfilename y.aof --supervised auto",
    "--port {port} --stream-node-max-bytes 8kb --stream-node-max-entries 0 --list-compress-depth 2 --lazyfree-lazy-user-del yes",
    "--port {port} --logfile {dir}/log --tcp-keepalive 0 --tcp-backlog 64 --databases 3 --enable-debug-command local --pidfile ''",
];

const STDIN: &str = "timeout 33\n# a comment\nmaxmemory-samples 7\n";

#[test]
fn config_get_answers_as_redis_server_for_thirty_command_lines() {
    let mut differences = Vec::new();
    for line in COMMAND_LINES {
        let directory = directory();
        let port = free_port();
        let words = words_for(line, directory.path(), port);
        let theirs = ask("redis-server", &words, directory.path(), port);
        assert!(theirs.len() > 150, "{line}: {} answers", theirs.len());
        // Another port, so that nothing waits for the first server's to be free again.
        let other_port = free_port();
        let ours = ours(
            &words_for(line, directory.path(), other_port),
            directory.path(),
            other_port,
        );
        for (name, value) in &theirs {
            if NOT_COMPARED.contains(&name.as_str()) {
                continue;
            }
            match ours.get(name) {
                Some(own) if own == value => {}
                Some(_) if name == "port" => {}
                // Started elsewhere, the directory is the test's own unless given.
                Some(_) if name == "dir" && !line.contains("--dir") => {}
                other => differences.push(format!("{line}\n  {name}: {value:?}, ours {other:?}")),
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Whether the binary serves CONFIG GET: then it is asked, else the loader that it uses.
const SERVER_ANSWERS: bool = true;

/// What this server answers.
fn ours(words: &[String], directory: &Path, port: u16) -> Answers {
    if SERVER_ANSWERS {
        return ask(env!("CARGO_BIN_EXE_millrace"), words, directory, port);
    }
    let configuration = Configuration::load(words, &mut STDIN.as_bytes()).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    configuration
        .get(&["*"])
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// What a server started with these words answers to `CONFIG GET *`.
fn ask(program: &str, words: &[String], directory: &Path, port: u16) -> Answers {
    let server = Server::start(Command::new(program).args(words).current_dir(directory));
    let mut stream = server.connect(port);
    if let Some(at) = words.iter().position(|word| word == "--requirepass") {
        request(&mut stream, &["AUTH", &words[at + 1]]);
        assert_eq!(read_line(&mut BufReader::new(&stream)), "+OK");
    }
    config_get_all(&mut stream)
}

fn config_get_all(stream: &mut TcpStream) -> Answers {
    request(stream, &["CONFIG", "GET", "*"]);
    let mut reader = BufReader::new(stream);
    let header = read_line(&mut reader);
    let count: usize = header[1..].parse().unwrap();
    let mut bulk = || {
        let length: usize = read_line(&mut reader)[1..].parse().unwrap();
        let mut bytes = vec![0; length + 2];
        reader.read_exact(&mut bytes).unwrap();
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap()
    };
    (0..count / 2).map(|_| (bulk(), bulk())).collect()
}

fn request(stream: &mut TcpStream, words: &[&str]) {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(text.as_bytes()).unwrap();
}

fn read_line(reader: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A directory with configuration files in it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let text = text.replace("{dir}", &directory.path().display().to_string());
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    std::fs::create_dir(directory.path().join("d")).unwrap();
    write(
        "a.conf",
        "# first\nmaxclients 77\n  timeout 5  \nsave 100 2\nsave 200 3\nnotify-keyspace-events \"\"\n",
    );
    write(
        "b.conf",
        "hz 11\ninclude {dir}/a.conf\ninclude {dir}/d/*.conf\ninclude {dir}/none/*.conf\n",
    );
    write(
        "d/1.conf",
        "timeout 61\nproc-title-template \"{title} \\x41\"\n",
    );
    write("d/2.conf", "maxclients 62\nlua-replicate-commands yes\n");
    directory
}

/// Splits as a shell does, for the quotes used here.
fn words_for(line: &str, directory: &Path, port: u16) -> Vec<String> {
    let line = line
        .replace("{dir}", &directory.display().to_string())
        .replace("{port}", &port.to_string());
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for character in line.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A running server, killed when dropped.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Server {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        // Fails when the server does not read it and is gone already: then connecting tells.
        let _ = child.stdin.take().unwrap().write_all(STDIN.as_bytes());
        Server(child)
    }

    fn connect(&self, port: u16) -> TcpStream {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "no server on {port}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the binary to its end; exit code, standard output, standard error.
fn outcome(words: &[&str], directory: &Path) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(words)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_start_that_fails_says_why_in_one_line_and_ends_with_1() {
    let directory = directory();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().port().to_string();
    std::fs::write(directory.path().join("bad.conf"), "port 0\n\nport seven\n").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (
            &["--port", &taken, "--bind", "127.0.0.1"],
            "Address already in use",
        ),
        (
            &[
                "--port",
                &taken,
                "--bind",
                "127.0.0.1",
                "--daemonize",
                "yes",
            ],
            "Address already in use",
        ),
        (
            &["--dir", "/nonexistent"],
            "'dir \"/nonexistent\"': No such file or directory",
        ),
        (
            &["--port", "0", "--logfile", "/nonexistent/log"],
            "cannot open log file /nonexistent/log",
        ),
        (
            &["--port", "seven"],
            "'port \"seven\"': argument couldn't be parsed into an integer",
        ),
        (
            &["--foo", "bar"],
            "'foo \"bar\"': Bad directive or wrong number of arguments",
        ),
        (
            &["bad.conf"],
            "bad.conf, line 3: 'port seven': argument couldn't be parsed into an integer",
        ),
        (
            &["none.conf"],
            "none.conf: cannot be read: No such file or directory",
        ),
        (
            &["--port", "0", "--unixsocket", "/nonexistent/s"],
            "unix socket /nonexistent/s",
        ),
        (
            &["--colocate", "bull:*:", "queues:*"],
            "put words with blanks between them in quotes: colocate \"bull:*: queues:*\"",
        ),
        (&["--colocate", "{bull}:*:"], "without them"),
        (&["--tls-port", "1"], "TLS"),
        (&["--tls-cluster", "yes"], "set it to no"),
        (&["--aclfile", "users.acl"], "it may be empty"),
        (&["--user", "bob", "foo"], "Syntax error"),
        (&["--rename-command", "NOSUCH", "x"], "No such command"),
        (&["--loadmodule", "x.so"], "modules"),
        (&["--replicaof", "host", "1"], "remove replicaof"),
        (&["--cluster-enabled", "yes"], "cluster-enabled no"),
    ];
    for (words, part) in cases {
        let (code, _, error) = outcome(words, directory.path());
        assert_eq!(code, Some(1), "{words:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{words:?}: {error}");
        assert!(
            error.starts_with("millrace: ") && error.contains(part),
            "{words:?}: {error}"
        );
    }
}

#[test]
fn a_detached_server_leaves_a_pidfile_and_a_log_and_ends_on_sigterm() {
    let directory = directory();
    let port = free_port().to_string();
    let words = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--daemonize",
        "yes",
        "--pidfile",
        "pid",
        "--logfile",
        "log",
        "--appendonly",
        "yes",
        "--save",
        "",
        "--io-threads",
        "2",
    ];
    let (code, _, error) = outcome(&words, directory.path());
    assert_eq!((code, error.as_str()), (Some(0), ""));
    // It serves when its parent has ended.
    TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let pidfile = directory.path().join("pid");
    let pid = std::fs::read_to_string(&pidfile).unwrap();
    assert!(
        Command::new("kill")
            .args(["-TERM", pid.trim()])
            .status()
            .unwrap()
            .success()
    );
    let deadline = Instant::now() + Duration::from_secs(10);
    let log = || std::fs::read_to_string(directory.path().join("log")).unwrap();
    while !log().contains("bye bye") {
        assert!(Instant::now() < deadline, "{}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!pidfile.exists());
    assert!(
        log().contains("* Accepted but without effect here: io-threads"),
        "{}",
        log()
    );
}

#[test]
fn an_empty_file_makes_room_for_the_unix_socket_and_no_other_file_does() {
    let directory = directory();
    let path = directory.path().join("socket");
    let text = path.to_str().unwrap();
    let words = ["--port", "0", "--unixsocket", text];
    for program in ["redis-server", env!("CARGO_BIN_EXE_millrace")] {
        // What the killed server before left is a socket, which an empty file replaces here.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, "").unwrap();
        let mut command = Command::new(program);
        let server = Server::start(command.args(words).current_dir(directory.path()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = std::os::unix::net::UnixStream::connect(&path) {
            assert!(Instant::now() < deadline, "{program}: {error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(server);
    }
    std::fs::remove_file(&path).unwrap();
    let expected = format!("cannot listen on unix socket {text}: it exists and is no socket");
    let expect_refusal = |what: &str| {
        let (code, _, error) = outcome(&words, directory.path());
        assert_eq!(code, Some(1), "{what}: {error}");
        assert!(error.contains(&expected), "{what}: {error}");
    };
    std::fs::write(&path, "precious").unwrap();
    expect_refusal("a file with something in it");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    expect_refusal("a directory");
    assert!(path.is_dir());
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    expect_refusal("a symbolic link");
}

#[test]
fn a_server_that_would_listen_nowhere_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, error) = outcome(&["--port", "0"], directory.path());
    let expected = "configured to not listen anywhere: set --port, --tls-port or --unixsocket";
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains(expected), "{error}");
}
