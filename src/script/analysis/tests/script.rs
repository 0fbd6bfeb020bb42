//! Random scripts, rich in what an analysis could get wrong.
//!
//! A tape of bytes decides; zeros and the end of the tape choose the simplest. So a tape that failed shrinks to a short
//! script. Most choices are those of a script that is provable, some are not: names that are shadowed, assigned,
//! captured, handed out, functions that escape, keys of another origin.

/// What a name was declared as; only a hint, for scripts that run further than to their first error.
#[derive(Clone, Copy, PartialEq)]
enum Hint {
    Key,
    Any,
    Function,
    Command,
    Redis,
    Keys,
}

/// Writes one script.
pub(super) struct Writer<'a> {
    tape: &'a [u8],
    at: usize,
    text: String,
    names: Vec<(&'static str, Hint)>,
    depth: usize,
    variadic: bool,
}

const KEY_NAMES: [&str; 6] = ["k", "a", "b", "arg", "KEYS", "self"];
const ANY_NAMES: [&str; 7] = ["a", "b", "t", "ARGV", "arg", "unpack", "ipairs"];
const FUNCTION_NAMES: [&str; 6] = ["f", "g", "h", "unpack", "pcall", "k"];
const STATEMENTS: usize = 7;

const TRICKS: [&str; 40] = [
    "KEYS[1] = 'zz'",
    "KEYS.x = 'zz'",
    "KEYS = ARGV",
    "table.insert(KEYS, 'zz')",
    "table.insert(KEYS, 1, ARGV[1])",
    "table.remove(KEYS)",
    "rawset(KEYS, 1, 'zz')",
    "local K = KEYS; K[1] = 'zz'",
    "local K = ARGV; K[1] = 'zz'",
    "(KEYS)[1] = 'zz'",
    "for i, v in ipairs(KEYS) do KEYS[i] = 'zz' end",
    "local f, s = ipairs(KEYS); s[1] = 'zz'",
    "local t = {KEYS}; t[1][1] = 'zz'",
    "local t = {}; t.x = KEYS; t.x[1] = 'zz'",
    "pcall(rawset, KEYS, 1, 'zz')",
    "(function(q) q[1] = 'zz' end)(KEYS)",
    "local function w(q) q[1] = 'zz' end; w(KEYS)",
    "table.foreach({KEYS}, function(_, q) q[1] = 'zz' end)",
    "_G.KEYS = ARGV",
    "_G.unpack = function() return 'zz' end",
    "getfenv().KEYS = {'zz'}",
    "setfenv(1, {redis = redis, KEYS = ARGV, ARGV = ARGV, unpack = unpack, ipairs = ipairs})",
    "loadstring('KEYS[1] = \"zz\"')()",
    "setmetatable(KEYS, {__index = function() return 'zz' end})",
    "getmetatable('').__index = function() return 'zz' end",
    "unpack = function() return 'zz' end",
    "ipairs = function() return next, {'zz'} end",
    "pcall = function(f) return f('get', 'zz') end",
    "function ipairs(t) return pairs(ARGV) end",
    "redis.call = function() end",
    "local c = redis.call; c('get', 'zz')",
    "string.sub = function() return 'zz' end",
    "table.foreach(ARGV, redis.call)",
    "pcall(redis.call, 'get', 'zz')",
    "pcall(pcall, redis.call, 'get', 'zz')",
    "coroutine.wrap(redis.call)('get', 'zz')",
    "local r = {redis}; r[1].call('get', 'zz')",
    "('x'):gsub('.', function(m) return m end)",
    "local redis = {call = function() end}",
    "redis['c' .. 'all']('get', 'zz')",
];

impl<'a> Writer<'a> {
    /// The script of a tape.
    pub(super) fn script(tape: &'a [u8]) -> String {
        let mut writer = Writer {
            tape,
            at: 0,
            text: String::new(),
            names: Vec::new(),
            depth: 0,
            variadic: false,
        };
        while writer.at < tape.len() {
            writer.statement();
        }
        writer.text
    }

    /// A choice among so many.
    fn pick(&mut self, choices: usize) -> usize {
        let byte = self.tape.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % choices
    }

