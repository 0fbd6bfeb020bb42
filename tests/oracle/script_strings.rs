//! Calls of the string and table libraries.

use super::Scripts;
use super::values::literal;

const CLASSES: &[&str] = &[
    "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%p", "%l", "%u", "%c", "%x", "%z", "%A", "%D",
    "%S", "%W", "%.", "%%", "[abc]", "[^abc]", "[a-c]", "[%w_]", "[]]", "[^]]", "[%-x]", "[a-]",
    " ", "0",
];

const ODD_PIECES: &[&str] = &[
    "%b()", "%b\"\"", "%f[%w]", "%f[%W]", "()", "%1", "%2", "(", ")", "[", "[a", "%", "%b", "%bx",
    "%f", "^", "$", "*", "+", "-", "?",
];

impl Scripts {
    /// A pattern of a few pieces, now and then a malformed one.
    fn pattern(&mut self) -> String {
        let mut pattern = String::new();
        if self.random.percent(15) {
            pattern.push('^');
        }
        for _ in 0..self.random.below(5) {
            let mut piece = if self.random.percent(12) {
                self.random.pick(ODD_PIECES).to_owned()
            } else {
                let class = self.random.pick(CLASSES);
                format!("{class}{}", self.random.pick(&["", "", "*", "+", "-", "?"]))
            };
            if self.random.percent(30) {
                piece = format!("({piece})");
            }
            pattern.push_str(&piece);
        }
        if self.random.percent(15) {
            pattern.push('$');
        }
        literal(pattern.as_bytes())
    }

    /// What gsub puts in the place of a match.
    fn replacement(&mut self) -> String {
        match self.random.below(6) {
            0 => self.string(),
            1 => self
                .random
                .pick(&[
                    "'[%0]'", "'%1'", "'%2%1'", "'%%'", "'%'", "'%x'", "''", "'%9'",
                ])
                .to_owned(),
            2 => "{a='A',b=false,c=3}".to_owned(),
            3 => "function(x) if x=='a' then return 'A' end end".to_owned(),
            4 => "function(x,y) return y end".to_owned(),
            _ => self.value(2),
        }
    }

    /// A call of the string library.
    pub(super) fn string_call(&mut self) -> String {
        let subject = if self.random.percent(90) {
            self.string()
        } else {
            self.value(2)
        };
        match self.random.below(13) {
            0 | 1 => {
                let (pattern, from) = (self.pattern(), self.small());
                let rest = self.random.pick(&["", ",true", ",false"]);
                let rest = if self.random.percent(50) {
                    format!(",{from}{rest}")
                } else {
                    String::new()
                };
                format!("string.find({subject},{pattern}{rest})")
            }
            2 | 3 => {
                let pattern = self.pattern();
                let rest = if self.random.percent(30) {
                    format!(",{}", self.small())
                } else {
                    String::new()
                };
                format!("string.match({subject},{pattern}{rest})")
            }
            4..=6 => {
                let (pattern, replacement) = (self.pattern(), self.replacement());
                let rest = if self.random.percent(30) {
                    format!(",{}", self.small())
                } else {
                    String::new()
                };
                format!("string.gsub({subject},{pattern},{replacement}{rest})")
            }
            7 => {
                let pattern = self.pattern();
                format!(
                    "(function() local r={{}} for a,b in string.gmatch({subject},{pattern}) do r[#r+1]=a r[#r+1]=b end return r end)()"
                )
            }
            8 => format!("string.sub({subject},{},{})", self.small(), self.small()),
            9 => format!("string.byte({subject},{},{})", self.small(), self.small()),
            10 => {
                let codes: Vec<String> = (0..self.random.below(4))
                    .map(|_| self.random.range(-1, 257).to_string())
                    .collect();
                format!("string.char({})", codes.join(","))
            }
            11 => format!("string.rep({subject},{})", self.small()),
            _ => {
                let name = self
                    .random
                    .pick(&["upper", "lower", "reverse", "len", "nosuch"]);
                format!("string.{name}({subject})")
            }
        }
    }

    /// A call of string.format.
    pub(super) fn format_call(&mut self) -> String {
        let mut format = String::new();
        let mut arguments = String::new();
        for _ in 0..=self.random.below(3) {
            let flags = self
                .random
                .pick(&["", "", "", "-", "+", " ", "#", "0", "-+", "00"]);
            let width = self.random.pick(&["", "", "5", "12", "99", "100"]);
            let precision = self
                .random
                .pick(&["", "", ".0", ".3", ".14", ".17", ".100", "."]);
            let kind = self.random.pick(&[
                "d", "i", "u", "x", "X", "o", "c", "e", "E", "f", "g", "G", "s", "s", "q", "%",
                "y", "a", "l", "",
            ]);
            let spec = if self.random.percent(60) {
                format!("%{kind}")
            } else {
                format!("%{flags}{width}{precision}{kind}")
            };
            format.push_str(&spec);
            format.push(self.random.pick(&['|', ' ']));
            if self.random.percent(95) {
                let value = match kind {
                    "s" | "q" => self.string(),
                    // Outside of what an integer holds, C does not say what comes of it.
                    "d" | "i" | "u" | "x" | "X" | "o" | "c" => self
                        .random
                        .pick(&[
                            "0",
                            "1",
                            "-1",
                            "65",
                            "3.75",
                            "-3.75",
                            "'12'",
                            "2147483648",
                            "2^53",
                            "255",
                        ])
                        .to_owned(),
                    _ => self.number(),
                };
                arguments.push(',');
                arguments.push_str(&if self.random.percent(93) {
                    value
                } else {
                    self.value(2)
                });
            }
        }
        format!("string.format({}{arguments})", literal(format.as_bytes()))
    }

    /// A call of the table library.
    pub(super) fn table_call(&mut self) -> String {
        let table = if self.random.percent(90) {
            self.list(1)
        } else {
            self.value(1)
        };
        match self.random.below(9) {
            0 => {
                let separator = self.string_of(3);
                let rest = if self.random.percent(40) {
                    format!(",{},{}", self.small(), self.small())
                } else {
                    String::new()
                };
                format!("table.concat({table},{separator}{rest})")
            }
            1 | 2 => {
                let numbers: Vec<String> = (0..self.random.below(9))
                    .map(|_| self.exact_number())
                    .collect();
                let order = self.random.pick(&[
                    "",
                    ",function(a,b) return a>b end",
                    ",function(a,b) return tostring(a)<tostring(b) end",
                ]);
                format!(
                    "(function() local t={{{}}} table.sort(t{order}) return t end)()",
                    numbers.join(",")
                )
            }
            3 => format!("(function() local t={table} table.sort(t) return t end)()"),
            4 => {
                let value = self.value(2);
                let place = if self.random.percent(50) {
                    format!("{},", self.small())
                } else {
                    String::new()
                };
                format!(
                    "(function() local t={table} table.insert(t,{place}{value}) return t,#t end)()"
                )
            }
            5 => {
                let place = if self.random.percent(50) {
                    format!(",{}", self.small())
                } else {
                    String::new()
                };
                format!(
                    "(function() local t={table} local x=table.remove(t{place}) return x,t,#t end)()"
                )
            }
            6 => format!("table.maxn({table})"),
            7 => format!("#{table},table.getn({table})"),
            _ => format!(
                "(function() local r={{}} for k,v in pairs({table}) do r[#r+1]=k end for i,v in ipairs({table}) do r[#r+1]=v end return r end)()"
            ),
        }
    }
}
