//! The generator's commands on bits of strings, and on sketches.

use super::*;

/// Runs of a sparse sketch that hold all registers, some that hold fewer or more, and what is behind them.
const RUNS: &[&[u8]] = &[
    b"\x7f\xff",
    b"\x3f\x88\x7f\xbe",
    b"\x5f\xff\x5f\xff",
    b"\x00\x84\x84\x7f\xfc",
    b"\x83\x87\x7f\xf7",
    b"\x7f\xff\x00",
    b"\x40\x05\x00",
    b"\x00",
    b"",
];

impl Generator {
    fn bit_offset(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.wild_number(),
            1 => self.random.range(0, 20_000).to_string().into_bytes(),
            2 => self
                .random
                .pick(&["4294967296", "-1", "#1", "4294967295x"])
                .into(),
            _ => self.random.range(0, 120).to_string().into_bytes(),
        }
    }

    fn unit(&mut self) -> &'static str {
        self.random
            .pick(&["BIT", "bit", "BIT", "BYTE", "byte", "BITS"])
    }

    fn index(&mut self) -> Vec<u8> {
        if self.random.percent(4) {
            self.wild_number()
        } else {
            self.random.range(-40, 60).to_string().into_bytes()
        }
    }

    pub(super) fn bitmap(&mut self) -> Words {
        let key = self.key_of(STRING_KEYS);
        match self.random.below(16) {
            0..3 => {
                let bit = self.random.pick(&["0", "1", "1", "1", "0", "2", "x"]);
                words!["SETBIT", key, self.bit_offset(), bit]
            }
            3 => words!["GETBIT", key, self.bit_offset()],
            4 | 5 => {
                let mut words = words!["BITCOUNT", key];
                if self.random.percent(80) {
                    words.extend([self.index(), self.index()]);
                    if self.random.percent(60) {
                        words.push(self.unit().into());
                    }
                }
                words
            }
            6..8 => {
                let bit = self.random.pick(&["0", "1", "0", "1", "2"]);
                let mut words = words!["BITPOS", key, bit];
                for percent in [80, 80] {
                    if !self.random.percent(percent) {
                        return words;
                    }
                    words.push(self.index());
                }
                if self.random.percent(60) {
                    words.push(self.unit().into());
                }
                words
            }
            8..11 => {
                let operation = self.random.pick(&["AND", "OR", "XOR", "xor", "NOT", "NOR"]);
                let mut words = words!["BITOP", operation, self.key_of(STRING_KEYS), key];
                if operation != "NOT" || self.random.percent(10) {
                    for _ in 0..self.random.below(4) {
                        words.push(self.key_of(STRING_KEYS));
                    }
                }
                words
            }
            11 => {
                let mut words = words!["BITFIELD_RO", key];
                for _ in 0..self.random.below(3) {
                    words.extend(words!["GET", self.field_type(), self.field_offset()]);
                }
                if self.random.percent(8) {
                    words.extend(words!["SET", "u8", "0", "1"]);
                }
                words
            }
            _ => self.bitfield(key),
        }
    }

    fn field_type(&mut self) -> Vec<u8> {
        if self.random.percent(4) {
            let wrong = ["u64", "i65", "i0", "u", "8", "", "I8", "u08"];
            return self.random.pick(&wrong).into();
        }
        let sign = self.random.pick(&["u", "i"]);
        let width = match self.random.below(4) {
            0 => self.random.pick(&[1, 2, 8, 16, 32, 63]),
            _ => self.random.range(1, 63),
        };
        let width = if sign == "i" && self.random.percent(15) {
            64
        } else {
            width
        };
        format!("{sign}{width}").into_bytes()
    }

    fn field_offset(&mut self) -> Vec<u8> {
        if self.random.percent(25) {
            format!("#{}", self.random.range(0, 9)).into_bytes()
        } else {
            self.bit_offset()
        }
    }

    fn field_value(&mut self) -> Vec<u8> {
        match self.random.below(8) {
            0 => self.wild_number(),
            1 => i64::MAX.to_string().into_bytes(),
            2 => i64::MIN.to_string().into_bytes(),
            3 => (1_i64 << self.random.below(63)).to_string().into_bytes(),
            4 => (-1_i64 << self.random.below(63)).to_string().into_bytes(),
            _ => self.random.range(-300, 300).to_string().into_bytes(),
        }
    }

    fn bitfield(&mut self, key: Vec<u8>) -> Words {
        let mut words = words!["BITFIELD", key];
        for _ in 0..self.random.below(5) {
            let (encoding, offset) = (self.field_type(), self.field_offset());
            words.extend(match self.random.below(7) {
                0 | 1 => words!["GET", encoding, offset],
                2 | 3 => words!["SET", encoding, offset, self.field_value()],
                4 | 5 => words!["INCRBY", encoding, offset, self.field_value()],
                _ => words![
                    "OVERFLOW",
                    self.random
                        .pick(&["WRAP", "SAT", "FAIL", "sat", "fail", "NONE"])
                ],
            });
        }
        words
    }

    /// Elements to add: few, or so many that a sketch becomes dense.
    fn elements(&mut self) -> Words {
        let count = match self.random.below(30) {
            0 => 1500,
            1 | 2 => 200,
            _ => self.random.below(6),
        };
        let mut words = Words::new();
        for _ in 0..count {
            words.push(match self.random.below(12) {
                0 => self.value(),
                _ => format!("e{}", self.random.below(20_000)).into_bytes(),
            });
        }
        words
    }

    pub(super) fn sketch(&mut self) -> Words {
        let key = self.key_of(SKETCH_KEYS);
        match self.random.below(24) {
            0..10 => {
                let mut words = words!["PFADD", key];
                words.extend(self.elements());
                words
            }
            10..13 => words!["PFCOUNT", key],
            13 => words![
                "PFCOUNT",
                key,
                self.key_of(SKETCH_KEYS),
                self.key_of(SKETCH_KEYS)
            ],
            14..17 => {
                let mut words = words!["PFMERGE", key];
                for _ in 0..self.random.below(4) {
                    words.push(self.key_of(SKETCH_KEYS));
                }
                words
            }
            17..19 => words!["GET", key],
            19 => words!["OBJECT", "ENCODING", key],
            20 => {
                let head: &[u8] = self.random.pick(&[
                    b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80",
                    b"HYLL\x01\0\0\0\x07\0\0\0\0\0\0\0",
                    b"HYLL\x01abc\x07\0\0\0\0\0\0\x80",
                    b"HYLL\x00\0\0\0\0\0\0\0\0\0\0\0",
                    b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0",
                    b"HYLK\x01\0\0\0\0\0\0\0\0\0\0\0",
                    b"HYLL\x01\0\0\0",
                ]);
                let value = [head, self.random.pick(RUNS)].concat();
                words!["SET", key, value]
            }
            21 => words!["DEL", key],
            _ => {
                let name = self.random.pick(&[
                    "ENCODING", "DECODE", "decode", "TODENSE", "GETREG", "NOSUCH",
                ]);
                words!["PFDEBUG", name, key]
            }
        }
    }
}
