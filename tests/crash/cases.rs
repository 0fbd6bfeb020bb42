//! Single cases on a directory, each a way in which something acknowledged could be lost or be there twice.

use std::path::Path;
use std::time::Duration;

use super::plan::{Kind, Mode, Plan};
use super::process::{Process, Start};
use super::support::{Client, Frame};

/// A server on a directory, started again and again with other numbers of shards.
pub(crate) struct Case {
    plan: Plan,
    directory: tempfile::TempDir,
    starts: usize,
}

impl Case {
    /// On an empty directory.
    pub(crate) fn new(mode: Mode) -> Self {
        let plan = Plan {
            kind: Kind::Millrace,
            is_calm: true,
            ..Plan::short(mode, 0)
        };
        Self {
            plan,
            directory: tempfile::tempdir().unwrap(),
            starts: 0,
        }
    }

    /// Where the server writes.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server.
    pub(crate) fn start(&mut self) -> (Process, Client) {
        let start = Start {
            plan: &self.plan,
            shards: [1, 4, 3][self.starts % 3],
            point: None,
        };
        self.starts += 1;
        let process = start.until_ready(self.directory.path()).unwrap();
        let client = Client::connect(process.address()).unwrap();
        (process, client)
    }

    /// Kills the server and starts it again.
    pub(crate) fn kill_and_start(&mut self, mut process: Process) -> (Process, Client) {
        process.kill();
        self.start()
    }
}

/// Waits until neither a dump nor a base is being written.
pub(crate) fn settle(client: &mut Client) {
    loop {
        let info = client.run("INFO persistence").text();
        let busy = ["in_progress:1", "scheduled:1"];
        if !busy.iter().any(|busy| info.contains(busy)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Everything that is known of the streams of [`make_streams`], but for what changes by looking or is in no file.
pub(crate) fn streams(client: &mut Client) -> Vec<String> {
    let lines = [
        "XINFO STREAM s FULL COUNT 0",
        "XINFO GROUPS s",
        "XINFO STREAM empty FULL COUNT 0",
        "XINFO STREAM p FULL COUNT 0",
        "XCFGSET p",
    ];
    let replies = lines.map(|line| client.run(line).to_string());
    replies.iter().map(|text| without_counts(text)).collect()
}

/// Without how many messages of producers were ever added, which files do not tell.
fn without_counts(text: &str) -> String {
    match text.split_once("\"iids-added\", :") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("{before}{after}")
        }
        None => text.to_owned(),
    }
}

/// Without the times at which consumers were seen.
pub(crate) fn without_times(streams: &[String]) -> Vec<String> {
    let without = |text: &String| {
        let mut parts = text.split("-time\", :");
        let first = parts.next().unwrap_or_default().to_owned();
        let is_digit = |digit: char| digit.is_ascii_digit() || digit == '-';
        parts.fold(first, |text, part| text + part.trim_start_matches(is_digit))
    };
    streams.iter().map(without).collect()
}

/// Streams with all that a restart could forget.
pub(crate) fn make_streams(client: &mut Client) {
    let lines = [
        "XADD s 1-1 f a",
        "XADD s 2-1 f b",
        "XADD s 3-1 f c",
        "XADD s 4-1 f d",
        "XADD s 5-1 f e",
        "XADD s 6-1 f g",
        "XADD s 9999999999999-5 f ahead",
        "XDEL s 9999999999999-5",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s far 4-1 ENTRIESREAD 3",
        "XGROUP CREATE s idle $",
        "XGROUP CREATECONSUMER s g nobody",
        "XREADGROUP GROUP g c1 COUNT 3 STREAMS s >",
        "XREADGROUP GROUP g c2 COUNT 2 STREAMS s >",
        "XCLAIM s g c2 0 1-1 RETRYCOUNT 7 IDLE 5000",
        "XACK s g 2-1",
        "XNACK s g FAIL IDS 2 5-1 4-1",
        "XNACK s g FAIL IDS 1 3-1",
        "XTRIM s MINID 2",
        "XADD empty MAXLEN 0 7-7 f v",
        "XGROUP CREATE empty g $",
        // It forgets what was known.
        "XADD p IDMP producer m0 * f u",
        "XCFGSET p IDMP-DURATION 1000 IDMP-MAXSIZE 50",
        "XADD p IDMP producer m1 * f v",
        "XADD p IDMP producer m2 * f w",
    ];
    for line in lines {
        let reply = client.run(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    }
}

/// The same streams after a restart: what they answer to what could repeat or go back.
pub(crate) fn check_streams(client: &mut Client) {
    let again = client.run("XADD p IDMP producer m1 * f v").text();
    let first = client.run("XRANGE p - + COUNT 2").items()[1].items()[0].text();
    assert_eq!(again, first, "a message of a producer is there twice");
    let next = client.run("XADD s * f next").text();
    assert_eq!(next, "9999999999999-6", "IDs have gone back");
    assert!(client.run("XADD empty 7-7 f v").is_error());
    let read = client.run("XREADGROUP GROUP g c3 COUNT 3 CLAIM 0 STREAMS s >");
    let entries: Vec<String> = read.items()[0].items()[1]
        .items()
        .iter()
        .map(|entry: &Frame| entry.items()[0].text())
        .collect();
    // Released ones first, in the order in which they were.
    assert_eq!(entries, ["5-1", "4-1", "3-1"]);
}
