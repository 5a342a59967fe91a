//! How old a response is, how long it is fresh, and whether it may be reused (RFC 9111, sections 4 and 4.2; RFC 5861).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{AGE, DATE, EXPIRES, LAST_MODIFIED},
};
use httpdate::{fmt_http_date, parse_http_date};

use super::{
    directives::{About, Directives, MaxStale, Seconds, delta_seconds},
    lists::members,
};

/// What a response says to this cache: the directives that count, and whether `Expires` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) directives: Directives,
    /// A targeted field replaces `Cache-Control` and `Expires` together (RFC 9213, section 2.2).
    is_targeted: bool,
}

impl Control {
    /// The control data of a response for a cache that `targets` address, the first one first.
    pub(crate) fn of(headers: &HeaderMap, targets: &[HeaderName]) -> Self {
        match targets.iter().find_map(|target| Directives::of_target(headers, target)) {
            Some(directives) => Self { directives, is_targeted: true },
            None => Self { directives: Directives::of_response(headers), is_targeted: false },
        }
    }

    /// Whether the response has an `Expires` that counts.
    pub(crate) fn has_expires(&self, headers: &HeaderMap) -> bool {
        !self.is_targeted && headers.contains_key(EXPIRES)
    }

    /// How long the response is fresh by its own words, counted from its making (section 4.2.1).
    pub(crate) fn explicit_lifetime(&self, headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
        let Directives { s_maxage, max_age, .. } = self.directives;
        match s_maxage.or(max_age) {
            // Freshness that cannot be read is none.
            Some(seconds) => Some(seconds.unwrap_or_default()),
            None if self.is_targeted => None,
            None => expires(headers).map(|expires| {
                let expires = expires.unwrap_or(UNIX_EPOCH);
                expires.duration_since(date(headers).unwrap_or(received)).unwrap_or_default()
            }),
        }
    }

    /// A tenth of the time since the response was changed last, if nothing is said and it may be guessed (section 4.2.2).
    fn heuristic_lifetime(&self, status: StatusCode, headers: &HeaderMap, received: SystemTime) -> Option<Duration> {
        if !(is_heuristically_cacheable(status) || self.directives.public) {
            return None;
        }
        let changed = single_date(headers, &LAST_MODIFIED)?;
        date(headers).unwrap_or(received).duration_since(changed).ok().map(|since| since / 10)
    }
}

/// Whether a status may be cached with no word about it (RFC 9110, section 15.1).
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// When a stored response may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freshness {
    received: SystemTime,
    /// The age when it was received (section 4.2.3).
    initial_age: Duration,
    lifetime: Duration,
    /// A stale response is never reused without validation.
    must_revalidate: bool,
    /// No response is ever reused without validation.
    no_cache: bool,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
}

/// For how long stale responses may be reused that do not say so themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) while_revalidating: Duration,
    pub(crate) if_error: Duration,
}

/// Whether a stored response may answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    Fresh,
    /// It is stale, and the request allows that.
    Stale,
    /// It is stale, and it may be reused while it is validated in the background (RFC 5861, section 3).
    WhileRevalidating,
    /// It must be validated first.
    Validate(Reason),
}

/// Why a stored response is validated, as `Cache-Status` names it (RFC 9211, section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is no longer fresh, or must always be validated.
    Stale,
    /// The request's directives ask for it.
    Request,
}

impl Freshness {
    /// The freshness of a response to a request that was sent at `requested`, and whose header was received at `received`.
    pub(crate) fn of(
        control: &Control,
        status: StatusCode,
        headers: &HeaderMap,
        requested: SystemTime,
        received: SystemTime,
    ) -> Self {
        let directives = &control.directives;
        let explicit = control.explicit_lifetime(headers, received);
        let lifetime = explicit.or_else(|| control.heuristic_lifetime(status, headers, received));
        let window = |seconds: Option<Seconds>| seconds.and_then(Result::ok).unwrap_or_default();
        let apparent = received.duration_since(date(headers).unwrap_or(received)).unwrap_or_default();
        let delay = received.duration_since(requested).unwrap_or_default();
        Self {
            received,
            initial_age: apparent.max(age(headers).unwrap_or_default().saturating_add(delay)),
            lifetime: lifetime.unwrap_or_default(),
            must_revalidate: directives.must_revalidate || directives.proxy_revalidate || directives.s_maxage.is_some(),
            no_cache: About::is_all(directives.no_cache.as_ref()),
            stale_while_revalidate: window(directives.stale_while_revalidate),
            stale_if_error: window(directives.stale_if_error),
        }
    }

