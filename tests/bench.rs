//! The benchmark runs: workloads against the built server and the null server, a CSV with figures and no faults at the end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

/// Runs the benchmark for moments; what it told.
fn run(out: &Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millrace-bench"))
        .args(["--quick", "--rounds", "1", "--seconds", "0.05"])
        .args(["--connections", "4"])
        .args(["--millrace", env!("CARGO_BIN_EXE_millrace")])
        .args(["--out", out.to_str().unwrap()])
        .args(words)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");
    told
}

/// The same; the rows of one of its CSV files, fields by the name of their column.
fn rows(out: &Path, file: &str, words: &[&str]) -> Vec<Vec<(String, String)>> {
    run(out, words);
    let csv = std::fs::read_to_string(out.join(file)).unwrap();
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
    let rows = rows(out.path(), "compare.csv", &words);
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
    let words = [
        "--servers",
        "redis,millrace:1",
        "--workload",
        "XREADGROUP CLAIM",
    ];
    let rows = rows(out.path(), "compare.csv", &words);
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

#[test]
fn sharding_compares_with_one_shard() {
    let out = tempfile::tempdir().unwrap();
    let rows = rows(
        out.path(),
        "sharding.csv",
        &[
            "sharding",
            "--workload",
            "two shards",
            "--workload",
            "two keys",
        ],
    );
    assert_eq!(rows.len(), 2 * 4, "{rows:?}");
    for row in &rows {
        assert_eq!(field(row, "fault"), "", "{row:?}");
        assert!(field(row, "cpu_us").parse::<f64>().unwrap() > 0.0);
    }
}

#[test]
fn growth_has_a_row_for_each_number_and_a_picture() {
    let out = tempfile::tempdir().unwrap();
    let words = [
        "growth",
        "--servers",
        "millrace:1,null",
        "--workload",
        "LPUSH by",
    ];
    let rows = rows(out.path(), "growth.csv", &words);
    // 1, 10, 100, 1000 connections of two servers.
    assert_eq!(rows.len(), 8, "{rows:?}");
    for row in &rows {
        assert_eq!(field(row, "fault"), "", "{row:?}");
        assert!(field(row, "per_second").parse::<f64>().unwrap() > 0.0);
    }
    let picture = out.path().join("growth-lpush-by-connections.svg");
    assert!(std::fs::metadata(picture).unwrap().len() > 1000);
}

#[test]
fn stall_measures_the_light_client_while_the_other_reads() {
    let out = tempfile::tempdir().unwrap();
    let words = ["stall", "--servers", "millrace:2", "--workload", "LRANGE"];
    let told = run(out.path(), &words);
    let row = told
        .lines()
        .find(|line| line.starts_with("| LRANGE of all |"));
    let cell = row.unwrap().split('|').nth(2).unwrap().trim();
    let figures: Vec<f64> = cell
        .split(" (")
        .next()
        .unwrap()
        .split(" / ")
        .map(|figure| figure.parse().unwrap())
        .collect();
    assert_eq!(figures.len(), 4, "{told}");
    assert!(figures[0] > 0.0 && figures[0] <= figures[3], "{told}");
}

#[test]
fn each_mode_names_its_rows_without_starting_anything() {
    let out = tempfile::tempdir().unwrap();
    let told = run(out.path(), &["stall", "--list", "--servers", "nobody"]);
    assert!(told.lines().any(|line| line == "LRANGE of all"), "{told}");
    let told = run(out.path(), &["growth", "--list", "--workload", "groups"]);
    assert_eq!(told, "XREADGROUP by groups\n");
}
