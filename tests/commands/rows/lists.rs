//! What may differ from an oracle, each entry with its reason.

/// Against which oracle a difference is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// Any: it is wanted.
    Any,
    /// Redis 7.0 (Debian's): 7.2, which millrace follows, changed it.
    Redis70,
    /// Redis 7.2, while 7.0 happens to be as we are.
    Redis72,
}

/// One fact of some commands that is not the oracle's.
pub(super) struct Accepted {
    pub(super) against: Against,
    pub(super) fact: &'static str,
    pub(super) commands: &'static [&'static str],
    pub(super) reason: &'static str,
}

impl Accepted {
    pub(super) fn holds(&self, against: Against) -> bool {
        self.against == Against::Any || self.against == against
    }
}

/// Commands that 7.0 does not have.
pub(super) const OURS_ALONE: &[&str] = &[
    "client|no-touch",
    "client|setinfo",
    "cluster|myshardid",
    "waitaof",
];

/// Commands of a Redis newer than any oracle.
pub(super) const NEWER: &[&str] = &[
    "blmovem",
    "bzmove",
    "delex",
    "digest",
    "hexpire",
    "hexpireat",
    "hexpiretime",
    "hgetdel",
    "hgetex",
    "hpersist",
    "hpexpire",
    "hpexpireat",
    "hpexpiretime",
    "hpttl",
    "hsetex",
    "httl",
    "lmovem",
    "msetex",
    "saddex",
    "script|show",
    "sdiffcard",
    "sexpire",
    "sexpireat",
    "sexpiretime",
    "spersist",
    "spexpire",
    "spexpireat",
    "spexpiretime",
    "spttl",
    "sttl",
    "sunioncard",
    "xackdel",
    "xcfgset",
    "xdelex",
    "xidmprecord",
    "xnack",
    "zmove",
    "zmovemember",
];

pub(super) const ACCEPTED: &[Accepted] = &[
    Accepted {
        against: Against::Any,
        fact: "arguments",
        commands: &["client|kill"],
        reason: "MAXAGE is of Redis 7.4",
    },
    Accepted {
        against: Against::Any,
        fact: "arguments",
        commands: &["xadd", "xtrim"],
        reason: "reference policies are of Redis 8.2, idempotency of 8.6",
    },
    Accepted {
        against: Against::Any,
        fact: "arguments",
        commands: &["xread", "xreadgroup"],
        reason: "CLAIM is of Redis 8.4, MAXCOUNT and MAXSIZE of 8.10",
    },
    Accepted {
        against: Against::Any,
        fact: "arguments",
        commands: &["set"],
        reason: "IFEQ and its kin are of Redis 8.4",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &[
            "geodist",
            "geohash",
            "geopos",
            "georadius",
            "georadius_ro",
            "georadiusbymember",
            "georadiusbymember_ro",
            "geosearch",
            "geosearchstore",
        ],
        reason: "7.0 writes units in capitals, wants members, and has no choice of STORE and STOREDIST",
    },
    Accepted {
        against: Against::Redis70,
        fact: "complexity",
        commands: &["geodist", "geohash", "geopos"],
        reason: "7.0 does not know its table of members here",
    },
    Accepted {
        against: Against::Any,
        fact: "arguments",
        commands: &["hscan"],
        reason: "NOVALUES is of Redis 7.4",
    },
    Accepted {
        against: Against::Any,
        fact: "complexity",
        commands: &[
            "cluster|addslots",
            "cluster|addslotsrange",
            "cluster|count-failure-reports",
            "cluster|delslots",
            "cluster|delslotsrange",
            "cluster|getkeysinslot",
            "cluster|keyslot",
            "cluster|links",
            "cluster|nodes",
            "cluster|reset",
            "cluster|shards",
            "cluster|slots",
        ],
        reason: "refused at once: there is no cluster",
    },
    Accepted {
        against: Against::Redis72,
        fact: "complexity",
        commands: &["cluster|replicas", "cluster|slaves"],
        reason: "refused at once: there is no cluster",
    },
    Accepted {
        against: Against::Any,
        fact: "complexity",
        commands: &[
            "acl|getuser",
            "acl|list",
            "acl|users",
            "function|flush",
            "module|list",
            "shutdown",
        ],
        reason: "nothing to count: one user, no modules, nothing to save; libraries are dropped at once",
    },
    Accepted {
        against: Against::Any,
        fact: "complexity",
        commands: &[
            "acl|cat",
            "client|unblock",
            "memory|stats",
            "setrange",
            "xack",
            "xautoclaim",
            "xgroup|delconsumer",
            "xinfo|consumers",
            "xinfo|groups",
            "xinfo|stream",
            "xpending",
            "xrange",
            "xread",
            "xreadgroup",
            "xrevrange",
        ],
        reason: "ours is another structure, or what Redis leaves out is told",
    },
    Accepted {
        against: Against::Any,
        fact: "complexity",
        commands: &["lolwut", "memory|malloc-stats", "memory|purge", "monitor"],
        reason: "Redis tells none",
    },
    Accepted {
        against: Against::Redis70,
        fact: "complexity",
        commands: &["punsubscribe"],
        reason: "7.0 counts the patterns of all clients",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &[
            "client|list",
            "config|get",
            "module|loadex",
            "psubscribe",
            "xinfo|stream",
        ],
        reason: "7.0 puts a repeated argument into a block, and FULL before its own",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &["bitop", "pfmerge"],
        reason: "7.2 names the operations, and takes a destination alone",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &["migrate"],
        reason: "7.2 shows the empty string in quotes, and a login as what it may leave out once",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &["zrank", "zrevrank"],
        reason: "WITHSCORE is of 7.2",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arity",
        commands: &["zrank", "zrevrank"],
        reason: "WITHSCORE is of 7.2",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arguments",
        commands: &["command|getkeys", "command|getkeysandflags"],
        reason: "7.0 tells none",
    },
    Accepted {
        against: Against::Redis70,
        fact: "arity",
        commands: &["command|getkeys", "command|getkeysandflags"],
        reason: "7.0 wants an argument of the command",
    },
    Accepted {
        against: Against::Redis70,
        fact: "flags",
        commands: &[
            "blmove",
            "blpop",
            "brpop",
            "brpoplpush",
            "bzpopmax",
            "bzpopmin",
            "wait",
        ],
        reason: "7.0 refuses to run in a script what may block",
    },
    Accepted {
        against: Against::Redis70,
        fact: "flags",
        commands: &["cluster|shards", "cluster|slots"],
        reason: "7.0 does not answer while it loads",
    },
    Accepted {
        against: Against::Redis70,
        fact: "tips",
        commands: &[
            "client|setname",
            "config|resetstat",
            "config|rewrite",
            "latency|reset",
            "msetnx",
            "randomkey",
            "scan",
        ],
        reason: "7.2 mended the advice for proxies",
    },
    Accepted {
        against: Against::Redis70,
        fact: "since",
        commands: &["client|pause"],
        reason: "7.0 names a version before a release",
    },
    Accepted {
        against: Against::Redis70,
        fact: "deprecated since",
        commands: DEPRECATED,
        reason: "deprecated later than 7.0",
    },
    Accepted {
        against: Against::Redis70,
        fact: "doc flags",
        commands: DEPRECATED,
        reason: "deprecated later than 7.0",
    },
    Accepted {
        against: Against::Redis70,
        fact: "replaced by",
        commands: DEPRECATED,
        reason: "deprecated later than 7.0",
    },
];

const DEPRECATED: &[&str] = &["psetex", "quit", "setex", "setnx"];
