//! Values as Lua writes them, what a script may return, and the language's own operations.

use super::Scripts;

/// Whole numbers, and fractions whose 17 digits are their shortest text: also safe as arguments.
const EXACT_NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "16",
    "31",
    "32",
    "33",
    "-32",
    "-33",
    "100",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "1000",
    "32767",
    "65535",
    "65536",
    "-32768",
    "-32769",
    "1e6",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967295",
    "4294967296",
    "1e10",
    "2^52",
    "2^53",
    "-2^53",
    "1e15",
    "1e16",
    "123456789012",
    "0.5",
    "1.5",
    "-2.5",
    "0.25",
    "3.75",
    "1024.125",
];

/// Numbers at the borders, for everything that is not an argument of a command.
const WILD_NUMBERS: &[&str] = &[
    "0.1",
    "-0.1",
    "1/3",
    "2/3",
    "1e-5",
    "1e-7",
    "1e17",
    "1e20",
    "-1e20",
    "1e100",
    "1e300",
    "5e-324",
    "2^63",
    "-2^63",
    "2^64",
    "2^62",
    "1/0",
    "-1/0",
    "0/0",
    "-0.0",
    "123456789.123456789",
    "99999999999999",
    "100000000000000",
    "0.1+0.2",
];

/// Bytes of generated strings: those that mean something to a pattern, JSON, RESP or C, and others.
const BYTES: &[u8] = b"aaabbcABC012 .%-+*?^$()[]{}\"'\\/,:_\n\r\t\0\x01\x1f\x7f\x80\xc3\xa9\xff";

impl Scripts {
    /// A number of which every server makes the same argument.
    pub(super) fn exact_number(&mut self) -> String {
        self.random.pick(EXACT_NUMBERS).to_owned()
    }

    /// Any number.
    pub(super) fn number(&mut self) -> String {
        if self.random.percent(30) {
            self.random.pick(WILD_NUMBERS).to_owned()
        } else {
            self.exact_number()
        }
    }

    /// A small whole number.
    pub(super) fn small(&mut self) -> String {
        self.random.range(-4, 12).to_string()
    }

