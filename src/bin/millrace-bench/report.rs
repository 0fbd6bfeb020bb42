//! What is shown: Markdown tables for people, a CSV for everything else.

use std::fmt::Write as _;
use std::path::Path;

use crate::fleet::{Kind, Server};
use crate::measure::{Cell, Row};
use crate::{memory, usage};

/// The names of the servers, and which one the others are compared with.
pub(crate) struct Columns {
    pub(crate) names: Vec<String>,
    pub(crate) reference: Option<usize>,
}

impl Columns {
    pub(crate) fn of(servers: &[Server]) -> Self {
        Self {
            names: servers
                .iter()
                .map(|server| server.spec.name.clone())
                .collect(),
            reference: servers
                .iter()
                .position(|server| server.spec.kind == Kind::Redis),
        }
    }

    /// The cell the others are compared with, if it has figures.
    pub(crate) fn reference_cell<'a>(&self, row: &'a Row) -> Option<&'a Cell> {
        let cell = row.cells.get(self.reference?)?;
        (cell.fault.is_none() && !cell.turns.is_empty()).then_some(cell)
    }

    /// The head of a table with a column for each server.
    pub(crate) fn head(&self, first: &str) -> String {
        let mut text = format!("| {first} |");
        for name in &self.names {
            let _infallible = write!(text, " {name} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(self.names.len()));
        text.push('\n');
        text
    }
}

/// When, where, what, how.
pub(crate) fn opening(servers: &[Server]) -> String {
    let mut text = format!(
        "# millrace-bench\n\n* {}\n* {}\n* `{}`\n",
        date(),
        usage::machine(),
        std::env::args().collect::<Vec<_>>().join(" "),
    );
    for server in servers {
        let _infallible = writeln!(
            text,
            "* {}: {}, `{}`",
            server.spec.name, server.version, server.command_line
        );
    }
    text
}

/// The day and time, UTC, as the kernel's clock has it.
fn date() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(i64::try_from(day).unwrap_or(0));
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Day since 1970 to year, month, day. Source: H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The three tables of the comparison.
pub(crate) fn tables(columns: &Columns, rows: &[Row]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        return text;
    }
    let with_ratio = |cell: &Cell, value: f64, reference: Option<f64>, shown: String| {
        let mark = if cell.is_generator_bound() { "*" } else { "" };
        match reference {
            Some(other) if other > 0.0 => format!("{shown}{mark} ×{:.2}", value / other),
            _ => format!("{shown}{mark}"),
        }
    };
    text.push_str(
        "\n## CPU of the server for each, µs: median (least–most of the rounds) ×ratio\n\n",
    );
    text.push_str(&table(columns, rows, |cell, reference| {
        let value = cell.median(|turn| turn.cpu_micros);
        let (least, most) = cell.spread();
        let shown = format!("{} ({}–{})", figure(value), figure(least), figure(most));
        let other = reference.map(|cell| cell.median(|turn| turn.cpu_micros));
        with_ratio(cell, value, other, shown)
    }));
    text.push_str("\n## Each second ×ratio\n\n");
    text.push_str(&table(columns, rows, |cell, reference| {
        let value = cell.median(|turn| turn.units_per_second);
        let other = reference.map(|cell| cell.median(|turn| turn.units_per_second));
        let deliveries = cell.median(|turn| turn.deliveries_per_second);
        let mut shown = thousands(value);
        if deliveries > value * 1.5 {
            let _infallible = write!(shown, " → {}", thousands(deliveries));
        }
        with_ratio(cell, value, other, shown)
    }));
    text.push_str("\n## Latency, µs: p50 / p99 / p99.9 over all rounds\n\n");
    text.push_str(&table(columns, rows, |cell, _| {
        let [half, most, nearly_all] =
            [0.5, 0.99, 0.999].map(|quantile| figure(cell.latency_micros(quantile)));
        format!("{half} / {most} / {nearly_all}")
    }));
    text.push_str(
        "\n`*`: the load generator used over 90 % of a core; the throughput may be its own. The CPU of the server is still its own.\n\
         Every connection waits for its replies before it sends again: latencies are those of a server as busy as these clients make it.\n\
         `→`: deliveries.",
    );
    if let Some(reference) = columns.reference {
        let name = &columns.names[reference];
        let _infallible = write!(
            text,
            " Ratios: to {name}; below 1 is less CPU, above 1 is more throughput."
        );
    }
    text.push('\n');
    text
}

