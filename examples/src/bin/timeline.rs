//! Draws the life of a cached value, as the guide's page on freshness shows it.
//!
//! ```text
//! cargo run -p cache-request-examples --bin timeline > cache-request/docs/timeline.svg
//! ```

/// A span of a value's life, in columns of the drawing, and what a caller gets in it.
struct Span {
    name: &'static str,
    attribute: &'static str,
    /// Not to scale.
    from: u32,
    to: u32,
    class: &'static str,
    caller: [&'static str; 2],
}

/// `#[cache_request(timeout = "10m", early = 0.8, stale = "6m", stale_if_error = "12m")]`
const SPANS: [Span; 4] = [
    Span { name: "fresh", attribute: "timeout", from: 0, to: 7, class: "fresh", caller: ["the value", ""] },
    Span {
        name: "early",
        attribute: "early",
        from: 7,
        to: 12,
        class: "early",
        caller: ["the value, and a new one", "is made in the background"],
    },
    Span {
        name: "stale",
        attribute: "stale",
        from: 12,
        to: 18,
        class: "stale",
        caller: ["the old value, and a new one", "is made in the background"],
    },
    Span {
        name: "stands in",
        attribute: "stale_if_error",
        from: 18,
        to: 24,
        class: "stands-in",
        caller: ["a new value, or the old one", "if the body fails"],
    },
];

const COLUMN: u32 = 38;
const LEFT: u32 = 16;
const TOP: u32 = 56;
const HEIGHT: u32 = 40;

const STYLE: &str = "
  text { font: 13px sans-serif; fill: #1f2328 } .small { font-size: 11px } .mono { font-family: monospace }
  line { stroke: #1f2328 } rect { stroke: #1f2328 }
  .fresh { fill: #a6dfa6 } .early { fill: #d7ebb0 } .stale { fill: #f5d999 } .stands-in { fill: #f2b8a6 }
  .on-span { fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } line { stroke: #e6edf3 } .on-span { fill: #1f2328 }
  }";

fn main() {
    let end = SPANS.iter().map(|span| span.to).max().unwrap_or(0);
    let (width, bottom) = (2 * LEFT + (end + 2) * COLUMN, TOP + HEIGHT);
    let height = bottom + 62;
    println!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">"#);
    println!("<title>The life of a cached value: fresh, early, stale, standing in, gone</title>");
    println!("<style>{STYLE}\n</style>");
    text(
        LEFT,
        20,
        "small mono",
        r#"#[cache_request(timeout = "10m", early = 0.8, stale = "6m", stale_if_error = "12m")]"#,
    );
    for Span { name, attribute, from, to, class, caller } in SPANS {
        let (x, length) = (at(from), (to - from) * COLUMN);
        println!(r#"<rect class="{class}" x="{x}" y="{TOP}" width="{length}" height="{HEIGHT}"/>"#);
        text(x + 6, TOP + 25, "on-span", name);
        text(x, TOP - 8, "small mono", attribute);
        for (line, caller) in (0..).zip(caller) {
            text(x, bottom + 18 + line * 15, "small", caller);
        }
    }
    text(at(end) + 6, TOP + 25, "", "gone");
    println!(r#"<line x1="{}" y1="{bottom}" x2="{}" y2="{bottom}"/>"#, at(0), width - LEFT);
    text(
        at(0),
        bottom + 54,
        "small",
        "Below each span: what a call returns. All spans after the timeout count from its end.",
    );
    println!("</svg>");
}

fn at(column: u32) -> u32 {
    LEFT + column * COLUMN
}

fn text(x: u32, y: u32, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    println!(r#"<text x="{x}" y="{y}" class="{class}">{text}</text>"#);
}
