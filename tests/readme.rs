//! The README's examples: every block of commands or code runs as written, in the order of the page, against one fresh server,
//! and prints what the page says.
//!
//! - `sh`, `python`, `js`: run. A block in `text` behind one is what it prints; `…` in it stands for anything.
//! - `crontab`: the command of each line runs and prints nothing.
//! - `yaml`: files of other programs; not run.
//! - A comment `<!-- not run: why -->` before a block leaves it out; there are few, and each is in the list below.
//!
//! What is replaced: the ports (a test may not take 6379), `/tmp/`, and programs that are not installed here: a folder in PATH has
//! `millrace` and `redis-cli`, Python and Node are those with the packages of scripts/test.sh.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::Server;

/// Why blocks are left out, with how many.
const LEFT_OUT: &[(&str, usize)] = &[
    ("it serves until it is stopped", 2),
    ("it runs this test", 1),
    ("it installs on this machine and needs systemd", 2),
    ("it needs a container engine", 1),
    ("it needs the directory of a stopped server", 1),
    ("it needs a copy of a log", 1),
    ("it needs systemd", 1),
    ("it needs a second server with data", 1),
];

/// A fenced block of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    language: String,
    text: String,
    line: usize,
    left_out: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of a page in its order.
fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut reason: Option<String> = None;
    for (index, line) in page.lines().enumerate() {
        if let Some(mut block) = open.take() {
            if line == "```" {
                found.push(block);
            } else {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some(Block {
                language: language.to_owned(),
                text: String::new(),
                line: index + 1,
                left_out: reason.take(),
            });
        } else {
            let comment = line.strip_prefix("<!-- not run: ");
            reason = comment
                .and_then(|rest| rest.strip_suffix(" -->"))
                .map(str::to_owned);
        }
    }
    assert_eq!(open, None, "a block is not closed");
    found
}

