//! Compares a database with its copy when everything is copied.
//!
//! ```text
//! all keys of the source ─► is it in the target?                               EXISTS
//!                        ─► DEBUG DIGEST-VALUE on both, where both allow it     all values
//!                        ─► else every n-th key, so that about --sample are     by content (compare)
//! whatever looks wrong   ─► looked at again, by content
//! ```
//!
//! Invariants: it reports how many values were compared and how they were chosen, and never more than was looked at. The first
//! key is in every sample.
//!
//! Deliberately not here: keys that only the target has. They may have been there before.

use redis::Value;

use super::compare::{self, Verdict};
use super::facts::Facts;
use super::link::{Link, Links, number};
use super::pages::{self, Pages};
use super::progress::Progress;
use super::report::{Compared, DatabaseReport, shown};
use crate::cli::ImportArguments;

type Keys = Vec<Vec<u8>>;

/// The comparison of one database.
pub(super) struct Verifying<'a> {
    pub(super) links: &'a mut Links,
    pub(super) facts: &'a Facts,
    pub(super) arguments: &'a ImportArguments,
    pub(super) report: &'a mut DatabaseReport,
    pub(super) progress: &'a mut Progress,
}

impl Verifying<'_> {
    /// Counts the keys on both sides and, unless --no-verify is given, compares.
    ///
    /// # Errors
    /// A connection failed, or a server refuses.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        self.links.select(self.report.number)?;
        let source_keys = dbsize(&mut self.links.source)?;
        self.report.sizes = Some((source_keys, dbsize(&mut self.links.target)?));
        if self.arguments.no_verify {
            return Ok(());
        }
        let mut by_digest =
            has_digests(&mut self.links.source)? && has_digests(&mut self.links.target)?;
        let mut compared = Compared {
            by_digest,
            every: step(source_keys, self.arguments.sample),
            ..Compared::default()
        };
        let mut pages = Pages::new(self.arguments.pattern.as_deref());
        while let Some(keys) = pages.next(&mut self.links.source)? {
            let key_count = keys.len() as u64;
            let (there, missing) = self.looked_for(keys)?;
            let there_count = there.len() as u64;
            let doubtful = if by_digest {
                compared.value_count += there_count;
                self.other_digests(there)?
            } else {
                self.sampled(there, &mut compared)
            };
            compared.key_count += key_count;
            let suspects = missing.into_iter().chain(doubtful).collect();
            let same_count = self.judge(suspects, &mut compared)?;
            if by_digest && same_count > there_count / 2 {
                // The servers make their digests in different ways.
                by_digest = false;
                compared.by_digest = false;
                compared.whole_count = compared.value_count;
            }
            self.progress.advance(key_count, 0);
        }
        self.report.compared = Some(compared);
        Ok(())
    }

    /// The keys that the target has, and those it has not.
    fn looked_for(&mut self, keys: Vec<Vec<u8>>) -> anyhow::Result<(Keys, Keys)> {
        let target = &mut self.links.target;
        for key in &keys {
            target.send(&[b"EXISTS", key])?;
        }
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for key in keys {
            let reply = target.receive()?;
            if target.expected(reply, "EXISTS")? == Value::Int(0) {
                missing.push(key);
            } else {
                there.push(key);
            }
        }
        Ok((there, missing))
    }

    /// The keys whose digests differ.
    fn other_digests(&mut self, keys: Keys) -> anyhow::Result<Keys> {
        let Links { source, target } = &mut *self.links;
        for key in &keys {
            source.send(&[b"DEBUG", b"DIGEST-VALUE", key])?;
            target.send(&[b"DEBUG", b"DIGEST-VALUE", key])?;
        }
        let mut other = Vec::new();
        for key in keys {
            let (ours, theirs) = (source.receive()?, target.receive()?);
            if ours != theirs || ours.is_err() {
                other.push(key);
            }
        }
        Ok(other)
    }

    /// Those of a page that are in the sample.
    fn sampled(&self, there: Keys, compared: &mut Compared) -> Keys {
        if self.arguments.sample == 0 {
            return Vec::new();
        }
        let positions = compared.there_count..;
        compared.there_count += there.len() as u64;
        let is_chosen = |position: &u64| position.is_multiple_of(compared.every);
        let chosen: Keys = positions
            .zip(there)
            .filter(|(position, _)| is_chosen(position))
            .map(|(_, key)| key)
            .collect();
        compared.value_count += chosen.len() as u64;
        chosen
    }

    /// Compares keys by content; how many are the same.
    fn judge(&mut self, keys: Keys, compared: &mut Compared) -> anyhow::Result<u64> {
        let mut same_count = 0;
        let number = self.report.number;
        for group in pages::groups(&mut self.links.source, keys)? {
            let verdicts = compare::items(self.links, self.facts, &group)?;
            for (item, verdict) in group.iter().zip(verdicts) {
                let name = || format!("key {} of database {number}", shown(&item.key));
                match verdict {
                    Verdict::Same => same_count += 1,
                    Verdict::Gone => {}
                    Verdict::Missing => compared
                        .missing
                        .add(format!("{} is not in the target", name())),
                    Verdict::Different(why) => compared.different.add(format!(
                        "{} is not the same in source and target: {why}",
                        name()
                    )),
                    Verdict::Unknown(why) => compared
                        .unknown
                        .add(format!("{} could not be compared: {why}", name())),
                }
            }
        }
        Ok(same_count)
    }
}

/// Every how many keys one is looked at, so that at least `sample` of `keys` are, if there are so many.
fn step(keys: u64, sample: u64) -> u64 {
    (keys / sample.max(1)).max(1)
}

fn dbsize(link: &mut Link) -> anyhow::Result<u64> {
    let reply = link.call("DBSIZE")?;
    Ok(u64::try_from(number(&reply)?).unwrap_or(0))
}

/// Whether the server lets us ask for digests.
fn has_digests(link: &mut Link) -> anyhow::Result<bool> {
    Ok(link.ask(&[b"DEBUG", b"DIGEST-VALUE", b""])?.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_at_least_as_large_as_asked_for() {
        for keys in [0, 1, 7, 1_000, 1_999, 123_456] {
            for sample in [1, 10, 1_000, 1_000_000] {
                let every = step(keys, sample);
                let looked_at = keys.div_ceil(every);
                assert!(looked_at >= sample.min(keys), "{keys} {sample} {every}");
            }
        }
    }
}
