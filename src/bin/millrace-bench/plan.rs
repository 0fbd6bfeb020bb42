//! What a load is made of: which connections, what each sends, what a right answer is.

/// What a reply must be. Anything else, an error above all, ends the turn: a wrong answer has no speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Any reply that is no error.
    Any,
    /// A reply of this type (`+ : $ *`), and no null.
    Kind(u8),
    /// A bulk of so many bytes.
    Bulk(i64),
    /// This integer.
    Integer(i64),
    /// So many values, the reply itself and all within.
    Values(u64),
}

/// Connections that do the same.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// Sends `depth` units, waits for all replies, sends again.
    Loop {
        connections: usize,
        /// The commands of a unit, each with its right answer. What is counted is units.
        unit: Vec<(String, Expect)>,
        /// Units in a pipeline.
        depth: usize,
        /// Deliveries to other connections that each unit causes.
        owes: u64,
    },
    /// Subscribes, then counts what is pushed to it.
    Subscriber {
        connections: usize,
        command: String,
        /// Replies that confirm it.
        confirmations: usize,
    },
    /// A blocking pop of payloads that are times, again and again.
    Consumer { connections: usize, command: String },
    /// Reads entries of a group, acknowledges them all in one command, again and again.
    Worker {
        connections: usize,
        read: String,
        /// Words before the IDs: `XACK key group`.
        acknowledge: String,
        /// Entries that each read must give; `None` for a read that blocks until there are some.
        entries: Option<usize>,
    },
}

/// Which time is taken, and what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Units; from writing a batch to each of its replies.
    Reply,
    /// Units; from writing to the last delivery that follows from it.
    FanOut,
    /// Deliveries; from the time in the payload to its arrival (pop) or to the reply of its acknowledgement (worker).
    Payload,
}

/// A load.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) parts: Vec<Part>,
    pub(crate) measure: Measure,
    /// Most deliveries under way before producers pause.
    pub(crate) owed_max: u64,
    /// Number of the first connection, where several loads run at once.
    pub(crate) first_number: usize,
}

impl Plan {
    /// One kind of connection that sends and waits.
    pub(crate) fn looped(connections: usize, depth: usize, unit: Vec<(String, Expect)>) -> Self {
        Self {
            parts: vec![Part::Loop {
                connections,
                unit,
                depth,
                owes: 0,
            }],
            measure: Measure::Reply,
            owed_max: 0,
            first_number: 0,
        }
    }

    /// Leaves every answer but an error uncommented.
    pub(crate) fn accept_anything(&mut self) {
        for part in &mut self.parts {
            if let Part::Loop { unit, .. } = part {
                for (_, expect) in unit {
                    *expect = Expect::Any;
                }
            }
        }
    }

    /// Connections in all.
    pub(crate) fn connections(&self) -> usize {
        self.parts.iter().map(Part::connections).sum()
    }
}

impl Part {
    /// How many connections do this.
    pub(crate) fn connections(&self) -> usize {
        match self {
            Part::Loop { connections, .. }
            | Part::Subscriber { connections, .. }
            | Part::Consumer { connections, .. }
            | Part::Worker { connections, .. } => *connections,
        }
    }
}
