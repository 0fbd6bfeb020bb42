//! x
/// x
pub fn run(_: &crate::cli::DemoArguments) -> std::process::ExitCode { std::process::ExitCode::FAILURE }