    /// With the windows of a cache, where the response does not name its own. One that is never fresh gets none: it is to be validated each
    /// time, or nothing says that it is for other requests.
    pub(crate) fn with_windows(mut self, control: &Control, windows: Windows) -> Self {
        if self.lifetime.is_zero() {
            return self;
        }
        if control.directives.stale_while_revalidate.is_none() {
            self.stale_while_revalidate = windows.while_revalidating;
        }
        if control.directives.stale_if_error.is_none() {
            self.stale_if_error = windows.if_error;
        }
        self
    }

    /// Its times in milliseconds, and its flags, as they are stored.
    pub(crate) fn to_numbers(self) -> ([u64; 5], u8) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let received = self.received.duration_since(UNIX_EPOCH).unwrap_or_default();
        let times = [received, self.initial_age, self.lifetime, self.stale_while_revalidate, self.stale_if_error];
        (times.map(millis), u8::from(self.must_revalidate) | u8::from(self.no_cache) << 1)
    }

    /// What [`to_numbers`](Self::to_numbers) was made of, to the millisecond.
    pub(crate) fn from_numbers(times: [u64; 5], flags: u8) -> Self {
        let [received, initial_age, lifetime, stale_while_revalidate, stale_if_error] =
            times.map(Duration::from_millis);
        Self {
            // A time that no clock shows makes the response too old to be fresh.
            received: UNIX_EPOCH.checked_add(received).unwrap_or(UNIX_EPOCH),
            initial_age,
            lifetime,
            must_revalidate: flags & 1 != 0,
            no_cache: flags & 2 != 0,
            stale_while_revalidate,
            stale_if_error,
        }
    }

    /// Whether it is never reused when it is stale.
    fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.no_cache
    }

    /// The longest time for which it may be reused from `now` on: while it is fresh, and then by its windows or by that of the cache.
    pub(crate) fn useful_for(&self, now: SystemTime, window: Duration) -> Duration {
        let stale = if self.forbids_stale() {
            Duration::ZERO
        } else {
            self.stale_while_revalidate.max(self.window_on_error(window))
        };
        self.lifetime.saturating_add(stale).saturating_sub(self.age(now))
    }

    /// When the response was received.
    pub(crate) fn received(&self) -> SystemTime {
        self.received
    }

    /// The age at `now` (section 4.2.3).
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        self.initial_age.saturating_add(now.duration_since(self.received).unwrap_or_default())
    }

    /// How long it stays fresh from `now` on. `Err` with the time since then if it is stale.
    pub(crate) fn left(&self, now: SystemTime) -> Result<Duration, Duration> {
        match self.lifetime.checked_sub(self.age(now)) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(self.age(now) - self.lifetime),
        }
    }

    /// Whether it may answer a request at `now` (sections 4 and 5.2.1).
    pub(crate) fn reuse(&self, request: &Directives, now: SystemTime) -> Reuse {
        if self.no_cache {
            return Reuse::Validate(Reason::Stale);
        }
        let age_allowed = match request.max_age {
            Some(seconds) => seconds.is_ok_and(|most| self.age(now) <= most),
            None => true,
        };
        if request.no_cache.is_some() || request.is_malformed || !age_allowed {
            return Reuse::Validate(Reason::Request);
        }
        match self.left(now) {
            Ok(left) => match request.min_fresh {
                Some(least) if least.map_or(true, |least| left < least) => Reuse::Validate(Reason::Request),
                _ => Reuse::Fresh,
            },
            Err(_) if self.forbids_stale() || request.min_fresh.is_some() => Reuse::Validate(Reason::Stale),
            Err(staleness) => match request.max_stale {
                Some(MaxStale::AtMost(most)) if staleness > most => Reuse::Validate(Reason::Stale),
                _ if is_within(staleness, self.stale_while_revalidate) => Reuse::WhileRevalidating,
                Some(_) => Reuse::Stale,
                None => Reuse::Validate(Reason::Stale),
            },
        }
    }

    /// Whether it may answer a request at `now` because the origin has failed: by its own words, by those of the request (RFC 5861, section 4),
    /// or within `window`, for what the cache knows of the failure.
    pub(crate) fn may_stand_in(&self, request: &Directives, window: Duration, now: SystemTime) -> bool {
        if self.forbids_stale() || request.no_cache.is_some() || request.is_malformed {
            return false;
        }
        let staleness = self.left(now).err().unwrap_or_default();
        if let Some(Ok(asked)) = request.stale_if_error
            && is_within(staleness, asked)
        {
            return true;
        }
        let is_too_old = request.max_age.is_some_and(|most| most.map_or(true, |most| self.age(now) > most))
            || request.min_fresh.is_some()
            || matches!(request.max_stale, Some(MaxStale::AtMost(most)) if staleness > most);
        !is_too_old && is_within(staleness, self.window_on_error(window))
    }

    /// For how long it stands in for an error, by its own words or within the `window` of a cache. One that is never fresh has only its own.
    fn window_on_error(&self, window: Duration) -> Duration {
        if self.lifetime.is_zero() { self.stale_if_error } else { self.stale_if_error.max(window) }
    }
}

