//! Tells whether a function may stand in another function's body. There, two functions may have one path: one in each
//! arm of a `match`.

/// Whether the function that the compiler calls `own`, in `module`, may be nested in a body. `true` if in doubt.
///
/// Known not to be nested are `module::function`, `module::Type::function` and `<Type as Trait>::function`.
pub(super) fn is_nested(own: &str, module: &str, associated: bool) -> bool {
    let (own, module) = (own.replace("r#", ""), module.replace("r#", ""));
    if let Some(inside) = own.strip_prefix(&module).and_then(|inside| inside.strip_prefix("::")) {
        return match segments(inside)[..] {
            [_] => false,
            // Otherwise the segment that looks like a type may be an outer function.
            [of, _] => !associated && !of.starts_with("<impl "),
            _ => true,
        };
    }
    match segments(&own)[..] {
        // There is one such `impl`, unless its type or trait stands in a body.
        [of, _] if of.starts_with('<') => goes_deeper(of, &module),
        _ => true,
    }
}

/// Whether a path in `text` leads through `module` to something deeper than that module's own items.
fn goes_deeper(text: &str, module: &str) -> bool {
    let in_name = |character: char| character.is_alphanumeric() || "_:".contains(character);
    text.match_indices(module).any(|(at, _)| {
        let deeper = text[at + module.len()..].strip_prefix("::").is_some_and(|path| {
            path.trim_start_matches(|character| in_name(character) && character != ':').starts_with("::")
        });
        deeper && !text[..at].ends_with(in_name)
    })
}

/// The segments of a path. Text in brackets belongs to its segment.
fn segments(path: &str) -> Vec<&str> {
    let bytes = path.as_bytes();
    let (mut depth, mut start, mut segments) = (0_usize, 0, Vec::new());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            // Not the arrow of a function type.
            b'>' if at == 0 || bytes[at - 1] != b'-' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && at > start && bytes[at - 1] == b':' => {
                segments.push(&path[start..at - 1]);
                start = at + 1;
            }
            _ => {}
        }
    }
    segments.push(&path[start..]);
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_module_an_impl_or_a_trait_is_not_nested() {
        for (own, associated) in [
            ("m::n::f", false),
            ("m::n::f<m::n::g::Local>", false),
            ("m::n::A::f", true),
            ("m::n::A<m::n::B, fn(u8) -> x::Y>::f<m::C>", true),
            ("m::n::<impl m::A>::f", false),
            ("<m::n::A as m::n::T>::f", false),
            ("<m::A as x::y::T>::f", true),
            ("<&[u8] as m::n::T<alloc::string::String>>::f", true),
            ("<xm::n::a::B as m::n::T>::f", true),
        ] {
            assert!(!is_nested(own, "m::n", associated), "{own}");
        }
        assert!(!is_nested("m::r#in::f", "m::in", false));
        assert!(!is_nested("m::f", "m", false));
    }

    #[test]
    fn what_may_stand_in_a_body_is_nested() {
        for (own, associated) in [
            ("m::n::g::f", false),
            ("m::n::g::f<u8>", false),
            ("m::n::g::{{closure}}::f", false),
            ("m::n::A::g::f", false),
            ("m::n::g::Local::f", true),
            ("m::n::_::<impl m::n::A>::f", true),
            ("<m::n::g::Local as m::n::T>::f", true),
            ("<(u8, m::n::g::Local) as m::n::T>::f", true),
            ("<m::n::A as m::n::g::T>::f", true),
            ("<m::n::A as m::n::T>::g::f", false),
            ("m::other::f", false),
            ("m::nn::f", false),
        ] {
            assert!(is_nested(own, "m::n", associated), "{own}");
        }
    }
}
