//! Cached methods. All arguments are part of the key, so the attribute has to say what of `self` is.
//!
//! ```text
//! cargo run -p cache-request-examples --bin methods
//! ```

use cache_request::{Error, cache_request};

struct Shop {
    region: &'static str,
}

impl Shop {
    /// Prices are the same in all shops: `self` is left out.
    #[cache_request(timeout = "1h", skip(self))]
    fn price(&self, article: u32) -> u32 {
        println!("  pricing {article}");
        article * 3
    }

    /// The stock depends on the region, and on nothing else of the shop.
    #[cache_request(timeout = 10, vary(self.region))]
    fn stock(&self, article: u32) -> u32 {
        println!("  counting {article} in {}", self.region);
        article + u32::try_from(self.region.len()).unwrap_or(u32::MAX)
    }

    /// Without a `self` the attribute cannot tell an associated function from a free one: `handle = Self` says so.
    #[cache_request(timeout = never, handle = Self)]
    fn currency(region: &str) -> String {
        println!("  looking up the currency of {region}");
        if region == "south" { "EUR".to_owned() } else { "SEK".to_owned() }
    }
}

trait Tax {
    fn tax(&self, article: u32) -> u32;
}

impl Tax for Shop {
    /// The `impl` of a trait cannot have a companion beside the trait's own functions.
    #[cache_request(skip(self), handle = false)]
    fn tax(&self, article: u32) -> u32 {
        println!("  taxing {article}");
        article / 4
    }
}

fn main() -> Result<(), Error> {
    let [north, south] = ["north", "south"].map(|region| Shop { region });
    println!("{} {}", north.price(7), south.price(7));
    println!("{} {} {}", north.stock(7), south.stock(7), north.stock(7));
    println!("{} {}", Shop::currency("south"), Shop::currency("south"));
    println!("{} {}", north.tax(8), south.tax(8));
    println!("key: {}", south.stock_cache(7).key()?);
    println!("key: {}", Shop::currency_cache("south").key()?);
    println!("invalidated: {}", south.stock_cache(7).invalidate()?);
    println!("{} {}", north.stock(7), south.stock(7));
    Ok(())
}
