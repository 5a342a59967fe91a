//! What is known of an annotated function at compile time.

/// One annotated function, as its attribute describes it: a `static` in the expansion.
#[derive(Debug)]
pub struct Site {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    /// The names of the key's parts, in order.
    pub(crate) parts: &'static [&'static str],
    /// The literal text before each placeholder of an own key, and after the last one.
    pub(crate) template: Option<&'static [&'static str]>,
    pub(crate) name: Option<&'static str>,
    pub(crate) version: Option<&'static str>,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) cache: Option<&'static str>,
    pub(crate) coalesce: bool,
}

impl Site {
    /// A function of `module`, whose key has the named parts.
    #[must_use]
    pub const fn new(
        module: &'static str,
        function: &'static str,
        parts: &'static [&'static str],
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            module,
            function,
            file,
            line,
            parts,
            template: None,
            name: None,
            version: None,
            prefix: None,
            cache: None,
            coalesce: true,
        }
    }

    /// `key = "…"`: the literal pieces around the placeholders, one more than there are parts.
    #[must_use]
    pub const fn template(mut self, pieces: &'static [&'static str]) -> Self {
        self.template = Some(pieces);
        self
    }

    /// `name = "…"`: stands for module and function.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// `version = …`.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// `prefix = "…"`.
    #[must_use]
    pub const fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// `cache = "…"`.
    #[must_use]
    pub const fn cache(mut self, cache: &'static str) -> Self {
        self.cache = Some(cache);
        self
    }

    /// `coalesce = false`.
    #[must_use]
    pub const fn uncoalesced(mut self) -> Self {
        self.coalesce = false;
        self
    }
}
