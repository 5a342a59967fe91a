//! The only names the attribute's expansion uses. Nothing here is public API: it changes without notice.

pub use super::{
    answer::{Answer, Completing, IntoAnswer, Response, respond, respond_if_ok},
    background::{Ownable, Spare},
    each::{EachAnswer, EachAnswerOf, EachCall, again, element_policy, list_of, values_policy},
    handle::{Handle, SyncHandle},
    part::{
        Argument, Named, Part,
        headers::{HeadersIn, NoHeaders, add_cookie, add_header},
    },
    prepared::{answer, answer_now},
    probe::{AnyAnswer, HandlerAnswer, Probe, ResultAnswer, WeighAny, WeighSerialised},
    site::{Direct, Site},
    tagged::Tagged,
    timeout::{Timeout, of_ok},
};
pub use crate::{
    engine::{
        description::{Instance, NamedType, PartType, id_of, name_of},
        policy::Policy,
        tagging::TagList,
        value::{Value, ValueOf},
    },
    key::Key,
};

/// The traits whose methods the expansion calls where it makes a key.
pub mod key_parts {
    pub use crate::attribute::part::{
        ArgumentAsWhole as _, ArgumentByBindings as _,
        headers::{ArgumentHasHeaders as _, ArgumentWithoutHeaders as _, Rest as _},
    };
}
