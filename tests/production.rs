//! Running for others: systemd, the log of a failed start, what scripts/install.sh installs, the container's entry point.

#![allow(clippy::unwrap_used, reason = "tests")]

mod peer;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peer::{MILLRACE, millrace, run, until};

fn free_port() -> String {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port().to_string()
}

/// A process that is killed when its test ends.
struct Running(Child);

impl Running {
    fn terminate(&mut self) -> Option<i32> {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn started(command: &mut Command) -> Running {
    Running(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

/// Whether the server on this port answers. That it accepts is too little: while another test starts a process, that process holds
/// the socket of a `free_port` for a moment.
fn answers(port: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(format!("127.0.0.1:{port}")) else {
        return false;
    };
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && [*b"+PONG", *b"-NOAU"].contains(&answer)
}

fn served(port: &str, command: &mut Command) -> Running {
    let mut running = started(command);
    until("it serves", || {
        assert_eq!(running.0.try_wait().unwrap(), None, "it ended");
        answers(port)
    });
    running
}

#[test]
fn systemd_is_told_when_the_server_serves_and_when_it_ends() {
    for supervised in ["systemd", "auto"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let receive = || {
            let mut message = [0; 1000];
            let length = socket.recv(&mut message).unwrap();
            String::from_utf8_lossy(&message[..length]).into_owned()
        };
        let port = free_port();
        let words = ["--port", &port, "--bind", "127.0.0.1", "--daemonize", "yes"];
        let mut command = millrace(&words);
        command
            .args(["--supervised", supervised])
            .env("NOTIFY_SOCKET", &path);
        let mut server = started(command.current_dir(directory.path()));
        let ready = receive();
        assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
        // It listens by then, and it did not detach: systemd watches this process.
        TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        assert_eq!(server.terminate(), Some(0));
        let end = receive();
        assert!(end.lines().any(|line| line == "STOPPING=1"), "{end}");
    }
}

#[test]
fn the_watchdog_hears_of_a_server_until_one_of_its_threads_stands_still() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let patience = Some(Duration::from_secs(60));
    socket.set_read_timeout(patience).unwrap();
    let hears_of_life = || {
        let mut message = [0; 1000];
        let length = socket.recv(&mut message).unwrap();
        &message[..length] == b"WATCHDOG=1\n"
    };
    let port = free_port();
    let words = ["--port", &port, "--bind", "127.0.0.1", "--shards", "2"];
    let mut command = millrace(&words);
    command
        .args(["--supervised", "systemd", "--enable-debug-command", "yes"])
        .args(["--logfile", "log"])
        .current_dir(directory.path())
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "800000");
    let _server = served(&port, &mut command);
    // Also when nobody asks it for anything.
    until("it tells that it is alive", hears_of_life);
    until("and again", hears_of_life);
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.write_all(b"DEBUG SLEEP 1000\r\n").unwrap();
    let log = directory.path().join("log");
    until("the log tells who stands still", || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("The thread of shard ") && log.contains(" has stood still for 200ms: ")
    });
    // It told five times a second.
    let pause = Some(Duration::from_secs(2));
    socket.set_read_timeout(pause).unwrap();
    until("it tells no more", || socket.recv(&mut [0; 1000]).is_err());
}

#[test]
fn a_server_that_nobody_supervises_sends_no_notice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let port = free_port();
    // Nothing is to be saved where the test runs.
    let words = ["--port", &port, "--bind", "127.0.0.1", "--save", ""];
    let mut command = millrace(&words);
    let mut server = served(&port, command.env("NOTIFY_SOCKET", &path));
    assert_eq!(server.terminate(), Some(0));
    // It has ended: what it sent would be here.
    let error = socket.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_server_that_is_told_to_end_as_soon_as_it_can_be_reached_ends_well() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let mut command = millrace(&["--port", "0", "--shards", "16", "--save", ""]);
        let mut server = started(command.arg("--unixsocket").arg(&socket));
        while UnixStream::connect(&socket).is_err() {
            assert_eq!(server.0.try_wait().unwrap(), None, "it ended");
        }
        assert_eq!(server.terminate(), Some(0));
    }
}

