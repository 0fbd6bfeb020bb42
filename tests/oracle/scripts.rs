//! Generated Lua scripts, whose outcome is compared with a live oracle.
//!
//! Most scripts are lists of statements, one a line, each under `pcall`; what came of a statement is written down by `PRELUDE` in
//! Lua itself, with types and all digits, and the list is the reply. So one script tries many things, and the first element that
//! differs names its statement. The other scripts are one expression that is returned, or one error that is raised: their reply
//! is compared as it is.
//!
//! What is avoided, because 7.0 and the 7.2 that is promised differ: numbers as arguments or as `double` whose shortest text is not
//! their 17 digits, waiting commands, ACL texts, ends of lines in raised errors. And what kills or hangs an oracle: errors with a table without `err`, wide ranges
//! of `unpack`, patterns that need long.

#[path = "script_codecs.rs"]
mod codecs;
#[path = "script_commands.rs"]
mod commands;
#[path = "script_strings.rs"]
mod strings;
#[path = "script_values.rs"]
mod values;

use std::time::Duration;

use crate::generator::{Words, words};
use crate::support::frame::{Frame, printable};
use crate::support::{Client, Outcome, Random, Server};

/// Statements of one script.
const STATEMENTS: usize = 40;
/// How long both servers may take for one script.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes down what a statement gave: each value with its type.
const PRELUDE: &str = r#"local out={}
local function show(v,depth)
  local t=type(v)
  if t=='number' then return string.format('%.17g',v) end
  if t=='string' then return '"'..v..'"' end
  if t=='boolean' or t=='nil' then return tostring(v) end
  if t~='table' then return t end
  if depth>6 then return '{...}' end
  local parts={}
  for k,x in pairs(v) do parts[#parts+1]=show(k,depth+1)..'='..show(x,depth+1) end
  return '{'..table.concat(parts,',')..'}'
end
local function note(...)
  local parts={}
  for i=1,select('#',...) do parts[i]=show((select(i,...)),0) end
  out[#out+1]=table.concat(parts,' ')
end
"#;

/// A script to run on both.
struct Script {
    /// The lines behind the prelude, or the whole script.
    lines: Vec<String>,
    /// Whether each line is a statement whose outcome is an element of the reply.
    is_noted: bool,
    /// Whether the client speaks RESP3.
    is_resp3: bool,
    /// EVAL's keys and arguments.
    arguments: Words,
}

impl Script {
    fn text(&self) -> String {
        if self.is_noted {
            format!("{PRELUDE}{}\nreturn out", self.lines.join("\n"))
        } else {
            self.lines.join("\n")
        }
    }

    fn words(&self) -> Words {
        let mut words = words!["EVAL", self.text()];
        words.extend_from_slice(&self.arguments);
        words
    }
}

/// The scripts of one seed.
pub(crate) struct Scripts {
    random: Random,
}

impl Scripts {
    /// The scripts that a seed gives.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
        }
    }

    fn script(&mut self) -> Script {
        let is_resp3 = self.random.percent(30);
        let arguments = match self.random.below(3) {
            0 => words!["0"],
            1 => words!["2", "k1", "k2", "7", "x\0y"],
            _ => words!["0", "1", "2.5", ""],
        };
        let is_noted = self.random.percent(80);
        let lines = if is_noted {
            (0..STATEMENTS).map(|_| self.statement()).collect()
        } else {
            self.whole()
        };
        Script {
            lines,
            is_noted,
            is_resp3,
            arguments,
        }
    }

    /// A line that notes what something gave.
    fn statement(&mut self) -> String {
        let call = match self.random.below(10) {
            0 | 1 => self.string_call(),
            2 => self.format_call(),
            3 => self.table_call(),
            4 => self.cjson_call(),
            5 => self.cmsgpack_call(),
            6 => self.struct_or_bit_call(),
            7 | 8 => self.command_call(),
            _ => self.language(),
        };
        match self.random.below(12) {
            // What an error looks like to a handler, and through a coroutine.
            0 => format!("note(xpcall(function() return {call} end,function(e) return e end))"),
            1 => format!("note(coroutine.resume(coroutine.create(function() return {call} end)))"),
            _ => format!("note(pcall(function() return {call} end))"),
        }
    }

    /// A script whose value, or error, is the reply.
    fn whole(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.random.percent(30) {
            lines.push("redis.setresp(3)".to_owned());
        }
        match self.random.below(6) {
            0 => {
                let error = self.error_value();
                lines.push(format!("error({error})"));
            }
            1 => {
                let call = self.command_call();
                lines.push(format!("return {call}"));
            }
            2 => {
                // As they are, under pcall, in a list: what the client sees of errors in all places.
                let (call, other) = (self.string_call(), self.command_call());
                lines.push(format!("local a={{{other}}}"));
                lines.push(format!("return {{a,pcall(function() return {call} end)}}"));
            }
            _ => {
                let value = self.reply_value(0);
                lines.push(format!("return {value}"));
            }
        }
        lines
    }
}

