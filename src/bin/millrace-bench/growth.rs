//! What grows and what must not: CPU for each command and throughput over the number of entries, keys, groups, connections.

use std::fmt::Write as _;
use std::path::Path;

use crate::catalogue::{Scale, Workload, growing};
use crate::fleet::{Server, Spec};
use crate::measure::{Row, Schedule, compare};
use crate::plot;
use crate::report::{Columns, figure, quoted, thousands};

/// A command over a number that grows.
pub(crate) struct Family {
    /// Also the name of its picture, with `-` for blanks.
    pub(crate) name: &'static str,
    /// What the number counts.
    pub(crate) unit: &'static str,
    pub(crate) points: Vec<(u64, Workload)>,
}

/// What grows, family by family.
pub(crate) fn names(scale: Scale) -> Vec<&'static str> {
    growing::all(scale)
        .iter()
        .map(|family| family.name)
        .collect()
}

/// Measures all families that are selected; tables, a CSV and a picture for each.
///
/// # Errors
/// A server does not start again, a file cannot be written.
pub(crate) fn run(
    servers: &mut [Server],
    (scale, schedule): (Scale, Schedule),
    selects: impl Fn(&str) -> bool,
    out: &Path,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<String> {
    let columns = Columns::of(servers);
    let mut text = "\n## CPU for each, µs; each second\n".to_owned();
    let mut csv = "family,unit,number,server,cpu_us,per_second,fault\n".to_owned();
    for family in growing::all(scale) {
        if !selects(family.name) {
            continue;
        }
        let mut rows = Vec::new();
        for (number, workload) in &family.points {
            let row = compare(servers, workload, schedule, |_, spec: &Spec| {
                tell(&format!(
                    "{} at {number} {}: {}",
                    family.name, family.unit, spec.name
                ));
            })?;
            rows.push((*number, row));
        }
        table(&columns, &family, &rows, &mut text);
        lines(&columns, &family, &rows, &mut csv);
        std::fs::write(out.join("growth.csv"), &csv)?;
        let file = out.join(format!(
            "growth-{}.svg",
            family.name.replace(' ', "-").to_lowercase()
        ));
        plot::growth(&file, &columns, &family, &rows)?;
    }
    Ok(text)
}

fn table(columns: &Columns, family: &Family, rows: &[(u64, Row)], text: &mut String) {
    let head = columns.head(family.unit);
    let _infallible = write!(text, "\n### {}\n\n{head}", family.name);
    for (number, row) in rows {
        let _infallible = write!(text, "| {number} |");
        for cell in &row.cells {
            let _infallible = match &cell.fault {
                Some(fault) => write!(text, " {fault} |"),
                None => {
                    let mark = if cell.is_generator_bound() { "*" } else { "" };
                    let cpu = figure(cell.median(|turn| turn.cpu_micros));
                    let rate = thousands(cell.median(|turn| turn.units_per_second));
                    write!(text, " {cpu}; {rate}{mark} |")
                }
            };
        }
        text.push('\n');
    }
}

fn lines(columns: &Columns, family: &Family, rows: &[(u64, Row)], csv: &mut String) {
    for (number, row) in rows {
        for (name, cell) in columns.names.iter().zip(&row.cells) {
            let (family, unit, name) = (family.name, family.unit, quoted(name));
            let _infallible = match &cell.fault {
                Some(fault) => {
                    let fault = quoted(&fault.to_string());
                    writeln!(csv, "{family},{unit},{number},{name},,,{fault}")
                }
                None => {
                    let cpu = cell.median(|turn| turn.cpu_micros);
                    let rate = cell.median(|turn| turn.units_per_second);
                    writeln!(csv, "{family},{unit},{number},{name},{cpu:.4},{rate:.0},")
                }
            };
        }
    }
}
