//! A file, piece by piece.

use std::io::{self, Write};

use super::encode::{self, Form};
use super::out::Out;
use super::{EFFECTS, Options, opcodes};
use crate::keyspace::effect::EffectWriter;
use crate::keyspace::rewrite::beyond_files;
use crate::keyspace::value::Value;

/// How much of the effects of a key goes into one AUX field, bytes.
const EFFECTS_BYTES: usize = 32 * 1024;

/// A key to be written, with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'e> {
    /// The key.
    pub(crate) key: &'e [u8],
    /// Its value.
    pub(crate) value: &'e Value,
    /// When it ends, Unix ms.
    pub(crate) expire_ms: Option<u64>,
    /// For how long it was not used, seconds: where keys go by when they were used.
    pub(crate) idle_s: Option<u64>,
    /// How often it was used: where keys go by that.
    pub(crate) frequency: Option<u8>,
}

/// Writes a file: header, AUX fields, databases, functions, end. Nothing larger than a piece is gathered in memory.
pub(crate) struct Writer<W> {
    out: Out<W>,
    options: Options,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of the sink, as everywhere here.
    pub(crate) fn new(options: Options, sink: W) -> io::Result<Self> {
        let mut out = Out::new(sink, options.compress, options.checksum);
        out.raw(format!("REDIS{:04}", options.version.number()).as_bytes())?;
        Ok(Self { out, options })
    }

    /// Says something about the file.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.out.byte(opcodes::AUX)?;
        self.out.string(name)?;
        self.out.string(value)
    }

    /// The entries that follow are of this database.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn select(&mut self, db: u64) -> io::Result<()> {
        self.out.byte(opcodes::SELECTDB)?;
        self.out.length(db)
    }

    /// How many keys the database has, and how many of them end.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn resize(&mut self, key_count: u64, ending_count: u64) -> io::Result<()> {
        self.out.byte(opcodes::RESIZEDB)?;
        self.out.length(key_count)?;
        self.out.length(ending_count)
    }

    /// A key with its value, and behind it what the format does not hold.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>, now_ms: u64) -> io::Result<()> {
        let out = &mut self.out;
        if let Some(ms) = entry.expire_ms {
            out.byte(opcodes::EXPIRETIME_MS)?;
            out.time(ms as i64)?;
        }
        if let Some(idle_s) = entry.idle_s {
            out.byte(opcodes::IDLE)?;
            out.length(idle_s)?;
        }
        if let Some(frequency) = entry.frequency {
            out.raw(&[opcodes::FREQ, frequency])?;
        }
        let form = Form {
            version: self.options.version,
            ends_of_fields: false,
        };
        out.byte(encode::type_of(entry.value, form))?;
        out.string(entry.key)?;
        encode::write(out, entry.value, form)?;
        self.effects(entry.key, entry.value, now_ms)
    }

    fn effects(&mut self, key: &[u8], value: &Value, now_ms: u64) -> io::Result<()> {
        let (mut effects, mut result) = (Vec::new(), Ok(()));
        beyond_files(key, value, now_ms, &mut |effect: &EffectWriter| {
            effect.encode(&mut effects);
            if effects.len() >= EFFECTS_BYTES && result.is_ok() {
                result = self.aux(EFFECTS, &effects);
                effects.clear();
            }
        });
        result?;
        if !effects.is_empty() {
            self.aux(EFFECTS, &effects)?;
        }
        Ok(())
    }

    /// A library of functions.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn functions(&mut self, library: &[u8]) -> io::Result<()> {
        self.out.byte(opcodes::FUNCTION2)?;
        self.out.string(library)
    }

    /// Ends the file and gives the sink.
    ///
    /// # Errors
    /// Those of the sink.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.byte(opcodes::EOF)?;
        let sum = self.out.checksum()?;
        self.out.raw(&sum.to_le_bytes())?;
        self.out.into_sink()
    }
}
