//! The curve of latency against throughput, drawn.

use plotters::prelude::*;

use squall::Result;

use super::curve::Point;

/// Width and height.
const SIZE: (u32, u32) = (800, 480);
const FONT: &str = "sans-serif";
/// How long a line of the legend is.
const SAMPLE_LENGTH: i32 = 20;

/// Draws both percentiles over the rate, the time by its logarithm, as an SVG.
///
/// # Errors
/// There are no points.
pub(super) fn svg(title: &str, points: &[Point]) -> Result<String> {
    let max_rate = points.iter().map(|point| point.records_per_sec);
    let max_rate = max_rate
        .max_by(f64::total_cmp)
        .ok_or("there is no curve to draw")?;
    let times = || points.iter().flat_map(|point| [point.p50_us, point.p99_us]);
    // A logarithm has no zero.
    let fastest = times().fold(f64::MAX, f64::min).max(1.0);
    let slowest = times().fold(fastest, f64::max);
    let mut text = String::new();
    draw(&mut text, (title, points), (max_rate, fastest, slowest))
        .map_err(|error| format!("the curve can't be drawn: {error}"))?;
    Ok(text)
}

fn draw(
    text: &mut String,
    (title, points): (&str, &[Point]),
    (max_rate, fastest, slowest): (f64, f64, f64),
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            0.0..max_rate * 1.05,
            (fastest / 2.0..slowest * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("records/s")
        .y_desc("µs from due to acked")
        .x_label_formatter(&|rate| format!("{rate:.0}"))
        .y_label_formatter(&|us| format!("{us:.0}"))
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .draw()?;
    for (label, colour) in [("p50", BLUE), ("p99", RED)] {
        let line = points.iter().map(|point| {
            let us = if label == "p50" {
                point.p50_us
            } else {
                point.p99_us
            };
            (point.records_per_sec, us.max(1.0))
        });
        let line = LineSeries::new(line, colour.filled()).point_size(3);
        let sample = move |(x, y)| PathElement::new([(x, y), (x + SAMPLE_LENGTH, y)], colour);
        chart.draw_series(line)?.label(label).legend(sample);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.filled())
        .border_style(BLACK)
        .label_font((FONT, 15))
        .draw()?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_have_all_points() {
        let points = [1.0, 2.0, 3.0].map(|n| Point {
            records_per_sec: n * 100_000.0,
            p50_us: n * 10.0,
            p99_us: n * 300.0,
        });
        let svg = super::svg("word-count", &points).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.contains("word-count"),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 6, "{svg}");
        assert!(super::svg("none", &[]).is_err());
    }
}
