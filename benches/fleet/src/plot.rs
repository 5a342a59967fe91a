//! Charts of lines, as SVG.

use std::fmt::{self, Write};

/// Points of one line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Each power of ten has the same length.
    pub(crate) is_logarithmic: bool,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 46.0;

const STYLE: &str = "
  text { font: 12px sans-serif; fill: #1f2328 } .title { font-size: 13px } line { stroke: #1f2328; stroke-opacity: 0.25 }
  polyline { fill: none; stroke-width: 2 } .end { text-anchor: end } .middle { text-anchor: middle }
  .l0 { stroke: #0969da } .l1 { stroke: #bc4c00 } .l2 { stroke: #1a7f37 } .l3 { stroke: #8250df }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } line { stroke: #e6edf3 } }";

/// Where the numbers from `low` to `high` are between `from` and `to`.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

impl Axis {
    fn of(numbers: impl Iterator<Item = f64> + Clone, from: f64, to: f64, is_logarithmic: bool) -> Self {
        let high = numbers.clone().fold(0.0, f64::max);
        let (low, high) = if is_logarithmic {
            let low = numbers.filter(|number| *number > 0.0).fold(f64::MAX, f64::min);
            (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()))
        } else {
            (0.0, high)
        };
        Self { low, high, from, to, is_logarithmic }
    }

    fn at(self, number: f64) -> f64 {
        let share = if self.is_logarithmic {
            (number.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (number - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(self) -> Vec<f64> {
        if self.is_logarithmic {
            let powers = (self.high / self.low).log10().round() as i32;
            return (0..=powers).map(|power| self.low * 10_f64.powi(power)).collect();
        }
        let step = step(self.high);
        (0..).map(|tick| step * f64::from(tick)).take_while(|tick| *tick <= self.high).collect()
    }
}

/// A round number, four to nine of which make up `high`.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf(high.log10().floor());
    [0.1, 0.2, 0.5, 1.0].map(|part| part * power).into_iter().find(|step| high / step < 10.0).unwrap_or(power)
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: f64) -> String {
    if number != 0.0 && number < 10.0 && number.fract() > 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Chart<'_> {
    pub(crate) fn svg(&self) -> Result<String, fmt::Error> {
        let mut svg = String::new();
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::of(points().map(|point| point.0), LEFT, WIDTH - RIGHT, self.is_logarithmic);
        let y = Axis::of(points().map(|point| point.1), HEIGHT - BOTTOM, TOP, self.is_logarithmic);
        writeln!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#)?;
        writeln!(svg, "<title>{}</title>\n<style>{STYLE}\n</style>", self.title)?;
        writeln!(svg, r#"<text class="title" x="8" y="18">{}</text>"#, self.y)?;
        for tick in y.ticks() {
            let at = y.at(tick);
            writeln!(svg, r#"<line x1="{LEFT}" y1="{at:.1}" x2="{:.1}" y2="{at:.1}"/>"#, WIDTH - RIGHT)?;
            writeln!(svg, r#"<text class="end" x="{:.1}" y="{:.1}">{}</text>"#, LEFT - 6.0, at + 4.0, grouped(tick))?;
        }
        for tick in x.ticks() {
            let (at, below) = (x.at(tick), HEIGHT - BOTTOM + 18.0);
            writeln!(svg, r#"<text class="middle" x="{at:.1}" y="{below:.1}">{}</text>"#, grouped(tick))?;
        }
        let (middle, below) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 10.0);
        writeln!(svg, r#"<text class="middle" x="{middle:.1}" y="{below:.1}">{}</text>"#, self.x)?;
        for (number, line) in self.lines.iter().enumerate() {
            let points: Vec<_> = line.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x.at(*a), y.at(*b))).collect();
            let (legend, height) = (WIDTH - RIGHT + 12.0, TOP + 10.0 + 20.0 * number as f64);
            writeln!(svg, r#"<polyline class="l{number}" points="{}"/>"#, points.join(" "))?;
            writeln!(svg, r#"<polyline class="l{number}" points="{legend},{height} {},{height}"/>"#, legend + 18.0)?;
            writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, legend + 24.0, height + 4.0, line.name)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}
