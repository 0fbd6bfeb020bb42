//! Command lines as redis-server takes them: for each, CONFIG GET must answer what redis-server answers.
//!
//! The oracle is the machine's redis-server (7.0). Compared are all parameters that both know; the closed
//! list `NOT_COMPARED` names those that may differ, each with its reason. Where the oracle is missing the
//! test fails: scripts/test.sh installs it.
//! The second half starts the binary itself: what must stop the start, with one clear line and exit code 1.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
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
        let words = words(line, directory.path(), port);
        let theirs = ask_oracle(&words, directory.path(), port);
        let ours = ours(&words, directory.path());
        for (name, value) in &theirs {
            if NOT_COMPARED.contains(&name.as_str()) {
                continue;
            }
            match ours.get(name) {
                Some(own) if own == value => {}
                // Started elsewhere, the directory is the test's own unless given.
                Some(_) if name == "dir" && !line.contains("--dir") => {}
                other => differences.push(format!("{line}\n  {name}: {value:?}, ours {other:?}")),
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What this server answers: by the loader itself.
fn ours(words: &[String], _directory: &Path) -> Answers {
    let configuration = Configuration::load(words, &mut STDIN.as_bytes()).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    configuration
        .get(&["*"])
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// What redis-server answers, asked through its unix socket or port.
fn ask_oracle(words: &[String], directory: &Path, port: u16) -> Answers {
    let server = Server::start(
        Command::new("redis-server")
            .args(words)
            .current_dir(directory),
    );
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
fn words(line: &str, directory: &Path, port: u16) -> Vec<String> {
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
