//! Damage done to the files of a server that has stopped: what a harness must notice.

use std::path::{Path, PathBuf};

/// The log that is written to: the incremental file with the highest number.
pub(crate) fn newest_log(directory: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(directory.join("appendonlydir")).ok()?;
    let number = |path: &PathBuf| -> Option<u64> {
        let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
        name.rsplit_once('.')?.1.parse().ok()
    };
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| number(path).is_some())
        .max_by_key(number)
}

fn change(directory: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = newest_log(directory).expect("a log");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
}

/// Where each command of a log begins, and behind them its end; annotations belong to the command behind them.
fn commands(bytes: &[u8]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    let line = |at: usize| {
        let end = at + bytes[at..].iter().position(|byte| *byte == b'\n').unwrap();
        (
            String::from_utf8_lossy(&bytes[at..end]).trim().to_owned(),
            end + 1,
        )
    };
    while at < bytes.len() {
        let start = at;
        let (mut head, mut next) = line(at);
        while head.starts_with('#') && next < bytes.len() {
            (head, next) = line(next);
        }
        let Some(count) = head.strip_prefix('*') else {
            break;
        };
        let mut words = Vec::new();
        for _ in 0..count.parse::<usize>().unwrap() {
            let (length, from) = line(next);
            let length: usize = length[1..].parse().unwrap();
            words.push(String::from_utf8_lossy(&bytes[from..from + length]).into_owned());
            next = from + length + 2;
        }
        found.push((start, words));
        at = next;
    }
    found.push((at, Vec::new()));
    found
}

/// The newest command that is one of these: where it begins and ends.
fn newest(bytes: &[u8], is_one: impl Fn(&[String]) -> bool) -> std::ops::Range<usize> {
    let all = commands(bytes);
    let at = (0..all.len() - 1).rev().find(|at| is_one(&all[*at].1));
    let at = at.expect("there is one");
    all[at].0..all[at + 1].0
}

/// Takes the last bytes away, and as many more as it takes to reach into an addition to a shared stream.
pub(crate) fn cut(directory: &Path, count: usize) {
    change(directory, |bytes| {
        let is_addition = |words: &[String]| words[0] == "XADD" && words[1].starts_with("shared:");
        let addition = newest(bytes, is_addition);
        bytes.truncate((bytes.len() - count).min(addition.end - 1));
    });
}

/// Does the last push once more to a list from which nobody pops.
pub(crate) fn repeat_a_push(directory: &Path) {
    change(directory, |bytes| {
        let is_push = |words: &[String]| words[0] == "RPUSH" && words[1].starts_with("w0:log");
        let again = bytes[newest(bytes, is_push)].to_vec();
        bytes.extend_from_slice(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
        bytes.extend_from_slice(&again);
    });
}

/// Takes the second write out of the last transfer between accounts.
pub(crate) fn halve_a_transfer(directory: &Path) {
    change(directory, |bytes| {
        let all = commands(bytes);
        let is_transfer = |at: &usize| {
            let word = |at: usize, word: usize| all[at].1.get(word).map_or("", String::as_str);
            word(*at, 1).starts_with("shared:bank") && word(*at + 1, 1).starts_with("shared:bank")
        };
        let at = (0..all.len() - 2)
            .rev()
            .find(is_transfer)
            .expect("a transfer");
        bytes.drain(all[at + 1].0..all[at + 2].0);
    });
}

/// Takes the last acknowledgement on a shared stream out.
pub(crate) fn forget_an_acknowledgement(directory: &Path) {
    change(directory, |bytes| {
        let is_shared = |words: &[String]| words[0] == "XACK" && words[1].starts_with("shared:s");
        bytes.drain(newest(bytes, is_shared));
    });
}
