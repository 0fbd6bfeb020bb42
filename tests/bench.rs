//! The benchmark runs: workloads against the built server and the null server, a CSV with figures and no faults at the end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// Runs the benchmark for moments and returns its CSV, rows of fields by column name.
fn rows(out: &Path, words: &[&str]) -> Vec<Vec<(String, String)>> {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace-bench"))
        .args([
            "--quick",
            "--rounds",
            "1",
            "--seconds",
            "0.05",
            "--connections",
            "4",
        ])
        .args(["--millrace", env!("CARGO_BIN_EXE_millrace")])
        .args(["--out", out.to_str().unwrap()])
        .args(words)
        .output()
        .unwrap();
    let (told, failed) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{failed}");
    let csv = std::fs::read_to_string(out.join("compare.csv")).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines
        .map(|fields| names.iter().cloned().zip(fields).collect())
        .collect()
}

fn field<'a>(row: &'a [(String, String)], name: &str) -> &'a str {
    &row.iter().find(|(column, _)| column == name).unwrap().1
}

#[test]
fn the_benchmark_measures_and_finds_no_fault() {
    let out = tempfile::tempdir().unwrap();
    let chosen = [
        "PING P64",
        "RPOP P16",
        "COUNT 10 + XACK",
        "hand-over",
        "PUBLISH to 1",
        "4 workers",
    ];
    let mut words = vec!["--servers", "millrace:2"];
    for workload in &chosen {
        words.extend(["--workload", workload]);
    }
    let rows = rows(out.path(), &words);
    assert!(rows.len() >= chosen.len(), "{rows:?}");
    for row in &rows {
        assert_eq!(field(row, "fault"), "", "{row:?}");
        assert!(
            field(row, "per_second").parse::<f64>().unwrap() > 0.0,
            "{row:?}"
        );
        assert!(
            field(row, "cpu_us").parse::<f64>().unwrap() > 0.0,
            "{row:?}"
        );
        assert!(
            field(row, "p50_us").parse::<f64>().unwrap() > 0.0,
            "{row:?}"
        );
    }
}

#[test]
fn a_command_that_a_server_does_not_know_has_no_figure_and_the_others_have() {
    let out = tempfile::tempdir().unwrap();
    let words = ["--servers", "redis,null", "--workload", "XREADGROUP CLAIM"];
    let rows = rows(out.path(), &words);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(field(&rows[0], "fault").starts_with("n/a: "), "{rows:?}");
    assert_eq!(field(&rows[0], "per_second"), "");
    assert_eq!(field(&rows[1], "fault"), "");
    assert!(
        std::fs::metadata(out.path().join("compare.svg"))
            .unwrap()
            .len()
            > 100
    );
}