#[test]
fn the_log_file_has_the_reason_of_a_failed_start() {
    let directory = tempfile::tempdir().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().port().to_string();
    let conf = "bind 127.0.0.1\nlogfile from-file.log\nport nought\n";
    std::fs::write(directory.path().join("bad.conf"), conf).unwrap();
    let listen = ["--logfile", "log", "--bind", "127.0.0.1", "--port", &taken];
    let in_background = [&listen[..], &["--daemonize", "yes"]].concat();
    for (words, log, reason) in [
        (&listen[..], "log", "Address already in use"),
        (&in_background, "log", "Address already in use"),
        (
            &[
                "--logfile",
                "socket.log",
                "--port",
                "0",
                "--unixsocket",
                "/nonexistent/s",
            ],
            "socket.log",
            "unix socket /nonexistent/s",
        ),
        (
            &["bad.conf"],
            "from-file.log",
            "bad.conf, line 3: 'port nought'",
        ),
        (
            &["--logfile", "unsafe.log", "--tls-port", "1"],
            "unsafe.log",
            "TLS",
        ),
    ] {
        let path = directory.path().join(log);
        let _ = std::fs::remove_file(&path);
        let mut command = millrace(words);
        command.current_dir(directory.path());
        let ended = run(command);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(reason), "{ended:?}");
        let text = std::fs::read_to_string(&path).unwrap();
        let last = text.lines().last().unwrap();
        assert!(
            last.contains(" # Exiting: ") && last.contains(reason),
            "{text}"
        );
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The value of a setting in a unit file.
fn setting(unit: &str, name: &str) -> Option<String> {
    unit.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}

#[test]
fn what_is_installed_starts() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let install = || {
        let script = repository().join("scripts/install.sh");
        let output = Command::new(script)
            .env("DESTDIR", root)
            .env("MILLRACE", MILLRACE)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    install();
    let conf = root.join("etc/millrace/millrace.conf");
    assert_eq!(conf.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    // An upgrade leaves the settings alone.
    let own = std::fs::read_to_string(&conf).unwrap() + "timeout 77\n";
    std::fs::write(&conf, &own).unwrap();
    install();
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), own);
    let unit = std::fs::read_to_string(root.join("etc/systemd/system/millrace.service")).unwrap();
    assert_eq!(setting(&unit, "Type").as_deref(), Some("notify"));
    let line = setting(&unit, "ExecStart").unwrap();
    assert!(line.contains("--supervised systemd"), "{line}");
    // The words of the unit, under this root and on a free port.
    let port = free_port();
    let under_root = |word: &str| match word.strip_prefix('/') {
        Some(rest) => root.join(rest).display().to_string(),
        None => word.to_owned(),
    };
    let words: Vec<String> = line.split(' ').map(under_root).collect();
    // The directory of the configuration is made by systemd.
    let adapted = own.replace("/var/lib/millrace", &root.display().to_string());
    std::fs::write(&conf, adapted).unwrap();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["--port", &port]);
    let mut server = served(&port, &mut command);
    assert_eq!(server.terminate(), Some(0));
    let wrong = Command::new(repository().join("scripts/install.sh"))
        .args(["--prefix", "/nowhere"])
        .output()
        .unwrap();
    assert!(!wrong.status.success(), "{wrong:?}");
    for page in ["man/man1/millrace.1", "man/man1/millrace-reclaim.1"] {
        assert!(root.join("usr/local/share").join(page).is_file(), "{page}");
    }
}

#[test]
fn the_timer_starts_a_pass_with_the_settings_beside_it() {
    let read =
        |name: &str| std::fs::read_to_string(repository().join("scripts").join(name)).unwrap();
    let server = peer::Server::start(&peer::Kind::Millrace(1), &[]);
    let environment = read("reclaim.env");
    let options = setting(&environment, "RECLAIM_OPTIONS").unwrap();
    let line = setting(&read("millrace-reclaim.service"), "ExecStart").unwrap();
    let line = line.replace("$RECLAIM_OPTIONS", &options);
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/millrace"));
    let mut command = millrace(&words.collect::<Vec<_>>());
    command.env("MILLRACE_URL", server.url());
    let ended = run(command);
    // No stream yet: nothing to say.
    assert_eq!(
        (ended.code, ended.stdout, ended.stderr),
        (0, String::new(), String::new())
    );
}

/// The words of an instruction of the Dockerfile in its JSON form, from the last line that has it.
fn instruction(name: &str) -> Vec<String> {
    let dockerfile = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let line = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .next_back();
    let json = line.and_then(|line| line.find('[').map(|from| &line[from..]));
    serde_json::from_str(json.unwrap()).unwrap()
}

/// What a container engine runs with these words after the image's name.
fn container(words: &[&str]) -> Vec<String> {
    let mut all = instruction("ENTRYPOINT ");
    assert_eq!(all, ["millrace"]);
    if words.is_empty() {
        all.extend(instruction("CMD "));
    } else {
        all.extend(words.iter().map(|word| (*word).to_owned()));
    }
    all.split_off(1)
}

/// The words after the image's name in the README's compose file.
fn composed(password: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let line = page
        .lines()
        .find_map(|line| line.trim().strip_prefix("command: "));
    let words: Vec<String> = serde_json::from_str(line.unwrap()).unwrap();
    let variable = "${MILLRACE_PASSWORD:?";
    assert!(
        words.iter().any(|word| word.starts_with(variable)),
        "{words:?}"
    );
    words
        .into_iter()
        .map(|word| match word.starts_with(variable) {
            true => password.to_owned(),
            false => word,
        })
        .collect()
}

#[test]
fn the_container_takes_options_after_the_name_of_the_image() {
    let composed = composed("secret");
    let composed: Vec<&str> = composed.iter().map(String::as_str).collect();
    for (words, password) in [
        (&[][..], None),
        (&["--requirepass", "secret"], Some("secret")),
        (&composed, Some("secret")),
    ] {
        let port = free_port();
        let words = container(words);
        let directory = tempfile::tempdir().unwrap();
        let mut command = millrace(&[]);
        command
            .args(&words)
            .args(["--port", &port, "--bind", "127.0.0.1", "--dir"])
            .arg(directory.path());
        let _server = served(&port, &mut command);
        let health = instruction("HEALTHCHECK ");
        assert_eq!(health[0], "millrace");
        let check = |password: Option<&str>| {
            let health: Vec<&str> = health[1..].iter().map(String::as_str).collect();
            let mut command = millrace(&health);
            command.env("MILLRACE_URL", format!("redis://127.0.0.1:{port}"));
            if let Some(password) = password {
                command.env("MILLRACE_PASSWORD", password);
            }
            run(command).code
        };
        assert_eq!(check(password), 0);
        assert_eq!(check(None), i32::from(password.is_some()));
    }
    let version = container(&["--version"]);
    let version: Vec<&str> = version.iter().map(String::as_str).collect();
    assert!(run(millrace(&version)).stdout.starts_with("millrace "));
}