fn table(
    columns: &Columns,
    rows: &[Row],
    shown: impl Fn(&Cell, Option<&Cell>) -> String,
) -> String {
    let mut text = columns.head("workload");
    for row in rows {
        let _infallible = write!(text, "| {} |", row.workload.name);
        let reference = columns.reference_cell(row);
        for (index, cell) in row.cells.iter().enumerate() {
            let compared = reference.filter(|_| columns.reference != Some(index));
            let shown = match &cell.fault {
                Some(fault) => fault.to_string().replace('|', "\\|"),
                None => shown(cell, compared),
            };
            let _infallible = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}

/// The table of memory.
pub(crate) fn memory_table(columns: &Columns, rows: &[memory::Row]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = "\n## Memory for each entry, bytes: resident (used_memory)\n\n".to_owned();
    text.push_str(&columns.head("entry"));
    for row in rows {
        let _infallible = write!(text, "| {} |", row.name);
        for cell in &row.cells {
            let shown = match cell {
                Ok(bytes) => {
                    let told = bytes
                        .told
                        .map_or("–".to_owned(), |told| format!("{told:.1}"));
                    format!("{:.1} ({told})", bytes.resident)
                }
                Err(fault) => fault.to_string(),
            };
            let _infallible = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}

/// Three digits that mean something.
pub(crate) fn figure(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// `1234567` as `1.23M`, `12345` as `12.3k`.
pub(crate) fn thousands(value: f64) -> String {
    if value >= 1e6 {
        format!("{}M", figure(value / 1e6))
    } else if value >= 1e3 {
        format!("{}k", figure(value / 1e3))
    } else {
        figure(value)
    }
}

/// Everything, one line for each workload and server, another kind of line for memory.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_csv(
    file: &Path,
    columns: &Columns,
    rows: &[Row],
    memory: &[memory::Row],
) -> std::io::Result<()> {
    let mut text = "workload,server,rounds,connections,per_second,deliveries_per_second,cpu_us,cpu_us_least,cpu_us_most,\
                    p50_us,p99_us,p999_us,generator_share,resident_bytes,told_bytes,fault\n"
        .to_owned();
    for row in rows {
        for (name, cell) in columns.names.iter().zip(&row.cells) {
            let workload = quoted(&row.workload.name);
            let connections = row.workload.plan.connections();
            let fault = cell
                .fault
                .as_ref()
                .map_or(String::new(), |fault| quoted(&fault.to_string()));
            let _infallible = write!(
                text,
                "{workload},{},{},{connections},",
                quoted(name),
                cell.turns.len()
            );
            if cell.turns.is_empty() || cell.fault.is_some() {
                let _infallible = writeln!(text, ",,,,,,,,,,,{fault}");
                continue;
            }
            let (least, most) = cell.spread();
            let _infallible = writeln!(
                text,
                "{:.0},{:.0},{:.4},{least:.4},{most:.4},{:.1},{:.1},{:.1},{:.3},{:.0},,",
                cell.median(|turn| turn.units_per_second),
                cell.median(|turn| turn.deliveries_per_second),
                cell.median(|turn| turn.cpu_micros),
                cell.latency_micros(0.5),
                cell.latency_micros(0.99),
                cell.latency_micros(0.999),
                cell.median(|turn| turn.generator_share),
                cell.median(|turn| crate::measure::to_float(turn.resident_bytes)),
            );
        }
    }
    for row in memory {
        for (name, cell) in columns.names.iter().zip(&row.cells) {
            let (name, kind) = (quoted(name), quoted(&format!("memory: {}", row.name)));
            let _infallible = match cell {
                Ok(bytes) => {
                    let told = bytes
                        .told
                        .map_or(String::new(), |told| format!("{told:.2}"));
                    writeln!(
                        text,
                        "{kind},{name},1,1,,,,,,,,,,{:.2},{told},",
                        bytes.resident
                    )
                }
                Err(fault) => writeln!(
                    text,
                    "{kind},{name},0,1,,,,,,,,,,,,{}",
                    quoted(&fault.to_string())
                ),
            };
        }
    }
    std::fs::write(file, text)
}

/// A field of a CSV.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_000), (2024, 10, 4));
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(figure(0.1234), "0.12");
        assert_eq!(figure(12.34), "12.3");
        assert_eq!(thousands(1_234_567.0), "1.23M");
        assert_eq!(thousands(12_345.0), "12.3k");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