/// Whether a response that is stale since then may be reused. Without a window, none may.
fn is_within(staleness: Duration, window: Duration) -> bool {
    !window.is_zero() && staleness <= window
}

/// The `Age` of a response, by its first member, if that is a number (section 5.1).
pub(crate) fn age(headers: &HeaderMap) -> Option<Duration> {
    delta_seconds(members(headers, &AGE).next()?)
}

/// When the response was made, by its `Date`. Of several, the oldest counts.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    headers.get_all(DATE).iter().filter_map(|line| http_date(line.as_bytes())).min()
}

/// `Expires`: `Err` if it cannot be read, which means that the response is stale (section 5.3).
fn expires(headers: &HeaderMap) -> Option<Result<SystemTime, ()>> {
    headers.contains_key(EXPIRES).then(|| single_date(headers, &EXPIRES).ok_or(()))
}

/// A date field. `None` if it is missing, no HTTP date (RFC 9110, section 5.6.7), or there are several lines that differ.
pub(crate) fn single_date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    if lines.any(|line| line != first) {
        return None;
    }
    http_date(first.as_bytes())
}

/// A time as an HTTP date. `None` before 1970 and after the year 9999, for which there is none.
pub(crate) fn date_value(time: SystemTime) -> Option<HeaderValue> {
    const YEAR_10_000: u64 = 253_402_300_800;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds < YEAR_10_000).then(|| HeaderValue::try_from(fmt_http_date(time)).ok())?
}

/// An HTTP date in any of the three forms. Names of days, months and the zone may be in any case.
pub(crate) fn http_date(bytes: &[u8]) -> Option<SystemTime> {
    let mut date = std::str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    if let Some(zone) = date.len().checked_sub(3).and_then(|zone| date.get_mut(zone..)).filter(|zone| *zone == "gmt") {
        zone.make_ascii_uppercase();
    }
    let mut inside_name = false;
    let date: String = date
        .chars()
        .map(|character| {
            let begins = !inside_name && character.is_ascii_alphabetic();
            inside_name = character.is_ascii_alphabetic();
            if begins { character.to_ascii_uppercase() } else { character }
        })
        .collect();
    // The wrong day of the week makes no date wrong, but it has to be a day.
    let rest = date.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    let day = &date[..date.len() - rest.len()];
    let is_full = DAYS.contains(&day);
    if !is_full && !DAYS.iter().any(|known| known[..3] == *day) {
        return None;
    }
    let with_day = |day: &str| parse_http_date(&format!("{}{rest}", if is_full { day } else { &day[..3] })).ok();
    parse_http_date(&date).ok().or_else(|| DAYS.iter().find_map(|day| with_day(day)))
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
