//! The suites under tests/clients/, each against a server of its own with 1 and 4 shards: redis-py and the Node clients, and the
//! frameworks on them and on Ruby's client, as their users write them. Those used most run again over TLS and as users with few
//! rights (`clients/door.rs`, `clients/users.rs`).
//!
//! A missing interpreter or package fails the test and says what to run; nothing is skipped.
#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "the tests of TLS use the rest")]
#[path = "tls/authority.rs"]
mod authority;
#[allow(dead_code, reason = "the tests of TLS use the rest")]
#[path = "tls/client.rs"]
mod client;
#[path = "clients/door.rs"]
mod door;
mod support;
#[path = "clients/users.rs"]
mod users;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use door::{Door, as_user, over_tls};
use support::for_each_shard_count;
use users::User;

/// How long a suite may run; each takes at most twenty seconds.
const SUITE_TIMEOUT: Duration = Duration::from_secs(240);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The interpreter with the pinned packages, as scripts/test.sh makes it.
fn python(environment: &str, imports: &str) -> PathBuf {
    let path = root().join(environment).join("bin/python");
    let ready = Command::new(&path)
        .args(["-c", &format!("import {imports}")])
        .stderr(Stdio::null())
        .status();
    assert!(
        ready.is_ok_and(|status| status.success()),
        "{} with {imports} is missing: run scripts/test.sh",
        path.display()
    );
    path
}

fn node_packages() -> PathBuf {
    let directory = root().join("tests/clients");
    let check = "for (const name of ['ioredis', 'redis', 'connect-redis', 'bullmq', 'bull', 'redlock']) require.resolve(name)";
    let ready = Command::new("node")
        .args(["-e", check])
        .current_dir(&directory)
        .stderr(Stdio::null())
        .status();
    assert!(
        ready.is_ok_and(|status| status.success()),
        "node with the packages of tests/clients/package.json is missing: run scripts/test.sh"
    );
    directory
}

/// Runs a suite against a server; on failure shows what it printed.
fn run_suite(door: &Door, command: &mut Command) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let file = output.reopen().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SUITE_TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let printed = std::fs::read_to_string(output.path()).unwrap();
    match status {
        None => panic!(
            "{} against {} did not end:\n{printed}",
            suite_name(command),
            door.name
        ),
        Some(status) => assert!(
            status.success(),
            "{} against {} ({status}):\n{printed}",
            suite_name(command),
            door.name
        ),
    }
    assert!(
        ran_tests(&printed),
        "{} ran no tests:\n{printed}",
        suite_name(command)
    );
}

fn suite_name(command: &Command) -> String {
    command
        .get_args()
        .last()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether the runner reports at least one test: a suite that finds none must not count as passed.
fn ran_tests(printed: &str) -> bool {
    let counted = |line: &str| {
        let count = line
            .strip_prefix("Ran ")
            .or_else(|| line.strip_prefix("# tests "))
            .or_else(|| line.contains(" runs, ").then_some(line))?;
        count.split_whitespace().next()?.parse::<u32>().ok()
    };
    printed.lines().filter_map(counted).any(|count| count > 0)
}

fn python_suite(door: &Door, (environment, imports): (&str, &str), file: &str) {
    let mut command = Command::new(python(environment, imports));
    door.tell(&mut command);
    run_suite(
        door,
        command
            .current_dir(root().join("tests/clients/python"))
            .args(["-B", file]),
    );
}

const CLIENTS: (&str, &str) = (
    ".venv",
    "redis, celery, channels_redis, dramatiq, huey, rq, taskiq_redis",
);
const ARQ: (&str, &str) = (".venv-arq", "arq");

fn node_suite(door: &Door, file: &str) {
    let arguments = ["--test", "--test-reporter=tap", file];
    let mut command = Command::new("node");
    door.tell_node(&mut command);
    run_suite(door, command.current_dir(node_packages()).args(arguments));
}

fn ruby_suite(door: &Door, file: &str) {
    let ready = Command::new("ruby")
        .args(["-e", "require 'sidekiq'; require 'minitest'"])
        .stderr(Stdio::null())
        .status();
    assert!(
        ready.is_ok_and(|status| status.success()),
        "ruby with sidekiq and minitest is missing: run scripts/test.sh"
    );
    let mut command = Command::new("ruby");
    door.tell(&mut command);
    run_suite(
        door,
        command
            .current_dir(root().join("tests/clients/ruby"))
            .arg(file),
    );
}

/// By the plain port, with each number of shards.
fn for_each_server(test: impl Fn(&Door)) {
    for_each_shard_count(|server| test(&Door::plain(server)));
}

#[test]
fn redis_py_synchronous() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_sync.py"));
}