    /// Random bytes.
    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.random.below(most + 1);
        (0..count).map(|_| self.random.pick(BYTES)).collect()
    }

    /// A string of at most so many bytes.
    pub(super) fn string_of(&mut self, most: usize) -> String {
        let bytes = self.bytes(most);
        literal(&bytes)
    }

    /// A string, now and then one that is a number.
    pub(super) fn string(&mut self) -> String {
        match self.random.below(8) {
            0 => format!("'{}'", self.exact_number()),
            1 => self
                .random
                .pick(&[
                    "''", "'0x10'", "' 5 '", "'1e3'", "'abc'", "'5x'", "'nan'", "'inf'",
                ])
                .to_owned(),
            _ => self.string_of(12),
        }
    }

    /// A value of any kind but functions.
    pub(super) fn value(&mut self, depth: usize) -> String {
        match self.random.below(if depth < 3 { 10 } else { 7 }) {
            0 => "nil".to_owned(),
            1 => self.random.pick(&["true", "false"]).to_owned(),
            2 | 3 => self.number(),
            4..=6 => self.string(),
            7 => self.list(depth),
            8 => self.map(depth),
            _ => self.mixed(depth),
        }
    }

    /// A table with values at 1, 2, 3 …, now and then with a hole.
    pub(super) fn list(&mut self, depth: usize) -> String {
        let count = self.random.below(5);
        let items: Vec<String> = (0..count).map(|_| self.value(depth + 1)).collect();
        format!("{{{}}}", items.join(","))
    }

    /// A table with strings as keys.
    fn map(&mut self, depth: usize) -> String {
        let count = self.random.below(5);
        let items: Vec<String> = (0..count)
            .map(|_| {
                let key = self
                    .random
                    .pick(&["a", "b", "c", "id", "name", "data", "x1", "x2", "opts"]);
                format!("{key}={}", self.value(depth + 1))
            })
            .collect();
        format!("{{{}}}", items.join(","))
    }

    /// A table with keys of all kinds.
    fn mixed(&mut self, depth: usize) -> String {
        let count = self.random.below(4);
        let items: Vec<String> = (0..count)
            .map(|_| {
                let key = match self.random.below(4) {
                    0 => self.small(),
                    1 => self.exact_number(),
                    2 => "true".to_owned(),
                    _ => self.string_of(3),
                };
                format!("[{key}]={}", self.value(depth + 1))
            })
            .collect();
        format!("{{{}}}", items.join(","))
    }

    /// What a script may return: plain values and the tables that stand for replies.
    pub(super) fn reply_value(&mut self, depth: usize) -> String {
        match self.random.below(if depth < 3 { 16 } else { 6 }) {
            0 => self.string(),
            1 => self.number(),
            2 => self
                .random
                .pick(&["true", "false", "nil", "cjson.null", "redis.call"])
                .to_owned(),
            3 => format!("{{ok={}}}", self.string()),
            4 => format!("{{err={}}}", self.string()),
            5 => format!("{{double={}}}", self.exact_number()),
            6 => format!("{{big_number={}}}", self.string()),
            7 => {
                let format = self
                    .random
                    .pick(&["'txt'", "'mkd'", "'t'", "''", "'long'", "1"]);
                format!(
                    "{{verbatim_string={{format={format},string={}}}}}",
                    self.string()
                )
            }
            8 => format!("{{map={}}}", self.map(depth)),
            9 => format!("{{set={{[{}]=true}}}}", self.string_of(4)),
            10 => format!("redis.error_reply({})", self.string()),
            11 => format!("redis.status_reply({})", self.string()),
            12 => {
                let field = self
                    .random
                    .pick(&["ok", "err", "double", "map", "set", "big_number"]);
                let value = if field == "double" {
                    self.exact_number()
                } else {
                    self.value(2)
                };
                format!("{{{field}={value},{}}}", self.reply_value(depth + 1))
            }
            _ => {
                let count = self.random.below(5);
                let items: Vec<String> = (0..count).map(|_| self.reply_value(depth + 1)).collect();
                format!("{{{}}}", items.join(","))
            }
        }
    }

    /// A string without ends of lines.
    fn error_text(&mut self) -> String {
        let mut bytes = self.bytes(12);
        bytes.retain(|byte| !b"\r\n".contains(byte));
        literal(&bytes)
    }

    /// What may be raised: no table without `err`, which ends an oracle, and no ends of lines, which 7.2 sends as they are.
    pub(super) fn error_value(&mut self) -> String {
        match self.random.below(6) {
            0 => self.error_text(),
            1 => format!("{},{}", self.error_text(), self.random.below(3)),
            2 => format!("{{err={}}}", self.error_text()),
            3 => format!("redis.error_reply({})", self.error_text()),
            4 => self.random.pick(&["nil", "true", "1.5", "5"]).to_owned(),
            _ => format!("{{err={},source='s',line=3,extra=1}}", self.error_text()),
        }
    }

    /// Operators, conversions, control of errors.
    pub(super) fn language(&mut self) -> String {
        let (a, b) = (self.value(2), self.value(2));
        match self.random.below(14) {
            0 => {
                let operator = self.random.pick(&[
                    "+", "-", "*", "/", "%", "^", "..", "<", "<=", ">", "==", "~=",
                ]);
                format!("({a}) {operator} ({b})")
            }
            1 => format!("#({a})"),
            2 => format!("-({a})"),
            3 => {
                let base = self.random.pick(&["2", "8", "10", "16", "36", "1", "37"]);
                format!("tonumber({},{base})", self.string())
            }
            4 => format!("tonumber({a})"),
            5 => {
                let number = self.number();
                format!("tostring({number}),({number})..''")
            }
            6 => format!("select({},{a},{b},3)", self.small()),
            7 => format!("next({})", self.list(1)),
            8 => format!("unpack({},{},{})", self.list(1), self.small(), self.small()),
            9 => {
                let error = self.error_value();
                format!("pcall(function() error({error}) end)")
            }
            10 => {
                let error = self.error_value();
                format!("xpcall(function() error({error}) end,function(e) return type(e) end)")
            }
            11 => {
                let error = self.error_value();
                format!("pcall(pcall,error,{error})")
            }
            12 => {
                let name = self.random.pick(&[
                    "floor", "ceil", "abs", "sqrt", "exp", "log", "sin", "modf", "frexp", "max",
                    "fmod",
                ]);
                let (a, b) = (self.number(), self.number());
                format!("math.{name}({a},{b})")
            }
            _ => {
                let code = self.random.pick(&[
                    "return 1",
                    "return ...",
                    "x =",
                    "return nosuch",
                    "error('in')",
                    "",
                    "return {1,2",
                    "\\27Lua",
                ]);
                format!("(loadstring(\"{code}\") or function() return 'none' end)({a})")
            }
        }
    }
}

/// Bytes as Lua writes them.
pub(super) fn literal(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text.push('"');
    text
}
