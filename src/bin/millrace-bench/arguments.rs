//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::catalogue::Scale;
use crate::fleet::Spec;
use crate::measure::Schedule;

/// Compares servers in turns within one run: CPU for each command, throughput, latency, memory.
///
/// Starts every server itself, on free ports, without persistence. A figure in the tables is the median of the rounds;
/// an error reply, a wrong reply or silence leaves its cell without one.
#[derive(Debug, Parser)]
#[command(name = "millrace-bench", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What else it can do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Mode {
    /// Latency of a light client while another reads, deletes, searches or flushes what is big.
    Stall,
    /// CPU and throughput over the number of entries, keys, groups, connections.
    Growth,
    /// CPU for each command with 1, 2, 4 and 8 shards, the load on the same cores.
    Sharding,
    /// Throughput over the number of shards, server and load on cores of their own; needs at least 4.
    Scaling,
    /// What a model says of more cores than there are: throughput and latency, keyspaces held or commands shipped.
    Model,
    /// The null server itself.
    #[command(hide = true)]
    NullServer { port: u16 },
}

/// What is measured and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// A part of the workloads, shorter turns, less data: under three minutes.
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// Which servers, with commas: millrace:SHARDS, redis, null.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        default_value = "millrace:1,millrace:2,redis,null"
    )]
    pub(crate) servers: Vec<String>,
    /// Another server: name=command with {port} in it. Any number of times.
    #[arg(long, global = true, value_name = "NAME=COMMAND")]
    pub(crate) server: Vec<String>,
    /// Only workloads with this in their name, whatever its case; `memory` for those of memory. Any number of times.
    #[arg(long, global = true, value_name = "SUBSTRING")]
    pub(crate) workload: Vec<String>,
    /// Names every workload and ends.
    #[arg(long, global = true)]
    pub(crate) list: bool,
    /// Rounds [default: 5].
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(1..1000))]
    pub(crate) rounds: Option<u64>,
    /// Length of a turn [default: 0.15 quick, 0.8 full].
    #[arg(long, global = true)]
    pub(crate) seconds: Option<f64>,
    /// Connections where the workload says nothing else.
    #[arg(long, global = true, default_value_t = 50)]
    pub(crate) connections: usize,
    /// The millrace under test [default: the one beside this program].
    #[arg(long, global = true)]
    pub(crate) millrace: Option<PathBuf>,
    /// Where the CSV and the pictures go.
    #[arg(long, global = true, default_value = "target/bench")]
    pub(crate) out: PathBuf,
}

impl Options {
    pub(crate) fn scale(&self) -> Scale {
        Scale {
            is_quick: self.quick,
            connections: self.connections.clamp(1, 10_000),
        }
    }

    pub(crate) fn schedule(&self) -> Schedule {
        let usual = if self.quick { 0.15 } else { 0.8 };
        let seconds = self.seconds.unwrap_or(usual).clamp(0.01, 600.0);
        let turn = Duration::from_secs_f64(seconds);
        Schedule {
            rounds: usize::try_from(self.rounds.unwrap_or(5)).unwrap_or(1),
            turn,
            warm: turn / 4,
        }
    }

    /// The servers asked for.
    ///
    /// # Errors
    /// A name that stands for none, or none at all.
    pub(crate) fn specs(&self) -> anyhow::Result<Vec<Spec>> {
        let named = self.servers.iter().filter(|name| !name.is_empty());
        let mut specs: Vec<Spec> = named
            .map(|name| Spec::named(name))
            .collect::<anyhow::Result<_>>()?;
        for text in &self.server {
            specs.push(Spec::other(text)?);
        }
        anyhow::ensure!(!specs.is_empty(), "no servers");
        Ok(specs)
    }

    /// Whether a workload was asked for by name; any, when none was.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.workload.is_empty()
            || self
                .workload
                .iter()
                .any(|wanted| name.contains(&wanted.to_lowercase()))
    }
}
