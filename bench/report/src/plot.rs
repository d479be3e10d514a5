//! One SVG per family, of its first metric: lines over the cells, or bars if there is one cell.

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::coord::ranged1d::IntoSegmentedCoord;
use plotters::prelude::*;

use crate::measurements::{Family, Table, is_baseline};
use crate::statistics::{median, ratio};

/// In pixels: what a plot has at least, and what it needs of them.
const HEIGHT: usize = 540;
const LINE: usize = 20;
const CHARACTER: usize = 8;
const CELL: usize = 110;
const LEGEND: usize = 270;
const AXIS: usize = 90;

const OURS: RGBColor = RGBColor(200, 16, 46);
/// Dark enough for thin lines on white, and none like ours.
const PEERS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(230, 110, 0),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 90, 180),
    RGBColor(235, 160, 0),
    RGBColor(150, 150, 0),
    RGBColor(0, 170, 190),
    RGBColor(0, 50, 110),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Writes it, and tells where it is, beside the report.
pub fn draw(family: &Family, directory: &Path) -> Result<Option<PathBuf>> {
    let Some(table) = family.tables.first() else { return Ok(None) };
    std::fs::create_dir_all(directory)?;
    let file =
        PathBuf::from(family.name.replace(|it: char| !it.is_ascii_alphanumeric(), "-")).with_extension("svg");
    let path = directory.join(&file);
    let size =
        (u32::try_from(width(table))?, u32::try_from(HEIGHT.max(LINE * (table.contestants.len() + 3)))?);
    let area = SVGBackend::new(&path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let area = area.titled(&family.name, ("sans-serif", 20))?;
    let drawn = if table.cells.len() > 1 { lines(table, &area) } else { bars(table, &area) };
    drawn.map_err(|error| format!("{}: {error}", family.name))?;
    area.present()?;
    Ok(Some(Path::new(directory.file_name().unwrap_or_default()).join(file)))
}

fn width(table: &Table) -> usize {
    AXIS + table.cells.len().max(4) * cell_width(table) + LEGEND
}

/// Such that the names do not overlap.
fn cell_width(table: &Table) -> usize {
    table.cells.iter().map(|cell| CHARACTER * (cell.chars().count() + 1)).fold(CELL, usize::max)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Compared to the baseline if there is one: what spans decades from cell to cell does not then.
fn lines(table: &Table, area: &Area<'_>) -> Result<()> {
    let baseline = table.baselines().next();
    let all: Vec<(&str, Vec<(usize, f64)>)> = ordered(table)
        .into_iter()
        .map(|name| (name, points(table, name, baseline)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let Some((low, high)) = range(all.iter().flat_map(|it| &it.1).map(|it| it.1)) else { return Ok(()) };
    let unit = match baseline {
        Some(baseline) => format!("{}, compared to {baseline}", table.metric),
        None => table.metric.clone(),
    };
    let cells = table.cells.len();
    // The rest of the width is the legend's.
    let legend = LEGEND.div_ceil(cell_width(table)) + 1;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(0..cells - 1 + legend, (low / 1.1..high * 1.1).log_scale().base(2.0))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(cells + legend)
        .x_label_formatter(&|index| table.cells.get(*index).cloned().unwrap_or_default())
        .y_label_formatter(&|value| label(*value))
        .y_desc(unit)
        .label_style(("sans-serif", 14))
        .draw()?;
    for (index, (name, points)) in all.into_iter().enumerate() {
        let style = style(table, name, index);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
        chart.draw_series(
            points.iter().map(|point| Circle::new(*point, style.stroke_width + 1, style.color.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .legend_area_size(28)
        .border_style(TRANSPARENT)
        .background_style(WHITE)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

fn points(table: &Table, contestant: &str, baseline: Option<&str>) -> Vec<(usize, f64)> {
    let point = |(index, cell): (usize, &String)| {
        let samples = table.samples(cell, contestant)?;
        let value = match baseline {
            Some(baseline) => ratio(samples, table.samples(cell, baseline)?)?.median,
            None => median(samples),
        };
        Some((index, value))
    };
    table.cells.iter().enumerate().filter_map(point).collect()
}

fn bars(table: &Table, area: &Area<'_>) -> Result<()> {
    let Some(cell) = table.cells.first() else { return Ok(()) };
    let all: Vec<(&str, f64)> = ordered(table)
        .into_iter()
        .rev()
        .filter_map(|name| Some((name, median(table.samples(cell, name)?))))
        .collect();
    let high = all.iter().map(|it| it.1).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(210)
        .build_cartesian_2d(0.0..high * 1.05, (0..all.len() - 1).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(all.len())
        .y_label_formatter(&|at| match at {
            SegmentValue::CenterOf(index) => all.get(*index).map(|it| it.0.to_string()).unwrap_or_default(),
            _ => String::new(),
        })
        .x_label_formatter(&|value| label(*value))
        .x_desc(format!("{}, {cell}", table.metric))
        .label_style(("sans-serif", 14))
        .draw()?;
    chart.draw_series(all.iter().enumerate().map(|(index, (name, value))| {
        let corners = [(0.0, SegmentValue::Exact(index)), (*value, SegmentValue::Exact(index + 1))];
        let mut bar = Rectangle::new(corners, style(table, name, index).color.filled());
        bar.set_margin(3, 3, 0, 0);
        bar
    }))?;
    Ok(())
}

/// Ours last, so that it is drawn above the others.
fn ordered(table: &Table) -> Vec<&str> {
    table.baselines().chain(table.peers()).chain(table.ours()).collect()
}

fn style(table: &Table, contestant: &str, index: usize) -> ShapeStyle {
    if let Some(index) = table.ours().position(|it| it == contestant) {
        // The first the strongest.
        OURS.mix(0.85_f64.powf(index as f64)).stroke_width(if index == 0 { 4 } else { 3 })
    } else if is_baseline(contestant) {
        BLACK.mix(0.6).stroke_width(2)
    } else {
        PEERS[index % PEERS.len()].stroke_width(2)
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

fn label(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value}") }
}
