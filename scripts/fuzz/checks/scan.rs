//! A log's file from any bytes, and real logs with a change: the verdict is reached, the cut file is whole and holds the same commands, and
//! of a real log what is read is a prefix, or the file is refused.

use std::io::Cursor;

use millrace::journal::annotation::{self, RangeChecksum};
use millrace::journal::scan::{Replay, Tail, Verdict, verify};
use millrace::journal::{format, own};

const SALT: u32 = 0x5EED;

type Commands = Vec<Vec<Vec<u8>>>;

fn judge(bytes: &[u8]) -> Verdict {
    verify(Cursor::new(bytes), 0).expect("memory does not fail")
}

fn replay(bytes: &[u8], verdict: &Verdict) -> Commands {
    let mut replay = Replay::new(bytes, 0, verdict.valid_bytes);
    let mut commands = Vec::new();
    while let Some(item) = replay.read().expect("it was verified") {
        commands.push(item.arguments().iter().map(<[u8]>::to_vec).collect());
    }
    assert_eq!(commands.len() as u64, verdict.commands);
    commands
}

/// Cut and sealed a file is whole, and the same.
fn cut(bytes: &[u8]) -> (Verdict, Commands) {
    let verdict = judge(bytes);
    let commands = replay(bytes, &verdict);
    let mut cut = bytes[..verdict.valid_bytes as usize].to_vec();
    cut.extend_from_slice(&verdict.seal);
    let after = judge(&cut);
    assert_eq!(after.tail, Tail::Clean);
    assert_eq!(replay(&cut, &after), commands);
    (verdict, commands)
}

/// A log made of the words in `bytes`: the first byte of each says what kind of command it is, and whether a commit follows.
fn log(bytes: &[u8]) -> (Vec<u8>, Commands) {
    let (mut out, mut commands) = (Vec::new(), Vec::new());
    annotation::begin(SALT, 0, &mut out);
    let mut start = out.len();
    let words: Vec<&[u8]> = bytes.split(|byte| *byte == b' ').collect();
    for (index, word) in words.iter().enumerate() {
        let kind = word.first().copied().unwrap_or_default();
        if kind & 1 == 0 {
            let words = [b"RPUSH".as_slice(), word];
            format::command(words, &mut out);
            commands.push(words.map(<[u8]>::to_vec).to_vec());
        } else {
            let words = [b"XNACK".as_slice(), word];
            own::encode(words, &mut out);
            commands.push(words.map(<[u8]>::to_vec).to_vec());
        }
        if kind & 2 == 0 || index + 1 == words.len() {
            let mut range = RangeChecksum::new(SALT);
            range.extend(&out[start..]);
            annotation::commit(range, out.len() as u64, start as u64, &mut out);
            start = out.len();
        }
    }
    let end = out.len() as u64;
    annotation::fill(SALT, end, end + 64, &mut out);
    (out, commands)
}

/// What must hold of any bytes.
pub(crate) fn check(bytes: &[u8]) {
    cut(bytes);
    let Some((change, words)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let (mut file, written) = log(words);
    let (verdict, read) = cut(&file);
    assert_eq!((verdict.tail, &read), (Tail::Clean, &written));
    // One byte of it is changed, or it is cut there.
    let [low, high, value, kind] = *change;
    let at = usize::from(u16::from_le_bytes([low, high])) % file.len();
    if kind % 2 == 0 {
        file.truncate(at);
    } else {
        file[at] ^= value;
    }
    let (verdict, read) = cut(&file);
    // The begin mark is what says that commits are needed: with it damaged the file is refused at the first of them.
    let is_refused = matches!(verdict.tail, Tail::Damaged { .. });
    assert!(read == written[..read.len()] || (is_refused && at < 16));
}