/// Whether `printed` is `expected`, in which `…` stands for anything.
fn fits(expected: &str, printed: &str) -> bool {
    let mut rest = printed;
    let mut parts = expected.split('…').peekable();
    let Some(mut rest_after) = parts.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    while let Some(part) = parts.next() {
        rest = rest_after;
        // The last part must be the end.
        let at = if parts.peek().is_none() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match at {
            Some(at) => rest_after = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest_after.is_empty()
}

/// Where the blocks run.
struct Place {
    directory: tempfile::TempDir,
    ports: [(&'static str, String); 3],
}

fn free_port() -> String {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    probe.local_addr().unwrap().port().to_string()
}

fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{program} is missing: run scripts/test.sh"))
}

impl Place {
    fn new(server: &Server) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let port = server.port().to_string();
        let put = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        let cli = found("redis-cli");
        // As on a terminal, which is what the page shows.
        let cli = cli.display();
        put(
            "redis-cli",
            format!("#!/bin/sh\nexec {cli} --no-raw -p {port} \"$@\"\n"),
        );
        let program = env!("CARGO_BIN_EXE_millrace");
        // A server saves in its directory when it ends, which is not to be that of the sources.
        let home = directory.path().display();
        put(
            "millrace",
            format!(
                "#!/bin/sh\ncase \"$1\" in\n--help|-h|--version|-v) exec {program} \"$@\" ;;\n\
                 ''|-*|*.conf|server) exec {program} \"$@\" --dir {home} ;;\nesac\nexec {program} \"$@\"\n"
            ),
        );
        Place {
            directory,
            ports: [("6379", port), ("6380", free_port()), ("9121", free_port())],
        }
    }

    fn adapted(&self, text: &str) -> String {
        let temporary = format!("{}/", self.directory.path().display());
        let mut text = text
            .replace("/tmp/", &temporary)
            .replace("/usr/local/bin/millrace", "millrace");
        for (written, port) in &self.ports {
            text = text.replace(written, port);
        }
        text
    }

    /// Runs a block; what it printed.
    fn run(&self, block: &Block) -> String {
        let text = self.adapted(&block.text);
        let (program, words, folder) = match block.language.as_str() {
            "sh" => (
                found("bash"),
                vec!["-ec".to_owned(), text],
                root().to_owned(),
            ),
            "crontab" => {
                let command: Vec<&str> = text.trim().split(' ').skip(5).collect();
                (
                    found("sh"),
                    vec!["-c".to_owned(), command.join(" ")],
                    root().to_owned(),
                )
            }
            "python" => {
                let python = std::env::var_os("MILLRACE_PYTHON")
                    .map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
                (
                    python,
                    vec!["-c".to_owned(), text],
                    self.directory.path().to_owned(),
                )
            }
            "js" => {
                let words = vec!["--input-type=module".to_owned(), "--eval".to_owned(), text];
                (found("node"), words, root().join("tests/clients"))
            }
            other => panic!("line {}: how to run a block in '{other}'?", block.line),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.directory.path().display());
        let output = Command::new(&program)
            .args(words)
            .current_dir(folder)
            .env("PATH", path)
            .env("MILLRACE", env!("CARGO_BIN_EXE_millrace"))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (printed, complaints) = (text(output.stdout), text(output.stderr));
        assert!(
            output.status.success() && complaints.is_empty(),
            "README.md, line {}: {}\n{printed}{complaints}",
            block.line,
            output.status
        );
        printed
    }
}

fn page() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

#[test]
fn the_examples_of_the_readme_run_and_print_what_it_says() {
    let server = Server::millrace_with(1, &[]);
    let place = Place::new(&server);
    let blocks = blocks(&page());
    let mut run_count = 0;
    for (index, block) in blocks.iter().enumerate() {
        if block.left_out.is_some() || matches!(block.language.as_str(), "text" | "yaml" | "") {
            continue;
        }
        let printed = place.run(block);
        run_count += 1;
        let next = blocks.get(index + 1).filter(|next| next.language == "text");
        let expected = match (next, block.language.as_str()) {
            (Some(next), _) => place.adapted(&next.text),
            (None, "crontab") => String::new(),
            (None, _) => continue,
        };
        assert!(
            fits(&expected, &printed),
            "README.md, line {} prints\n{printed}and the page says\n{expected}",
            block.line
        );
    }
    assert!(run_count >= 8, "only {run_count} blocks ran");
}

#[test]
fn redis_cli_reports_no_error_in_an_example() {
    // redis-cli prints an error and ends with 0, so a block without an expected output could hide one.
    let server = Server::millrace_with(1, &[]);
    let place = Place::new(&server);
    for block in blocks(&page())
        .iter()
        .filter(|block| block.left_out.is_none())
    {
        if block.language == "sh" && block.text.contains("redis-cli") {
            let printed = place.run(block);
            assert!(
                !printed.contains("(error)"),
                "line {}: {printed}",
                block.line
            );
        }
    }
}

#[test]
fn blocks_that_are_not_run_are_few_and_known() {
    let blocks = blocks(&page());
    let mut reasons: Vec<&str> = Vec::new();
    for block in &blocks {
        if let Some(reason) = &block.left_out {
            assert_eq!(block.language, "sh", "line {}", block.line);
            reasons.push(reason);
        }
    }
    for (reason, count) in LEFT_OUT {
        let here = reasons.iter().filter(|found| *found == reason).count();
        assert_eq!(here, *count, "{reason}");
    }
    let known: usize = LEFT_OUT.iter().map(|(_, count)| count).sum();
    assert_eq!(reasons.len(), known, "{reasons:?}");
    for block in blocks.iter().filter(|block| block.language.is_empty()) {
        assert!(
            block.text.contains('┌'),
            "line {}: only drawings have no language",
            block.line
        );
    }
}

#[test]
fn links_of_the_readme_lead_somewhere() {
    let page = page();
    let headings: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words
                .chars()
                .filter(|c| c.is_alphanumeric() || " -".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect();
    let mut link_count = 0;
    for part in page.split("](").skip(1) {
        let target = part.split(')').next().unwrap();
        link_count += 1;
        match target.strip_prefix('#') {
            Some(heading) => assert!(headings.iter().any(|known| known == heading), "#{heading}"),
            None => assert!(root().join(target).exists(), "{target}"),
        }
    }
    assert!(link_count > 5);
}

#[test]
fn the_readers_of_the_page_are_right() {
    let page = "a\n<!-- not run: x -->\n```sh\nls\n```\n\n```text\n…\n```\n";
    let found = blocks(page);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].left_out.as_deref(), Some("x"));
    assert_eq!(
        (found[1].left_out.as_deref(), found[1].text.as_str()),
        (None, "…\n")
    );
    assert!(fits("a … c\n", "a b c\n"));
    assert!(fits("…", "anything"));
    assert!(fits("same\n", "same\n"));
    assert!(!fits("a … c\n", "a b d\n"));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("a …\nb\n", "a 1\n"));
}
