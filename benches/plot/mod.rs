//! The plot of the time of a log-on against the number of files.

use std::path::Path;

use plotters::prelude::*;

pub(crate) struct Point {
    pub(crate) files: f64,
    /// Seconds, as all that follow.
    pub(crate) ours: f64,
    pub(crate) names: f64,
    pub(crate) heads: f64,
}

/// What is drawn of a point, its name and its colour.
type Line = (fn(&Point) -> f64, &'static str, RGBColor);

const LINES: [Line; 3] = [
    (
        |point| point.heads,
        "every file opened, 4 KB read (no index)",
        RGBColor(0xb0, 0x3a, 0x2e),
    ),
    (
        |point| point.names,
        "readdir of the directory",
        RGBColor(0x7f, 0x8c, 0x8d),
    ),
    (
        |point| point.ours,
        "cdonts: log on and list, nothing changed",
        RGBColor(0x1f, 0x61, 0x8d),
    ),
];

pub(crate) fn draw(path: &Path, points: &[Point]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (800, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let files = points.iter().map(|point| point.files);
    let (least, most) = files.fold((f64::MAX, 0.0), |(low, high): (f64, f64), files| {
        (low.min(files), high.max(files))
    });
    let all = points
        .iter()
        .flat_map(|point| LINES.iter().map(|(of, ..)| of(point) * 1e3));
    let (low, high) = all.fold((f64::MAX, 0.0), |(low, high): (f64, f64), time| {
        (low.min(time), high.max(time))
    });
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Logging on, by the number of files in the drop",
            ("sans-serif", 20),
        )
        .margin(12)
        .margin_right(40)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (least..most).log_scale(),
            (low / 2.0..high * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("files")
        .y_desc("milliseconds")
        .x_label_formatter(&|files| format!("{files:.0}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (of, name, colour) in LINES {
        let line = points.iter().map(|point| (point.files, of(point) * 1e3));
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line, style).point_size(4))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