/// Two servers, with a client in each protocol.
pub(crate) struct ScriptPair<'a> {
    ours: &'a Server,
    theirs: &'a Server,
    /// For the self-test: the script in whose reply, on our side, a byte is changed.
    pub(crate) flipped: Option<usize>,
}

impl<'a> ScriptPair<'a> {
    /// To compare the first with the second.
    pub(crate) fn new(ours: &'a Server, theirs: &'a Server) -> Self {
        Self {
            ours,
            theirs,
            flipped: None,
        }
    }

    /// Runs so many scripts of a seed; the first difference.
    pub(crate) fn first_difference(&self, seed: u64, count: usize) -> Option<String> {
        let mut both = [self.ours, self.theirs].map(|server| {
            server.connect().run("FLUSHALL");
            [server.connect(), server.connect_resp3()]
        });
        let mut scripts = Scripts::new(seed);
        for number in 0..count {
            let script = scripts.script();
            let [mut ours, theirs] = both
                .each_mut()
                .map(|clients| outcome(&mut clients[usize::from(script.is_resp3)], &script));
            if let Outcome::Reply(raw) = &mut ours
                && self.flipped == Some(number)
            {
                let at = raw.len() - 3;
                raw[at] ^= 1;
            }
            if ours != theirs {
                return Some(self.report(seed, number, &script, &ours, &theirs));
            }
        }
        None
    }

    fn report(
        &self,
        seed: u64,
        number: usize,
        script: &Script,
        ours: &Outcome,
        theirs: &Outcome,
    ) -> String {
        let mut text = format!(
            "{} and {} differ; replay with MILLRACE_SEED={seed}, script {number}{}\n",
            self.ours.name,
            self.theirs.name,
            if script.is_resp3 { " (RESP3)" } else { "" },
        );
        let elements = [ours, theirs].map(|outcome| match outcome {
            Outcome::Reply(raw) => Frame::try_parse(raw),
            _ => None,
        });
        if let [Some(ours), Some(theirs)] = &elements
            && script.is_noted
            && ours.items().len() == script.lines.len()
            && theirs.items().len() == script.lines.len()
        {
            let each = ours.items().iter().zip(theirs.items());
            for ((ours, theirs), line) in each.zip(&script.lines).filter(|((a, b), _)| a != b) {
                text.push_str(&format!(
                    "  {line}\n    ours:   {ours}\n    theirs: {theirs}\n"
                ));
            }
            return text;
        }
        let readable = |outcome: &Outcome| match outcome {
            Outcome::Reply(raw) => printable(raw),
            other => format!("{other:?}"),
        };
        text.push_str(&format!(
            "{}\n    ours:   {}\n    theirs: {}\n",
            script.text(),
            readable(ours),
            readable(theirs)
        ));
        text
    }
}

fn outcome(client: &mut Client, script: &Script) -> Outcome {
    client.send(&script.words());
    client.poll(PATIENCE)
}
