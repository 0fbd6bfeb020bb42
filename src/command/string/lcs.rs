//! LCS: the longest common subsequence of two strings, by the textbook's table.
//!
//! ```text
//! table[i][j] = length for the first i bytes of a and the first j of b
//! walk back from the end: equal bytes belong to it; else to the larger neighbour, b first when equal
//! ```

use crate::command::args::{self, Cursor};
use crate::command::context::{Context, Outcome};
use crate::command::error::{self, CommandError};
use crate::keyspace::value::Value;
use crate::resp::arguments::Args;

/// What is asked for besides the subsequence itself.
#[derive(Default)]
struct LcsOptions {
    len: bool,
    indexes: bool,
    with_match_len: bool,
    match_len_min: i64,
}

impl LcsOptions {
    fn read(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = Cursor::new(args, 3);
        while rest.left() > 0 {
            if rest.keyword("IDX") {
                options.indexes = true;
            } else if rest.keyword("LEN") {
                options.len = true;
            } else if rest.keyword("WITHMATCHLEN") {
                options.with_match_len = true;
            } else if rest.left() > 1 && rest.keyword("MINMATCHLEN") {
                options.match_len_min = args::required_integer(rest.value()?)?;
            } else {
                return Err(error::SYNTAX);
            }
        }
        if options.len && options.indexes {
            return Err(error::LCS_LEN_AND_IDX);
        }
        Ok(options)
    }
}

/// A run of equal bytes: its first position in both strings, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    a_start: usize,
    b_start: usize,
    len: usize,
}

pub(super) fn lcs(ctx: &mut Context<'_>, args: &Args<'_>) -> Result<Outcome, CommandError> {
    let mut strings = [Vec::new(), Vec::new()];
    let mut all_strings = true;
    for (key, string) in args.from(1).zip(&mut strings) {
        match ctx.space.read(key).map(|entry| &entry.value) {
            None => {}
            Some(Value::String(value)) => *string = value.bytes(&mut [0; 20]).to_vec(),
            Some(_) => all_strings = false,
        }
    }
    if !all_strings {
        return Err(error::LCS_NOT_STRINGS);
    }
    let options = LcsOptions::read(args)?;
    let [a, b] = strings;
    let table_bytes = (a.len() as u128 + 1) * (b.len() as u128 + 1) * 4;
    if table_bytes > u128::from(ctx.settings.proto_max_bulk_bytes) {
        return Err(error::LCS_TOO_LARGE);
    }
    let table = Table::of(&a, &b);
    if options.indexes {
        write_runs(ctx, &table, &options);
    } else if options.len {
        ctx.reply.count(table.len(a.len(), b.len()));
    } else {
        let mut common = Vec::new();
        table.walk_back(|run| common.extend(a[run.a_start..run.a_start + run.len].iter().rev()));
        common.reverse();
        ctx.reply.bulk(&common);
    }
    Ok(Outcome::Done)
}

fn write_runs(ctx: &mut Context<'_>, table: &Table<'_>, options: &LcsOptions) {
    let mut runs = Vec::new();
    table.walk_back(|run| {
        if run.len as i64 >= options.match_len_min {
            runs.push(run);
        }
    });
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    ctx.reply.array(runs.len());
    for run in runs {
        ctx.reply.array(2 + usize::from(options.with_match_len));
        for start in [run.a_start, run.b_start] {
            ctx.reply.array(2);
            ctx.reply.count(start);
            ctx.reply.count(start + run.len - 1);
        }
        if options.with_match_len {
            ctx.reply.count(run.len);
        }
    }
    ctx.reply.bulk(b"len");
    ctx.reply.count(table.len(table.a.len(), table.b.len()));
}

struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    lens: Vec<u32>,
}

impl<'a> Table<'a> {
    fn of(a: &'a [u8], b: &'a [u8]) -> Self {
        let width = b.len() + 1;
        let mut lens = vec![0u32; (a.len() + 1) * width];
        for (i, left) in a.iter().enumerate() {
            let (above, row) = lens[i * width..].split_at_mut(width);
            for (j, right) in b.iter().enumerate() {
                row[j + 1] = if left == right {
                    above[j] + 1
                } else {
                    above[j + 1].max(row[j])
                };
            }
        }
        Self { a, b, lens }
    }

    fn len(&self, i: usize, j: usize) -> usize {
        self.lens[i * (self.b.len() + 1) + j] as usize
    }

    /// The runs of the subsequence, the last first.
    fn walk_back(&self, mut take: impl FnMut(Run)) {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        let mut open: Option<Run> = None;
        while i > 0 && j > 0 {
            if self.a[i - 1] != self.b[j - 1] {
                if let Some(run) = open.take() {
                    take(run);
                }
                if self.len(i - 1, j) > self.len(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
                continue;
            }
            i -= 1;
            j -= 1;
            let len = open.map_or(0, |run| run.len);
            open = Some(Run {
                a_start: i,
                b_start: j,
                len: len + 1,
            });
        }
        if let Some(run) = open {
            take(run);
        }
    }
}
