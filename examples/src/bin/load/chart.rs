//! The picture: SVG that is readable on light and on dark pages.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;

/// The corners of the field in the axes.
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = HEIGHT - 48.0;

const STYLE: &str = "
    text { font: 13px system-ui, sans-serif; fill: #444a54; }
    .title { font-weight: 600; fill: #1c1f24; }
    .middle { text-anchor: middle; }
    .end { text-anchor: end; }
    .grid { stroke: #8884; }
    .switch { stroke: #1d6b3a; stroke-dasharray: 4 4; }
    .switched { fill: #1d6b3a; }
    .cpu { fill: none; stroke: #a85b00; stroke-width: 2; stroke-linejoin: round; }
    @media (prefers-color-scheme: dark) {
        text { fill: #b4b9c2; }
        .title { fill: #e8e6e1; }
        .switch { stroke: #7fd69c; }
        .switched { fill: #7fd69c; }
        .cpu { stroke: #ffb454; }
    }
";

/// How busy the site was. The cache was off in the first half of the samples, and on in the second.
pub(crate) struct Chart {
    /// In pages a second.
    pub(crate) rate: f64,
    /// The seconds of one sample.
    pub(crate) every: f64,
    /// In percent of one core.
    pub(crate) samples: Vec<f64>,
}

impl Chart {
    /// The means of the half without the cache, and of the last quarter, when the cache has most pages.
    pub(crate) fn means(&self) -> (f64, f64) {
        let quarter = self.samples.len() / 4;
        let mean = |samples: &[f64]| samples.iter().sum::<f64>() / samples.len() as f64;
        (mean(&self.samples[..2 * quarter]), mean(&self.samples[3 * quarter..]))
    }

    pub(crate) fn svg(&self) -> String {
        let ((off, on), quarter) = (self.means(), self.seconds() / 4.0);
        let middle = self.x(self.seconds() / 2.0);
        let picture = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby="title" {
                style { (PreEscaped(STYLE)) }
                text #title.title x=(LEFT) y="20" { "CPU of the site at " (self.rate) " pages a second" }
                (self.grid())
                text.middle x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 8.0) { "seconds" }
                text.middle transform=(format!("translate(16 {}) rotate(-90)", f64::midpoint(TOP, BOTTOM))) { "% of one core" }
                path.cpu d=(self.path()) {}
                line.switch x1=(middle) x2=(middle) y1=(TOP) y2=(BOTTOM) {}
                text.end x=(middle - 8.0) y=(TOP - 6.0) { (format!("cache off: {off:.1} %")) }
                text.switched x=(middle + 8.0) y=(TOP - 6.0) { (format!("cache turned on: {on:.1} % in the last {quarter:.0} s")) }
            }
        };
        picture.into_string()
    }

    /// A line at each number of an axis.
    fn grid(&self) -> Markup {
        let (seconds, percents) =
            (steps(self.seconds(), 5), steps(self.highest(), if self.highest() > 100.0 { 50 } else { 20 }));
        html! {
            @for second in seconds {
                line.grid x1=(self.x(second)) x2=(self.x(second)) y1=(TOP) y2=(BOTTOM) {}
                text.middle x=(self.x(second)) y=(BOTTOM + 18.0) { (second) }
            }
            @for percent in percents {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(self.y(percent)) y2=(self.y(percent)) {}
                text.end x=(LEFT - 8.0) y=(self.y(percent) + 4.0) { (percent) }
            }
        }
    }

    /// From the middle of one sample to that of the next.
    fn path(&self) -> String {
        let mut path = String::new();
        for (place, percent) in self.samples.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x((place as f64 + 0.5) * self.every), self.y(*percent));
        }
        path
    }

    fn seconds(&self) -> f64 {
        self.samples.len() as f64 * self.every
    }

    /// Where the axis ends.
    fn highest(&self) -> f64 {
        let most = self.samples.iter().copied().fold(100.0, f64::max);
        (most / 50.0).ceil() * 50.0
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds() * (RIGHT - LEFT)
    }

    fn y(&self, percent: f64) -> f64 {
        BOTTOM - percent / self.highest() * (BOTTOM - TOP)
    }
}

/// The numbers from 0 to `last`.
fn steps(last: f64, step: usize) -> impl Iterator<Item = f64> {
    (0..=last as usize).step_by(step).map(|number| number as f64)
}