    /// One of some texts.
    fn one_of(&mut self, texts: &[&'static str]) -> &'static str {
        texts[self.pick(texts.len())]
    }

    /// Whether something rare happens.
    fn rarely(&mut self) -> bool {
        self.pick(16) == 15
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A name that was declared with a hint.
    fn known(&mut self, hint: Hint) -> Option<&'static str> {
        let known: Vec<_> = self.names.iter().filter(|name| name.1 == hint).collect();
        let names: Vec<&'static str> = known.iter().map(|name| name.0).collect();
        let choice = self.pick(names.len().max(1));
        names.get(names.len().wrapping_sub(choice + 1)).copied()
    }

    fn deep(&self) -> bool {
        self.depth > 5 || self.at >= self.tape.len()
    }

    /// An expression for a key: most often one.
    fn key(&mut self) {
        if self.rarely() {
            return self.any();
        }
        match self.pick(10) {
            3 | 4 => match self.known(Hint::Key) {
                Some(name) => self.put(name),
                None => self.put("KEYS[2]"),
            },
            5 if !self.deep() => {
                self.put("KEYS[");
                self.any();
                self.put("]");
            }
            6 if !self.deep() => {
                self.put("(");
                self.any();
                let operator = self.one_of(&[" and ", " or "]);
                self.put(operator);
                self.key();
                self.put(" or ");
                self.key();
                self.put(")");
            }
            7 => match self.known(Hint::Keys) {
                Some(name) => self.put(&format!("{name}[1]")),
                None => self.put("KEYS[3]"),
            },
            8 if !self.deep() => {
                self.put("(");
                self.function_call();
                self.put(")");
            }
            9 => self.put("(unpack(KEYS))"),
            _ => self.put("KEYS[1]"),
        }
    }

    /// An expression of any kind.
    fn any(&mut self) {
        match self.pick(16) {
            1 => self.put("ARGV[1]"),
            2 => self.put("ARGV[2]"),
            3 => self.put("'zz'"),
            4 => self.put("2"),
            5 => self.put("nil"),
            6 if !self.deep() => self.key(),
            7 => match self.known(Hint::Any) {
                Some(name) => self.put(name),
                None => self.put("#KEYS"),
            },
            8 if !self.deep() => {
                self.key();
                self.put(" .. 'x'");
            }
            9 if !self.deep() => self.function_call(),
            10 if !self.deep() => self.function_value(),
            11 if self.variadic => self.put("..."),
            12 if !self.deep() => {
                self.put("{");
                self.list();
                self.put("}");
            }
            13 => match self.known(Hint::Function) {
                Some(name) => self.put(name),
                None => self.put("false"),
            },
            14 if !self.deep() => self.call(),
            15 if !self.deep() => {
                self.put("(");
                self.any();
                let operator = self.one_of(&[" == ", " and ", " or "]);
                self.put(operator);
                self.any();
                self.put(")");
            }
            _ => self.put("1"),
        }
    }

    /// Some expressions, the last of them perhaps with many values.
    fn list(&mut self) {
        for _ in 0..self.pick(3) {
            self.key();
            self.put(", ");
        }
        let last = self.pick(16);
        match last {
            1 | 6 => self.put("unpack(KEYS)"),
            2 => self.put("unpack(ARGV)"),
            3 if self.variadic => self.put("..."),
            4 if !self.deep() => self.function_call(),
            5 => self.any(),
            _ => self.key(),
        }
    }

    /// How a command is called.
    fn caller(&mut self) -> &'static str {
        match self.pick(8) {
            1 => "redis.pcall(",
            2 => "pcall(redis.call, ",
            3 => "redis['call'](",
            4 | 5 => match self.known(Hint::Command) {
                Some("call") => "call(",
                Some("rcall") => "rcall(",
                _ => "redis.call(",
            },
            6 => match self.known(Hint::Redis) {
                Some("r") => "r.call(",
                _ => "redis.call(",
            },
            _ => "redis.call(",
        }
    }

    /// A command call, as an expression.
    fn call(&mut self) {
        self.depth += 1;
        let caller = self.caller();
        self.put(caller);
        match self.pick(12) {
            1 | 2 => {
                self.put("'set', ");
                self.key();
                self.put(", ");
                self.any();
            }
            3 | 4 => {
                self.put("'DEL', ");
                self.list();
            }
            5 => {
                self.put("'mset', ");
                self.key();
                self.put(", 1, ");
                self.list();
            }
            6 | 7 => {
                self.put("'zunionstore', ");
                self.key();
                let count = match self.rarely() {
                    true => self.one_of(&[", ARGV[1], ", ", k, ", ", a, ", ", KEYS[1], "]),
                    false => self.one_of(&[", 1, ", ", 2, ", ", '2', "]),
                };
                self.put(count);
                self.list();
            }
            8 | 9 => {
                let begin = match self.rarely() {
                    true => self.one_of(&["'xread', ARGV[1], 'streams', ", "'xread', ARGV[2], "]),
                    false => self.one_of(&["'xread', 'streams', ", "'xread', 'x', 1, 'streams', "]),
                };
                self.put(begin);
                self.key();
                self.put(", ");
                self.any();
                if self.rarely() {
                    self.put(", ");
                    self.list();
                }
            }
            10 if self.rarely() => {
                self.any();
                self.put(", ");
                self.key();
            }
            10 => {
                self.put("'mset', ");
                self.key();
                self.put(", ");
                self.any();
            }
            11 => {
                self.put("'blpop', ");
                self.list();
                self.put(", 1");
            }
            _ => {
                self.put("'get', ");
                self.key();
            }
        }
        self.put(")");
        self.depth -= 1;
    }

    fn function_call(&mut self) {
        self.depth += 1;
        match self.known(Hint::Function) {
            Some(name) => {
                if self.rarely() {
                    self.put(&format!("pcall({name}, "));
                } else {
                    self.put(&format!("{name}("));
                }
                self.list();
                self.put(")");
            }
            None => self.put("tostring(1)"),
        }
        self.depth -= 1;
    }

    fn function_value(&mut self) {
        self.put("function");
        self.function_rest();
    }

    /// Parameters and body.
    fn function_rest(&mut self) {
        self.depth += 1;
        let outside = (self.names.len(), self.variadic);
        self.put("(");
        for index in 0..self.pick(4) {
            if index > 0 {
                self.put(", ");
            }
            let hint = [Hint::Key, Hint::Any][usize::from(self.rarely())];
            self.declare(&KEY_NAMES, hint);
        }
        self.variadic = self.pick(8) == 7;
        if self.variadic {
            let comma = if self.text.ends_with('(') { "" } else { ", " };
            self.put(&format!("{comma}..."));
            self.names.push(("arg", Hint::Keys));
        }
        self.put(") ");
        self.body();
        if self.pick(2) == 1 {
            self.put("return ");
            self.list();
            self.put(" ");
        }
        self.put("end");
        self.names.truncate(outside.0);
        self.variadic = outside.1;
        self.depth -= 1;
    }

    /// Writes a name and remembers it.
    fn declare(&mut self, names: &[&'static str], hint: Hint) {
        let name = self.one_of(names);
        self.put(name);
        self.names.push((name, hint));
    }

    fn body(&mut self) {
        let outside = self.names.len();
        self.depth += 1;
        for _ in 0..=self.pick(3) {
            self.statement();
        }
        self.depth -= 1;
        self.names.truncate(outside);
    }

    fn statement(&mut self) {
        if self.depth > 4 {
            self.call();
            return self.put("\n");
        }
        match self.pick(STATEMENTS * 2 + 2) {
            0 | 1 => self.call(),
            2 | 3 => self.local(),
            4 | 5 => self.local_function(),
            6 | 7 => match self.known(Hint::Function) {
                Some(_) => self.function_call(),
                None => self.call(),
            },
            8 | 9 => self.assign(),
            10 | 11 => self.block(),
            12 => self.escape(),
            _ => {
                if self.pick(6) == 5 {
                    let trick = self.one_of(&TRICKS);
                    self.put(trick);
                } else {
                    self.call();
                }
            }
        }
        self.put("\n");
    }

    fn local(&mut self) {
        let alias = self.pick(12);
        let (text, name, hint) = match alias {
            1 => ("local call = redis.call", "call", Hint::Command),
            2 => ("local rcall = redis.pcall", "rcall", Hint::Command),
            3 => ("local r = redis", "r", Hint::Redis),
            4 | 10 => ("local K = KEYS", "K", Hint::Keys),
            11 => ("local arg = KEYS", "arg", Hint::Keys),
            5 => ("local K = ARGV", "K", Hint::Keys),
            6 => ("local unpack = unpack or table.unpack", "unpack", Hint::Any),
            7 => ("local a, b = unpack(KEYS)", "b", Hint::Key),
            8 => ("local K, a = KEYS, redis.call", "a", Hint::Any),
            _ => {
                self.put("local ");
                // The values do not see the name.
                let outside = self.names.len();
                let key = !self.rarely();
                let hint = if key { Hint::Key } else { Hint::Any };
                let names: &[&'static str] = if key { &KEY_NAMES } else { &ANY_NAMES };
                self.declare(names, hint);
                let two = self.pick(4) == 3;
                if two {
                    self.put(", ");
                    self.declare(&KEY_NAMES, Hint::Key);
                }
                self.put(" = ");
                let inside = self.names.split_off(outside);
                self.key();
                if two && self.pick(2) == 0 {
                    self.put(", ");
                    self.key();
                }
                return self.names.extend(inside);
            }
        };
        self.put(text);
        self.names.push((name, hint));
    }

    fn local_function(&mut self) {
        if self.pick(4) == 3 {
            self.put("local ");
            let name = self.one_of(&FUNCTION_NAMES);
            self.put(name);
            self.put(" = ");
            self.function_value();
            self.names.push((name, Hint::Function));
        } else {
            self.put("local function ");
            self.declare(&FUNCTION_NAMES, Hint::Function);
            self.function_rest();
        }
    }

    fn assign(&mut self) {
        let hint = [Hint::Key, Hint::Keys, Hint::Any, Hint::Function][self.pick(4)];
        match self.known(hint) {
            Some(name) => {
                self.put(&format!("{name} = "));
                match hint {
                    Hint::Function => self.function_value(),
                    Hint::Keys => self.put("ARGV"),
                    _ => self.key(),
                }
            }
            None => self.call(),
        }
    }

    fn block(&mut self) {
        let outside = self.names.len();
        match self.pick(7) {
            0 => {
                self.put("if ");
                self.any();
                self.put(" then ");
                self.body();
                self.put("else ");
                self.body();
                self.put("end");
            }
            1 => {
                self.put("for ");
                self.declare(&KEY_NAMES, Hint::Any);
                self.put(" = 1, #KEYS do ");
                self.body();
                self.put("end");
            }
            2 | 3 => {
                self.put("for i, ");
                let name = self.one_of(&KEY_NAMES);
                self.put(name);
                let over = self.one_of(&[
                    " in ipairs(KEYS)",
                    " in pairs(KEYS)",
                    " in ipairs({KEYS[1], KEYS[2]})",
                    " in ipairs({KEYS[1], unpack(ARGV)})",
                    " in ipairs(ARGV)",
                    " in ipairs(K)",
                    " in next, ARGV",
                ]);
                self.put(over);
                self.put(" do ");
                self.names.push((name, Hint::Key));
                self.body();
                self.put("end");
            }
            4 => {
                self.put("repeat local k = ");
                self.key();
                self.put(" ");
                self.names.push(("k", Hint::Key));
                self.statement();
                self.put("until ");
                self.call();
                self.put(" or true");
            }
            5 => {
                self.put("do ");
                self.body();
                self.put("end");
            }
            _ => {
                self.put("while not done do ");
                self.body();
                self.put("break end");
                // An unknown global: the name must be known.
                self.text = self.text.replace("not done", "true");
            }
        }
        self.names.truncate(outside);
    }

    /// Functions that become values, and are called in other ways.
    fn escape(&mut self) {
        let name = self.known(Hint::Function).unwrap_or("tostring");
        match self.pick(8) {
            0 => self.put(&format!("pcall({name}, KEYS[1])")),
            1 => self.put(&format!("pcall({name}, 'zz')")),
            2 => self.put(&format!("local t = {{{name}}}; t[1]('zz')")),
            3 => self.put(&format!("table.foreach(ARGV, {name})")),
            4 => self.put(&format!("coroutine.wrap({name})('zz')")),
            5 => self.put(&format!("local t = {{}}; t.x = {name}; t.x(ARGV[1])")),
            6 => self.put(&format!("local q = {name}; q(KEYS[1])")),
            _ => self.put(&format!(
                "xpcall(function() return {name}('zz') end, tostring)"
            )),
        }
    }
}
