//! Calls of cjson, cmsgpack, struct and bit, on values that were made for them and on broken input.

use super::Scripts;
use super::values::literal;

const JSON_ATOMS: &[&str] = &[
    "1",
    "-1",
    "0",
    "-0",
    "1.5",
    "1e3",
    "1E-2",
    "12345678901234567890",
    "0.1",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "0x1F",
    "nan",
    "inf",
    "-inf",
    "infinity",
    "true",
    "false",
    "null",
    "tru",
    "nul",
    "\"\"",
    "\"abc\"",
    "\"\\u00e9\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\u12\"",
    "\"\\n\\t\\\"\\\\\\/\\b\\f\\r\"",
    "\"\\x\"",
    "\"open",
    "\"\u{e9}\"",
    "[]",
    "{}",
    "[1,2",
    "x",
];

/// Options of struct; the numbers behind `i` and `c` are chosen.
const STRUCT_OPTIONS: &[&str] = &[
    "b", "B", "h", "H", "i", "I", "l", "L", "T", "f", "d", "s", "x", "i1", "i2", "I3", "i4", "I8",
    "I16", "c1", "c3", "Bc0", " ", "<", ">", "!", "!2", "!4", "!8", "!3", "z", "i33", "c", "n",
];

impl Scripts {
    /// JSON text, mostly sound.
    fn json(&mut self, depth: usize) -> String {
        let blank = |this: &mut Self| this.random.pick(&["", "", "", " ", "\n", "\t "]).to_owned();
        match self.random.below(if depth < 4 { 6 } else { 3 }) {
            0..=2 => self.random.pick(JSON_ATOMS).to_owned(),
            3 | 4 => {
                let count = self.random.below(4);
                let mut items = Vec::new();
                for _ in 0..count {
                    let (before, after) = (blank(self), blank(self));
                    items.push(format!("{before}{}{after}", self.json(depth + 1)));
                }
                format!("[{}]", items.join(","))
            }
            _ => {
                let count = self.random.below(4);
                let mut items = Vec::new();
                for _ in 0..count {
                    let key = self
                        .random
                        .pick(&["a", "b", "1", "", "key", "\\u0041", "a b"]);
                    let before = blank(self);
                    items.push(format!("{before}\"{key}\":{}", self.json(depth + 1)));
                }
                format!("{{{}}}", items.join(","))
            }
        }
    }

    /// Bytes with a few of them lost, doubled or changed.
    fn damaged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.random.below(3) {
            if bytes.is_empty() {
                break;
            }
            let at = self.random.below(bytes.len());
            match self.random.below(4) {
                0 => {
                    bytes.remove(at);
                }
                1 => bytes.truncate(at),
                2 => bytes.insert(at, self.random.pick(b"[]{},:\"\\ 0a\0\xff")),
                _ => bytes[at] = self.random.pick(b"[]{},:\"\\ 0a\0\xff"),
            }
        }
        bytes
    }

    /// A call of cjson.
    pub(super) fn cjson_call(&mut self) -> String {
        match self.random.below(6) {
            0 | 1 => format!("cjson.encode({})", self.value(0)),
            2 => {
                let json = self.json(0);
                format!("cjson.decode({})", literal(json.as_bytes()))
            }
            3 => {
                let json = self.json(0).into_bytes();
                let json = self.damaged(json);
                format!("cjson.decode({})", literal(&json))
            }
            4 => {
                let json = self.json(0);
                format!("cjson.encode(cjson.decode({}))", literal(json.as_bytes()))
            }
            _ => format!("cjson.decode(cjson.encode({}))", self.value(0)),
        }
    }

    /// A call of cmsgpack.
    pub(super) fn cmsgpack_call(&mut self) -> String {
        match self.random.below(6) {
            0 | 1 => format!("cmsgpack.pack({})", self.value(0)),
            2 => format!("cmsgpack.pack({},{})", self.value(1), self.value(1)),
            3 => format!("cmsgpack.unpack(cmsgpack.pack({}))", self.value(0)),
            4 => {
                let from = self.small();
                let value = self.value(0);
                format!(
                    "cmsgpack.unpack(cmsgpack.pack({value}):sub({from},-{}))",
                    self.random.below(4) + 1
                )
            }
            _ => {
                const HEADS: &[u8] = b"\x00\x7f\x80\x81\x90\x91\x92\xa0\xa1\xa3\xc0\xc1\xc2\xc3\xc4\xca\xcb\xcc\xcd\xce\xcf\xd0\xd1\xd2\xd3\xd9\xda\xdb\xdc\xdd\xde\xdf\xe0\xff";
                let count = self.random.below(8);
                let bytes: Vec<u8> = (0..count).map(|_| self.random.pick(HEADS)).collect();
                let bytes = literal(&bytes);
                match self.random.below(3) {
                    0 => format!("cmsgpack.unpack({bytes})"),
                    1 => format!("cmsgpack.unpack_one({bytes},{})", self.small()),
                    _ => format!(
                        "cmsgpack.unpack_limit({bytes},{},{})",
                        self.small(),
                        self.small()
                    ),
                }
            }
        }
    }

    /// A call of struct or bit.
    pub(super) fn struct_or_bit_call(&mut self) -> String {
        let mut format = String::new();
        let mut arguments = String::new();
        for _ in 0..self.random.below(5) {
            let option = self.random.pick(STRUCT_OPTIONS);
            format.push_str(option);
            let value = match option {
                "s" | "c1" | "c3" | "c" => self.string_of(5),
                "Bc0" => format!("2,{}", self.string_of(3)),
                // Beyond 53 bits C does not say what comes of a cast.
                _ => self.exact_number(),
            };
            if !matches!(
                option,
                " " | "<" | ">" | "!" | "!2" | "!4" | "!8" | "!3" | "x"
            ) && self.random.percent(97)
            {
                arguments.push(',');
                arguments.push_str(&value);
            }
        }
        let format = literal(format.as_bytes());
        match self.random.below(6) {
            0 | 1 => format!("struct.pack({format}{arguments})"),
            2 => {
                let data = self.string_of(20);
                let from = if self.random.percent(30) {
                    format!(",{}", self.random.range(1, 6))
                } else {
                    String::new()
                };
                format!("struct.unpack({format},{data}{from})")
            }
            3 => format!("struct.size({format})"),
            4 => {
                let name = self.random.pick(&["band", "bor", "bxor"]);
                let numbers: Vec<String> = (0..self.random.below(4))
                    .map(|_| self.exact_number())
                    .collect();
                format!("bit.{name}({})", numbers.join(","))
            }
            _ => {
                let name = self.random.pick(&[
                    "tobit", "bnot", "bswap", "tohex", "lshift", "rshift", "arshift", "rol", "ror",
                ]);
                let (a, b) = (self.exact_number(), self.small());
                if self.random.percent(95) {
                    format!("bit.{name}({a},{b})")
                } else {
                    format!("bit.{name}({})", self.value(2))
                }
            }
        }
    }
}