#[test]
fn redis_py_asyncio() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_asyncio.py"));
}

#[test]
fn redis_py_locks_scripts_and_functions() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_scripts.py"));
}

#[test]
fn rq() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_rq.py"));
}

#[test]
fn huey() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_huey.py"));
}

#[test]
fn dramatiq() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_dramatiq.py"));
}

#[test]
fn celery() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_celery.py"));
}

#[test]
fn taskiq_and_channels() {
    for_each_server(|door| python_suite(door, CLIENTS, "test_frameworks.py"));
}

#[test]
fn arq() {
    for_each_server(|door| python_suite(door, ARQ, "test_arq.py"));
}

#[test]
fn keyv_and_connect_redis() {
    for_each_server(|door| node_suite(door, "node/frameworks.test.mjs"));
}

#[test]
fn ioredis() {
    for_each_server(|door| node_suite(door, "node/ioredis.test.js"));
}

#[test]
fn node_redis() {
    for_each_server(|door| node_suite(door, "node/node-redis.test.js"));
}

#[test]
fn scripts_and_functions_of_the_node_clients() {
    for_each_server(|door| node_suite(door, "node/scripts.test.js"));
}

#[test]
fn bullmq() {
    for_each_server(|door| node_suite(door, "node/bullmq.test.mjs"));
}

#[test]
fn bull() {
    for_each_server(|door| node_suite(door, "node/bull.test.js"));
}

#[test]
fn redlock() {
    for_each_server(|door| node_suite(door, "node/redlock.test.js"));
}

#[test]
fn sidekiq() {
    for_each_server(|door| ruby_suite(door, "sidekiq_test.rb"));
}

fn redis_py(door: &Door) {
    python_suite(door, CLIENTS, "test_sync.py");
    python_suite(door, CLIENTS, "test_asyncio.py");
}

fn node_clients(door: &Door) {
    node_suite(door, "node/ioredis.test.js");
    node_suite(door, "node/node-redis.test.js");
}

#[test]
fn redis_py_over_tls() {
    over_tls(redis_py);
}

#[test]
fn the_node_clients_over_tls() {
    over_tls(node_clients);
}

// The job queues go over TLS as the users of the README.

#[test]
fn redis_py_as_a_user_with_few_rights() {
    as_user(User::of_clients(), redis_py);
}

#[test]
fn the_node_clients_as_a_user_with_few_rights() {
    as_user(User::of_clients(), node_clients);
}

#[test]
fn rq_as_the_user_of_the_readme() {
    let jobs = "(~called ~horse ~runs ~seen ~tries +incrby +rpush +set)";
    let user = User::of_readme("rq").and(&[jobs]);
    let denied = as_user(user, |door| python_suite(door, CLIENTS, "test_rq.py"));
    assert_eq!(denied, Vec::<String>::new());
}

#[test]
fn celery_as_the_user_of_the_readme() {
    let queues = ["~lost*", "~not-acknowledged*", "~stopping*"];
    let jobs = "(~child ~notes ~worker +rpush +set)";
    let user = User::of_readme("celery").and(&queues).and(&[jobs]);
    let denied = as_user(user, |door| {
        python_suite(door, CLIENTS, "test_celery.py");
    });
    assert_eq!(denied, Vec::<String>::new());
}

#[test]
fn bullmq_as_the_user_of_the_readme() {
    // As the README says, for two calls.
    let user = User::of_readme("bullmq").and(&["+client|list", "+scan"]);
    let denied = as_user(user, |door| node_suite(door, "node/bullmq.test.mjs"));
    assert_eq!(denied, Vec::<String>::new());
}

#[test]
fn a_suite_without_tests_does_not_count_as_passed() {
    assert!(ran_tests("Ran 74 tests in 1.5s\n\nOK\n"));
    assert!(ran_tests("1..17\n# tests 17\n# pass 17\n"));
    assert!(ran_tests(
        "6 runs, 14 assertions, 0 failures, 0 errors, 0 skips\n"
    ));
    assert!(!ran_tests("Ran 0 tests in 0.0s\n"));
    assert!(!ran_tests("1..0\n# tests 0\n"));
    assert!(!ran_tests(
        "0 runs, 0 assertions, 0 failures, 0 errors, 0 skips\n"
    ));
    assert!(!ran_tests(""));
}
