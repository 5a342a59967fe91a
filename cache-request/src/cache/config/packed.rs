//! The options of how values are packed for a backend. All schemes that have one take them.

use super::options::{Bytes, Options};
use crate::{Error, cache::CacheBuilder};

/// Takes them before anything is opened: where they are refused, no directory is made, and no server asked.
pub(super) fn take(options: &mut Options, mut builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    if let Some(Bytes(bytes)) = options.take("max_value_bytes")? {
        builder = builder.max_value_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    builder = compressed(options, builder)?;
    let (current, old) = (secret(options, "secret", "secret_env")?, secret(options, "secret_old", "secret_old_env")?);
    if let (None, Some(_)) = (&current, &old) {
        return Err(Error::config("option `secret_old` needs a `secret`"));
    }
    builder = current.into_iter().fold(builder, CacheBuilder::secret);
    Ok(old.into_iter().fold(builder, CacheBuilder::secret_old))
}

/// A secret, given or in the environment. No error shows what was given: it may be the secret in the wrong place.
fn secret(options: &mut Options, name: &'static str, variable: &'static str) -> Result<Option<Vec<u8>>, Error> {
    let secret = match (options.text(name), options.text(variable)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(Error::config(format!("options `{name}` and `{variable}` are both given"))),
        (Some(secret), None) => secret.into_bytes(),
        (None, Some(named)) => std::env::var_os(named)
            .ok_or_else(|| Error::config(format!("option `{variable}`: that environment variable is not set")))?
            .into_encoded_bytes(),
    };
    if secret.is_empty() { Err(Error::config(format!("option `{name}`: it is empty"))) } else { Ok(Some(secret)) }
}

#[cfg(not(feature = "zstd"))]
fn compressed(options: &mut Options, builder: CacheBuilder) -> Result<CacheBuilder, Error> {
    match (options.text("compress_over"), options.text("compress_level")) {
        (None, None) => Ok(builder),
        _ => Err(Error::config("compression is not compiled in: enable the feature `zstd` of cache-request")),
    }
}

#[cfg(feature = "zstd")]
use self::enabled::compressed;

#[cfg(feature = "zstd")]
mod enabled {
    use std::str::FromStr;

    use super::super::options::{Bytes, Options, Wrong};
    use crate::{Error, cache::CacheBuilder, codec::COMPRESS_LEVELS};

    pub(super) fn compressed(options: &mut Options, mut builder: CacheBuilder) -> Result<CacheBuilder, Error> {
        if let Some(Above(bytes)) = options.take("compress_over")? {
            builder = builder.compress_over(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(Level(level)) = options.take("compress_level")? {
            builder = builder.compress_level(level);
        }
        Ok(builder)
    }

    /// As [`Bytes`], or none at all.
    struct Above(u64);

    impl FromStr for Above {
        type Err = Wrong;

        fn from_str(text: &str) -> Result<Self, Wrong> {
            if text == "0" { Ok(Self(0)) } else { text.parse().map(|Bytes(bytes)| Self(bytes)) }
        }
    }

    /// One of [`COMPRESS_LEVELS`].
    struct Level(i32);

    impl FromStr for Level {
        type Err = Wrong;

        fn from_str(text: &str) -> Result<Self, Wrong> {
            let level = text.parse().ok().filter(|level| COMPRESS_LEVELS.contains(level));
            level.map(Self).ok_or(Wrong::Expected("a level from -7 to 22"))
        }
    }
}

#[cfg(all(test, not(feature = "zstd")))]
mod tests {
    use crate::Cache;

    #[test]
    fn compression_that_is_not_compiled_in_names_the_feature() {
        for option in ["compress_over=4KiB", "compress_level=3"] {
            let error = Cache::from_url(&format!("file:///nowhere?{option}")).unwrap_err();
            let why = "compression is not compiled in: enable the feature `zstd` of cache-request";
            assert_eq!(error.to_string(), why);
        }
    }
}
