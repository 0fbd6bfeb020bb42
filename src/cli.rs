//! The command line of the subcommands.
