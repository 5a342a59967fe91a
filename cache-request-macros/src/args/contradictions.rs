//! Which of the attribute's arguments contradict each other.

use std::time::Duration;

use super::{Args, Given, Name, OwnKey, Slot, Timeout};
use crate::{errors::Errors, names};

/// Two arguments that contradict each other. The error is at the later one.
pub(super) fn find(args: &Args, errors: &mut Errors) {
    let mut against = |first: Option<Name>, second: Option<Name>, message: &str| {
        if let (Some(first), Some(second)) = (first, second) {
            let later = if first.position > second.position { first } else { second };
            errors.at(later.ident, message);
        }
    };
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
    if matches!(&args.timeout, Some(Given { value: Timeout::Fixed(Duration::ZERO), .. })) {
        let idle = [
            name_of(&args.status),
            name_of(&args.when),
            name_of(&args.weight),
            name_of(&args.max_entries),
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

fn name_of<T>(slot: &Slot<T>) -> Option<Name> {
    slot.as_ref().map(|given| given.name.clone())
}

/// A flag's name, unless it is `= false`.
fn name_of_set(flag: &Slot<bool>) -> Option<Name> {
    flag.as_ref().filter(|flag| flag.value).map(|flag| flag.name.clone())
}
