//! Which of the attribute's arguments contradict each other.

use std::time::Duration;

use super::{Args, Given, Name, OwnKey, Slot, Timeout};
use crate::{errors::Errors, names};

/// Two arguments that contradict each other. The error is at the later one.
pub(super) fn find(args: &Args, errors: &mut Errors) {
    let mut against = |first: Option<Name>, second: Option<Name>, message: &str| both(first, second, message, errors);
    against(
        name_of(&args.timeout),
        name_of(&args.timeout_with),
        "`timeout` and `timeout_with` contradict each other; keep one of them",
    );
    against(
        name_of(&args.key),
        name_of(&args.vary),
        "`key` is the whole key, so `vary` adds nothing to it; remove `vary`, and write its parts into `key`",
    );
    if matches!(&args.key, Some(Given { value: OwnKey::Template(_), .. })) {
        against(
            name_of(&args.key),
            name_of(&args.skip),
            "this `key` names the arguments that it is made of, so there is nothing to `skip`; remove `skip`",
        );
    }
    against(
        name_of_set(&args.cache_err),
        name_of_set(&args.skip_none),
        "`cache_err` keeps the whole `Result`, and `skip_none` looks into an `Option`; say what to keep with \
         `when = |answer| …`",
    );
    against(
        name_of_set(&args.cache_err),
        name_of_set(&args.share_err),
        "`cache_err` makes an `Err` a value, which the callers that wait get anyway; remove `share_err`",
    );
    against(
        args.coalesce.as_ref().filter(|coalesce| !coalesce.value).map(|coalesce| coalesce.name.clone()),
        name_of_set(&args.share_err),
        "with `coalesce = false` no caller waits for the `Err` of another one; remove `share_err`",
    );
    against(
        name_of(&args.status),
        name_of_set(&args.cache_err),
        "`status` is about responses, and `cache_err` keeps the whole `Result` as a value; keep one of them",
    );
    spans(args, errors);
    let mut against = |first: Option<Name>, second: Option<Name>, message: &str| both(first, second, message, errors);
    if matches!(&args.timeout, Some(Given { value: Timeout::Fixed(Duration::ZERO), .. })) {
        let idle = [
            name_of(&args.timeout_err),
            name_of(&args.stale),
            name_of(&args.stale_if_error),
            name_of(&args.stale_after),
            name_of(&args.early),
            name_of(&args.jitter),
            name_of(&args.idle),
            name_of(&args.status),
            name_of(&args.when),
            name_of(&args.weight),
            name_of(&args.max_entries),
            name_of(&args.tags),
            name_of(&args.inherit_tags),
            name_of_set(&args.cache_err),
            name_of_set(&args.skip_none),
        ];
        for other in idle.into_iter().flatten() {
            let message = format!(
                "a `timeout` of zero stores nothing, so `{}` has nothing to decide; remove one of them",
                names::plain(&other.ident)
            );
            against(name_of(&args.timeout), Some(other), &message);
        }
    }
}

/// Reports two arguments if both are given.
fn both(first: Option<Name>, second: Option<Name>, message: &str, errors: &mut Errors) {
    if let (Some(first), Some(second)) = (first, second) {
        let later = if first.position > second.position { first } else { second };
        errors.at(later.ident, message);
    }
}

/// What is said of values beside their timeout.
fn spans(args: &Args, errors: &mut Errors) {
    let replaced = [name_of(&args.stale), name_of(&args.early)];
    let [stale, early] = replaced.clone();
    let is_replaced = replaced.iter().any(Option::is_some);
    if let Some(foreground) = name_of_set(&args.foreground).filter(|_| !is_replaced) {
        errors.at(
            foreground.ident,
            "`foreground` says who runs the body for `stale` and `early`, and there is neither; remove it",
        );
    }
    if let Some(retry) = name_of(&args.retry).filter(|_| !is_replaced && args.stale_if_error.is_none()) {
        errors.at(
            retry.ident,
            "`retry` is the time between two bodies of `stale`, `early` or `stale_if_error`, and there is none of them; remove it",
        );
    }
    both(
        name_of_set(&args.foreground),
        name_of_set(&args.detach),
        "`detach` lets a body go on without its caller, and `foreground` has a caller wait for it; keep one of them",
        errors,
    );
    if let Some(after) = name_of(&args.stale_after).filter(|_| args.stale_if_error.is_none()) {
        errors.at(
            after.ident,
            "`stale_after` returns a value that is kept for `stale_if_error`; add that, such as `stale_if_error = \"1h\"`",
        );
    }
    both(
        name_of(&args.stale_after),
        name_of_set(&args.foreground),
        "with `stale_after`, a new value is made in the background; remove `foreground`",
        errors,
    );
    both(
        name_of(&args.stale_after),
        name_of_set(&args.detach),
        "with `stale_after`, the body for an expired value goes on without its caller as it stands; remove `detach`",
        errors,
    );
    if matches!(&args.timeout, Some(Given { value: Timeout::Never, .. })) {
        for span in [stale, name_of(&args.stale_if_error), name_of(&args.stale_after), early, name_of(&args.jitter)]
            .into_iter()
            .flatten()
        {
            let message = format!(
                "a value whose `timeout` is `never` is always fresh, so `{}` means nothing; remove it",
                names::plain(&span.ident)
            );
            errors.at(&span.ident, message);
        }
    }
    both(
        name_of_set(&args.cache_err),
        name_of(&args.stale_if_error),
        "`cache_err` makes an `Err` a value, so no older one stands in for it; remove `stale_if_error`",
        errors,
    );
    let of_errors = [
        (name_of_set(&args.cache_err), "`cache_err` keeps an `Err` as long as an `Ok`; keep one of them"),
        (
            name_of_set(&args.share_err),
            "an `Err` that is kept is shared with the callers that wait anyway; remove `share_err`",
        ),
        (
            name_of(&args.stale_if_error),
            "`stale_if_error` answers with an older value in place of an `Err`, and `timeout_err` keeps the `Err`; keep one of them",
        ),
        (
            name_of(&args.status),
            "`status` is about responses, and `timeout_err` keeps the whole `Result`; keep one of them",
        ),
        (
            name_of_set(&args.skip_none),
            "`timeout_err` keeps the whole `Result`, and `skip_none` looks into an `Option`; say which values to keep with \
             `when = |value| …`",
        ),
    ];
    for (other, message) in of_errors {
        both(name_of(&args.timeout_err), other, message, errors);
    }
}

pub(super) fn name_of<T>(slot: &Slot<T>) -> Option<Name> {
    slot.as_ref().map(|given| given.name.clone())
}

/// A flag's name, unless it is `= false`.
pub(super) fn name_of_set(flag: &Slot<bool>) -> Option<Name> {
    flag.as_ref().filter(|flag| flag.value).map(|flag| flag.name.clone())
}
