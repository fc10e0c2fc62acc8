//! A picture of the budget over days, as SVG: what others called in each hour, what we called, and what was left of the
//! limit.

use std::fmt::Write;

use super::Hour;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 34.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 28.0;
const OURS: &str = "#3b7dd8";
const LIVE: &str = "#e8963a";
const UNUSED: &str = "#e6e6e6";

/// `limit` is how many calls fit into an hour.
pub fn svg(hours: &[Hour], limit: u64) -> String {
    let across = (WIDTH - LEFT - RIGHT) / hours.len().max(1) as f64;
    let height = HEIGHT - TOP - BOTTOM;
    let x = |hour: usize| LEFT + across * hour as f64;
    let y = |calls: u64| TOP + height * (1.0 - calls as f64 / limit.max(1) as f64);
    // Steps from left to right, down to the bottom at both ends.
    let area = |of: &dyn Fn(&Hour) -> u64| {
        let mut path = format!("M{:.1} {:.1}", x(0), y(0));
        for (number, hour) in hours.iter().enumerate() {
            write!(path, "V{:.1}H{:.1}", y(of(hour)), x(number + 1)).expect("a text takes everything");
        }
        path + &format!("V{:.1}Z", y(0))
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    let mut add = |line: String| svg.push_str(&(line + "\n"));
    add(format!(
        "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{height}\" fill=\"{UNUSED}\"/>",
        WIDTH - LEFT - RIGHT
    ));
    add(format!("<path fill=\"{OURS}\" d=\"{}\"/>", area(&|hour| hour.calls + hour.live)));
    add(format!("<path fill=\"{LIVE}\" d=\"{}\"/>", area(&|hour| hour.live)));
    for calls in [0, limit / 2, limit] {
        let (x, y) = (LEFT - 6.0, y(calls) + 4.0);
        add(format!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{calls}</text>"));
    }
    for day in (0..hours.len() / 24).step_by(7) {
        let (x, y) = (x(24 * day), HEIGHT - 8.0);
        add(format!("<text x=\"{x:.1}\" y=\"{y}\">day {day}</text>"));
    }
    let legend = [(LIVE, "calls of others"), (OURS, "calls of longrun"), (UNUSED, "left of the limit")];
    add(format!("<text x=\"{LEFT}\" y=\"20\">calls per hour</text>"));
    for (number, (color, what)) in legend.into_iter().enumerate() {
        let x = 440.0 + 170.0 * number as f64;
        add(format!("<rect x=\"{x}\" y=\"10\" width=\"12\" height=\"12\" fill=\"{color}\"/>"));
        add(format!("<text x=\"{}\" y=\"20\">{what}</text>", x + 18.0));
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_as_high_as_what_was_called_in_it() {
        let hours = [Hour { calls: 50, live: 50 }, Hour { calls: 0, live: 25 }];
        let svg = svg(&hours, 100);
        // A full hour reaches the top, and half of one its middle; then a quarter, from the bottom (212) up.
        assert!(svg.contains("d=\"M56.0 212.0V34.0H502.0V167.5H948.0V212.0Z\""), "{svg}");
        assert!(svg.contains("d=\"M56.0 212.0V123.0H502.0V167.5H948.0V212.0Z\""), "{svg}");
    }
}
