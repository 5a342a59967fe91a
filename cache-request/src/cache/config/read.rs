//! Reads configurations from any self-describing format.
//!
//! By hand, so that what is wrong is named, and nothing that is given twice is overlooked. An address may hold a password: no
//! error shows one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::settings::{CacheConfig, Config, Setting};
use crate::options::{
    kind::ANY,
    table::{self, OPTIONS},
};

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Table { has_caches: true })
    }
}

impl<'de> Deserialize<'de> for CacheConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Table { has_caches: false }).map(|config| config.default)
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(Value { name: None, of: Table { has_caches: false } })?;
        value.map(Self).ok_or_else(|| Error::custom(format_args!("expected {ANY}, found nothing")))
    }
}

/// The options of one cache, and beside those of the default one the named ones.
#[derive(Clone, Copy)]
struct Table {
    has_caches: bool,
}

impl Table {
    /// Why an option cannot have what was found.
    fn wrong<E: Error>(self, name: &str, found: &str) -> E {
        let expected = match table::named(name) {
            _ if name == "url" => "an address, such as memory:// or file:///var/cache/app",
            Some(option) => option.expected(),
            None => return self.unknown(name),
        };
        E::custom(format_args!("option `{name}`: expected {expected}, found {found}"))
    }

    fn unknown<E: Error>(self, name: &str) -> E {
        let caches = self.has_caches.then_some("caches");
        let options = OPTIONS.iter().map(|option| option.name());
        let known: BTreeSet<_> = caches.into_iter().chain(["url"]).chain(options).collect();
        let known: Vec<_> = known.into_iter().collect();
        E::custom(format_args!("unknown option `{name}`: there is {}", known.join(", ")))
    }
}

impl<'de> Visitor<'de> for Table {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the options of a cache")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Config, E> {
        Err(E::custom("expected the options of a cache, found a text: an address is the value of `url`"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let (mut url, mut caches) = (None, None);
        let mut options = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let twice = match &*name {
                "caches" if self.has_caches => caches.replace(map.next_value_seed(Caches)?).is_some(),
                "url" => url.replace(map.next_value_seed(Value { name: Some("url"), of: self })?).is_some(),
                _ => match map.next_value_seed(Value { name: Some(&name), of: self })? {
                    Some(value) => options.insert(name.clone(), Setting(value)).is_some(),
                    None => return Err(self.wrong(&name, "nothing")),
                },
            };
            if twice {
                return Err(A::Error::custom(format_args!("option `{name}` is given twice")));
            }
        }
        let default = CacheConfig { url: url.flatten(), options };
        Ok(Config { default, caches: caches.unwrap_or_default() })
    }
}

/// The named caches.
struct Caches;

impl<'de> DeserializeSeed<'de> for Caches {
    type Value = BTreeMap<String, CacheConfig>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Caches {
    type Value = BTreeMap<String, CacheConfig>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("named caches in `caches`, each with its options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut caches = BTreeMap::new();
        while let Some((name, cache)) = map.next_entry::<String, _>()? {
            if caches.insert(name.clone(), cache).is_some() {
                return Err(A::Error::custom(format_args!("cache `{name}` is given twice")));
            }
        }
        Ok(caches)
    }
}

/// The value of one option as text, whatever the format has; whether it can be meant is found out when the cache is made, for
/// addresses and configurations alike. `None` is the format's nothing.
struct Value<'a> {
    name: Option<&'a str>,
    of: Table,
}

impl Value<'_> {
    fn text<E: Error>(self, value: &impl ToString) -> Result<Option<String>, E> {
        if self.name == Some("url") { Err(self.wrong("no text")) } else { Ok(Some(value.to_string())) }
    }

    fn wrong<E: Error>(&self, found: &str) -> E {
        match self.name {
            Some(name) => self.of.wrong(name, found),
            None => E::custom(format_args!("expected {ANY}, found {found}")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Each takes a kind of scalar.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            self.text(&value)
        })*
    };
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ANY)
    }

    scalars! { visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64 }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.to_owned()))
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.wrong("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // To the end, or some formats complain about that instead.
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(self.wrong("a table"))
    }
}
