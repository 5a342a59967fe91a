//! The site `departures` in a real browser, without a window.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cache_request_tests::servers::PATIENCE;
use thirtyfour::{
    ChromiumLikeCapabilities, LoggingPrefsLogLevel,
    extensions::query::{ElementPollerWithTimeout, ElementQuery},
    prelude::*,
    stringmatch::StringMatch,
};

use crate::site::Site;

#[tokio::test]
async fn a_visitor_sees_a_miss_a_hit_and_a_change_at_once() {
    let (site, driver) = (Site::start(), Chromedriver::start());
    let browser = driver.browser().await.expect("the browser starts");
    browser.run_and_quit(async |browser| visit(&site, &browser).await).await.expect("what is looked for is there");
}

async fn visit(site: &Site, browser: &WebDriver) -> WebDriverResult<()> {
    browser.goto(format!("http://{}/", site.address)).await?;
    page_was(browser, "made, as nothing was stored").await?;

    // Click through: from the first page to an airport.
    click(browser, "a[href='/airports/PHX']").await?;
    heading(browser, "PHX · Phoenix Sky Harbor International").await?;
    page_was(browser, "made, as nothing was stored").await?;
    assert_eq!(last(site), ("GET /airports/PHX".to_owned(), 200, "made, as nothing was stored".to_owned()));

    // The same page by a link and by a reload: the browser has it, and the cache says so.
    for reload in [false, true] {
        if reload {
            browser.refresh().await?;
        } else {
            click(browser, "a[href='/airports/PHX'].button").await?;
        }
        page_was(browser, "from the cache").await?;
        heading(browser, "PHX · Phoenix Sky Harbor International").await?;
        assert_eq!(last(site), ("GET /airports/PHX".to_owned(), 304, "from the cache".to_owned()));
    }

    // The form changes a record, and leads to a page that shows it.
    for (field, text) in [("name", "Desert"), ("city", "Tempe")] {
        let input = find(browser, &format!("input[name='{field}']")).first().await?;
        input.clear().await?;
        input.send_keys(text).await?;
    }
    click(browser, "#rename").await?;
    heading(browser, "PHX · Desert").await?;
    page_was(browser, "made, as nothing was stored").await?;
    assert_eq!(last(site), ("GET /airports/PHX".to_owned(), 200, "made, as nothing was stored".to_owned()));

    // The browser has the first page as well, with the old city.
    click(browser, ".brand").await?;
    heading(browser, "January 2001, in the air").await?;
    page_was(browser, "made, as nothing was stored").await?;
    let airports = find(browser, "table").first().await?.text().await?;
    assert!(airports.contains("PHX Tempe") && !airports.contains("Phoenix"), "{airports}");

    // The reasons, as a visitor reads them.
    click(browser, "a[href='/stats']").await?;
    let requests = find(browser, "#requests").first().await?.text().await?;
    for told in ["POST /airports/PHX/name 303", "passed on, as it may change something", "cache-request; hit; ttl="] {
        assert!(requests.contains(told), "{told} is not in {requests}");
    }

    let told = browser.browser_log().await?;
    assert!(told.is_empty(), "the console has {told:?}");
    // A fault would be in the log.
    browser.execute("console.error('a fault')", vec![]).await?;
    let told = browser.browser_log().await?;
    assert!(told.len() == 1 && told[0].message.contains("a fault"), "the console has {told:?}");
    Ok(())
}

/// An element, which is waited for. The page that it is looked for in may be about to go.
fn find(browser: &WebDriver, selector: &str) -> ElementQuery {
    browser.query(By::Css(selector)).ignore_errors(true)
}

async fn click(browser: &WebDriver, selector: &str) -> WebDriverResult<()> {
    find(browser, selector).and_clickable().first().await?.click().await
}

async fn heading(browser: &WebDriver, text: &'static str) -> WebDriverResult<()> {
    find(browser, "h2").with_text(text).first().await.map(drop)
}

/// Waits until the page says at its foot how it came.
async fn page_was(browser: &WebDriver, how: &str) -> WebDriverResult<()> {
    let how = StringMatch::new(format!("This page: {how}, in")).partial();
    find(browser, "#how").with_text(how).first().await.map(drop)
}

/// The last request, its status, and how its page came.
fn last(site: &Site) -> (String, u64, String) {
    let stats = site.stats();
    let entry = &stats["requests"][0];
    let text = |field: &str| entry[field].as_str().expect("text");
    let request = format!("{} {}", text("method"), text("address"));
    (request, entry["status"].as_u64().expect("a number"), text("why").to_owned())
}

/// The program that drives the browser. Dropping it ends it.
struct Chromedriver {
    child: Child,
    port: u16,
    /// Held open: it may fail to print if its output is not read.
    _output: BufReader<ChildStdout>,
}

impl Chromedriver {
    /// Starts it on a free port, which it chooses.
    fn start() -> Self {
        let mut child = Command::new(program(&["chromedriver"]))
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver can be started");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("it prints text"), 0, "chromedriver has ended");
            if let Some((_, port)) = line.trim_end().rsplit_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().expect("a number");
            }
        };
        Self { child, port, _output: output }
    }

    /// A browser with a profile of its own, without a window. It keeps what its console shows.
    async fn browser(&self) -> WebDriverResult<WebDriver> {
        let mut options = DesiredCapabilities::chrome();
        let browser = program(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]);
        options.set_binary(browser.to_str().expect("a path of text"))?;
        // The sandbox refuses to run as root, and containers have a small `/dev/shm`. No host but this one is to be asked.
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ] {
            options.add_arg(argument)?;
        }
        options.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let poller = ElementPollerWithTimeout::new(PATIENCE, Duration::from_millis(20));
        WebDriver::builder(format!("http://127.0.0.1:{}", self.port), options)
            .poller(Arc::new(poller))
            .request_timeout(PATIENCE)
            .connect()
            .await
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // Neither matters if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of these programs that is in the path.
fn program(names: &[&str]) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = names.iter().flat_map(|name| env::split_paths(&path).map(move |folder| folder.join(name)));
    let program = found.find(|program| program.is_file());
    program.unwrap_or_else(|| panic!("{} is missing: scripts/need chromium chromedriver", names[0]))
}
