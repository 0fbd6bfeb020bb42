//! Pictures as SVG: the ratio of each server to redis, workload by workload.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::growth::Family;
use crate::measure::{Cell, Row, Turn, to_float};
use crate::report::{Columns, thousands};

const LABEL_WIDTH: i32 = 260;
const PANEL_WIDTH: i32 = 420;
const BAR_HEIGHT: i32 = 11;
const GAP: i32 = 8;
const TOP: i32 = 60;
/// Ratios beyond this are cut, and their bar says so with its figure.
const RATIO_MAX: f64 = 3.0;

/// The colour of a line or bar.
fn colour(index: usize) -> RGBColor {
    const COLOURS: [RGBColor; 7] = [
        RGBColor(31, 119, 180),
        RGBColor(255, 127, 14),
        RGBColor(44, 160, 44),
        RGBColor(214, 39, 40),
        RGBColor(148, 103, 189),
        RGBColor(140, 86, 75),
        RGBColor(100, 100, 100),
    ];
    COLOURS[index % COLOURS.len()]
}

/// Two columns of bars: CPU and throughput, each as ratio to the reference. Nothing without a reference.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn ratios(file: &Path, columns: &Columns, rows: &[Row]) -> anyhow::Result<()> {
    let Some(reference) = columns.reference else {
        return Ok(());
    };
    let others: Vec<usize> = (0..columns.names.len())
        .filter(|index| *index != reference)
        .collect();
    let bars = i32::try_from(others.len())?;
    let row_height = bars * BAR_HEIGHT + GAP;
    let height = TOP + row_height * i32::try_from(rows.len())? + 20;
    let width = LABEL_WIDTH + 2 * PANEL_WIDTH;
    let size = (u32::try_from(width)?, u32::try_from(height)?);
    let area = SVGBackend::new(file, size).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", file.display());
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let text = |words: String, place: (i32, i32), colour: RGBColor| {
        let style = ("sans-serif", 12).into_font().color(&colour);
        area.draw(&Text::new(words, place, style))
            .map_err(|error| failed(&error))
    };
    for (order, index) in others.iter().enumerate() {
        let x = 10 + 170 * i32::try_from(order)?;
        text(columns.names[*index].clone(), (x, 8), colour(*index))?;
    }
    let panels: [(&str, Figure); 2] = [
        ("CPU for each, ratio to redis (less is better)", |turn| {
            turn.cpu_micros
        }),
        ("each second, ratio to redis (more is better)", |turn| {
            turn.units_per_second
        }),
    ];
    for (panel, (title, of)) in panels.iter().enumerate() {
        let left = LABEL_WIDTH + PANEL_WIDTH * i32::try_from(panel)?;
        text((*title).to_owned(), (left, 30), BLACK)?;
        for (number, row) in rows.iter().enumerate() {
            let top = TOP + row_height * i32::try_from(number)?;
            if panel == 0 {
                text(row.workload.name.clone(), (10, top), BLACK)?;
            }
            for (order, index) in others.iter().enumerate() {
                let y = top + BAR_HEIGHT * i32::try_from(order)?;
                let (length, label) = bar(columns.reference_cell(row), &row.cells[*index], *of);
                let bar = Rectangle::new(
                    [(left, y), (left + length, y + BAR_HEIGHT - 2)],
                    colour(*index).filled(),
                );
                area.draw(&bar).map_err(|error| failed(&error))?;
                text(label, (left + length + 4, y - 1), BLACK)?;
            }
        }
        let one = left + pixels(1.0);
        let line = PathElement::new(
            vec![(one, TOP - 6), (one, height - 14)],
            BLACK.stroke_width(1),
        );
        area.draw(&line).map_err(|error| failed(&error))?;
    }
    area.present().map_err(|error| failed(&error))
}

type Figure = fn(&Turn) -> f64;

/// Length of a bar and what stands behind it.
fn bar(reference: Option<&Cell>, cell: &Cell, of: Figure) -> (i32, String) {
    let (Some(reference), None) = (reference, &cell.fault) else {
        return (0, "n/a".to_owned());
    };
    let other = reference.median(of);
    if other <= 0.0 {
        return (0, "n/a".to_owned());
    }
    let ratio = cell.median(of) / other;
    (pixels(ratio.min(RATIO_MAX)), format!("{ratio:.2}"))
}

/// A ratio as a length.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most the width of a panel"
)]
fn pixels(ratio: f64) -> i32 {
    (ratio / RATIO_MAX * f64::from(PANEL_WIDTH - 60)) as i32
}

/// Two charts beside each other, CPU and throughput over the number that grows (logarithmic), a line for each server.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn growth(
    file: &Path,
    columns: &Columns,
    family: &Family,
    rows: &[(u64, Row)],
) -> anyhow::Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", file.display());
    let area = SVGBackend::new(file, (1000, 380)).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let halves = area.split_evenly((1, 2));
    let panels: [(&str, Figure); 2] = [
        ("CPU for each, µs", |turn| turn.cpu_micros),
        ("each second", |turn| turn.units_per_second),
    ];
    let last = rows
        .iter()
        .map(|(number, _)| to_float(*number))
        .fold(2.0, f64::max);
    for (half, (title, of)) in halves.iter().zip(panels) {
        let figures = rows
            .iter()
            .flat_map(|(_, row)| &row.cells)
            .map(|cell| cell.median(of));
        let most = figures.fold(f64::MIN_POSITIVE, f64::max) * 1.1;
        let mut chart = ChartBuilder::on(half)
            .caption(format!("{}: {title}", family.name), ("sans-serif", 15))
            .margin(10)
            .margin_right(30)
            .x_label_area_size(35)
            .y_label_area_size(70)
            .build_cartesian_2d((1.0..last).log_scale(), 0.0..most)
            .map_err(|error| failed(&error))?;
        chart
            .configure_mesh()
            .x_desc(family.unit)
            .x_label_formatter(&|number| thousands(*number))
            .y_label_formatter(&|value| thousands(*value))
            .draw()
            .map_err(|error| failed(&error))?;
        for (index, name) in columns.names.iter().enumerate() {
            let of_server = |(number, row): &(u64, Row)| {
                let cell = row.cells.get(index)?;
                cell.fault
                    .is_none()
                    .then(|| (to_float(*number), cell.median(of)))
            };
            let points: Vec<(f64, f64)> = rows.iter().filter_map(of_server).collect();
            chart
                .draw_series(LineSeries::new(points, colour(index).stroke_width(2)))
                .map_err(|error| failed(&error))?
                .label(name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour(index)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()
            .map_err(|error| failed(&error))?;
    }
    area.present().map_err(|error| failed(&error))
}
