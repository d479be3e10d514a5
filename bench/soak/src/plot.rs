//! Memory, latency and rate over time, as an SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::timeline::{Row, Timeline};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Line = (&'static str, RGBColor, fn(&Row) -> f64);

const MIB: f64 = 1_048_576.0;

const MEMORY: &[Line] = &[
    ("resident", RGBColor(31, 119, 180), |row| row.resident / MIB),
    ("heap", RGBColor(200, 16, 46), |row| row.heap / MIB),
];

const LATENCY: &[Line] = &[
    ("longest", RGBColor(140, 86, 75), |row| row.tally.latencies()[3]),
    ("p99.9", RGBColor(230, 110, 0), |row| row.tally.latencies()[2]),
    ("p99", RGBColor(31, 119, 180), |row| row.tally.latencies()[1]),
    ("p50", RGBColor(200, 16, 46), |row| row.tally.latencies()[0]),
];

const RATE: &[Line] =
    &[("sent", RGBColor(31, 119, 180), |row| row.sent), ("echoed", RGBColor(200, 16, 46), |row| row.echoed)];

/// What is judged is from `judged` on.
pub fn draw(timeline: &Timeline, title: &str, judged: f64, file: &Path) -> Result<()> {
    let area = SVGBackend::new(file, (960, 900)).into_drawing_area();
    area.fill(&WHITE)?;
    let panels = area.titled(title, ("sans-serif", 20))?.split_evenly((3, 1));
    panel(&panels[0], timeline, MEMORY, "server's memory, MiB", judged)?;
    panel(&panels[1], timeline, LATENCY, "round trip, ms", judged)?;
    panel(&panels[2], timeline, RATE, "messages/s", judged)?;
    area.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    timeline: &Timeline,
    lines: &[Line],
    unit: &str,
    judged: f64,
) -> Result<()> {
    let rows = &timeline.rows;
    let end = rows.last().map_or(1.0, |row| row.at);
    let high = rows.iter().flat_map(|row| lines.iter().map(|(_, _, of)| of(row))).fold(0.0, f64::max) * 1.1;
    // Latencies span decades.
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).x_label_area_size(32).y_label_area_size(72);
    macro_rules! draw {
        ($range:expr) => {{
            let range = $range;
            let mut chart = builder.build_cartesian_2d(0.0..end, range)?;
            chart
                .configure_mesh()
                .light_line_style(TRANSPARENT)
                .x_desc("seconds; judged from the grey line on")
                .y_desc(unit)
                .label_style(("sans-serif", 14))
                .draw()?;
            chart.draw_series(LineSeries::new([(judged, 0.01), (judged, high)], BLACK.mix(0.3)))?;
            for (name, color, of) in lines {
                let style = color.stroke_width(2);
                chart
                    .draw_series(LineSeries::new(rows.iter().map(|row| (row.at, of(row))), style))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .label_font(("sans-serif", 14))
                .draw()?;
        }};
    }
    if unit.ends_with("ms") {
        draw!((0.1..high.max(1.0)).log_scale());
    } else {
        draw!(0.0..high.max(1.0));
    }
    Ok(())
}
