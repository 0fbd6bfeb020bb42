//! What is taken from generated commands, since no two servers would do it alike.

use super::*;

/// The integer that a word is.
fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

impl Generator {
    /// Without what the oracle does by mistake, or by its age, and what would make the states differ from then on: LSET of
    /// Redis cuts an index to 32 bits; what follows 7.0 refuses the rank of LPOS that has no opposite, what follows 7.2 the count of
    /// LREM that has none; SET with an expiry in the past leaves a key up to 7.2 that is found expired later.
    pub(super) fn tamed(&self, mut words: Words) -> Words {
        let name = words[0].to_ascii_uppercase();
        let is_later = self.dialect >= Dialect::Later;
        let cut = match name.as_slice() {
            b"LSET" => self.dialect != Dialect::Later,
            b"LPOS" => self.dialect == Dialect::Redis70,
            b"LREM" => is_later,
            _ => false,
        };
        for word in words.iter_mut().skip(1) {
            if cut && word.len() > 9 && number(word).is_some() {
                word.truncate(9);
            }
        }
        // The first time that is not in the past for many years, in the unit of the option.
        let future = |word: &[u8]| match word.to_ascii_uppercase().as_slice() {
            b"PXAT" => Some(4_000_000_000_000),
            b"EXAT" => Some(4_000_000_000),
            _ => None,
        };
        for at in 1..words.len().saturating_sub(1) {
            if let (Some(future), Some(time)) = (future(&words[at]), number(&words[at + 1]))
                && !is_later
                && !(future..1 << 45).contains(&time)
            {
                words[at + 1] = future.to_string().into_bytes();
            }
        }
        tame_members(&name, &mut words, self.dialect);
        // Nothing may end at a moment that one server sees and the other not: 1 ms, which comes with a sleep, or long after.
        let option = |name: &[u8]| {
            words
                .iter()
                .position(|word| word.eq_ignore_ascii_case(name))
        };
        let soon = match name.as_slice() {
            b"PSETEX" | b"PEXPIRE" => Some((2, 2)),
            b"SETEX" | b"EXPIRE" => Some((2, 1)),
            _ => option(b"PX")
                .map(|at| (at + 1, 2))
                .or(option(b"EX").map(|at| (at + 1, 1))),
        };
        if let Some((at, least)) = soon
            && let Some(word) = words.get_mut(at)
            && number(word).is_some_and(|time| (least..100_000).contains(&time))
        {
            word.extend_from_slice(b"00000");
        }
        words
    }
}

/// Takes from a command on members, or on times, what no two servers would do alike.
fn tame_members(name: &[u8], words: &mut Words, dialect: Dialect) {
    if matches!(name, b"SORT" | b"SORT_RO")
        && !words.iter().any(|word| word.eq_ignore_ascii_case(b"alpha"))
    {
        words.push(b"ALPHA".to_vec());
    }
    // WITHSCORE is of 7.2.
    if dialect == Dialect::Redis70 && matches!(name, b"ZRANK" | b"ZREVRANK") {
        words.truncate(3);
    }
    // Redis 7.0 minds numbers behind the last register of a sketch, 7.2 does not.
    if dialect == Dialect::Redis70
        && name == b"APPEND"
        && words
            .get(1)
            .is_some_and(|key| SKETCH_KEYS.contains(&key.as_slice()))
    {
        words.truncate(2);
    }
    // SORT takes a text for equal to the one that is cut at its first NUL, and what is equal has no order.
    if matches!(
        name,
        b"SADD" | b"LPUSH" | b"RPUSH" | b"LPUSHX" | b"RPUSHX" | b"LINSERT" | b"LSET"
    ) {
        for word in words
            .iter_mut()
            .skip(2)
            .filter(|word| word.as_slice() == b"\0")
        {
            word.insert(0, 1);
        }
    }
    // What chance decides: all members or none are taken, and no more are asked for than there is room for.
    match name {
        b"SPOP" if words.len() == 2 => words.push(b"1000".to_vec()),
        b"SPOP" if number(&words[2]).is_some_and(|count| (1..1000).contains(&count)) => {
            words[2] = b"1000".to_vec();
        }
        b"SRANDMEMBER" | b"ZRANDMEMBER"
            if words
                .get(2)
                .and_then(|word| number(word))
                .is_some_and(|count| (-i64::MAX..-1000).contains(&count)) =>
        {
            words[2] = b"-3".to_vec();
        }
        _ => {}
    }
    // Ranges of members mean something only where all scores are the same.
    if words.get(1).is_some_and(|key| *key == LEX_KEY) {
        match name {
            b"ZADD" => words[2..]
                .iter_mut()
                .step_by(2)
                .for_each(|score| *score = b"0".to_vec()),
            b"ZINCRBY" | b"ZRANGESTORE" | b"ZUNIONSTORE" | b"ZINTERSTORE" | b"ZDIFFSTORE" => {
                words[1] = SORTED_SET_KEYS[0].to_vec();
            }
            _ => {}
        }
    }
    // The highest time overflows in EXPIRETIME up to 7.2.
    if matches!(name, b"PEXPIREAT" | b"EXPIREAT")
        && let Some(word) = words.get_mut(2)
        && number(word).is_some_and(|time| time > 1 << 45)
    {
        *word = b"4000000000000".to_vec();
    }
}
