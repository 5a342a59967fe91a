//! The expression that makes the handle: from the call's site, key, policy and body.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Type, spanned::Spanned};

use super::{
    body::body,
    call_of, companion_path, each, hidden_name,
    key::{self, fill},
    place, private, private_at, replacing, tags,
};
use crate::{
    args::{Timeout, is_set},
    names,
    plan::{KeyPlan, Origin, Part, Plan, Replacement},
    signature::Kind,
    types::{self, Responds},
};

/// The names of a call's site and key, which the user's code does not see.
pub(super) fn prepared_names() -> [Ident; 2] {
    ["site", "key"].map(names::local)
}

/// The site and the key of one call, as statements.
///
/// ```text
/// let site = { static SITE: Site = Site::new(…); &SITE };
/// let mut key = Key::new();
/// { let mut key = Key::begin(&mut key); … }
/// Key::finish(&mut key);
/// ```
///
/// The key is made at once, before the body takes the arguments; for an `async fn` that is its first poll, and for a
/// companion when it is called, so that a handle always has its key.
pub(super) fn prepared(plan: &Plan) -> TokenStream {
    let site = site(plan);
    let private = private_at(plan, place(&plan.signature));
    let [site_, key_] = prepared_names();
    let fill = each::lent(plan, fill(plan, &key_));
    quote! {
        let #site_ = #site;
        let mut #key_ = #private::Key::new();
        #fill
    }
}

/// The handle on a call whose site and key are known, an expression.
///
/// ```text
/// {
///     let tags = …;
///     let body = move || -> R { body };
///     let instance = Instance::of(&__f_cache_body);
///     let policy = …;
///     SyncHandle::new(site, instance, policy, key, body)
/// }
/// ```
pub(super) fn handle(plan: &Plan) -> TokenStream {
    let body = responding(plan, body(plan));
    let policy = policy(plan);
    // Before the body takes the arguments.
    let tags = tags::of_call(plan);
    let tagged = tags::of_call_in_policy(plan);
    let handle = match plan.signature.kind {
        Kind::Plain => quote!(SyncHandle),
        _ => quote!(Handle),
    };
    let place = place(&plan.signature);
    // The block's names are hygienic, so the body does not see them. The last one is not, and comes after all of the user's code.
    let [body_, instance_] = ["body", "instance"].map(names::local);
    let [site_, key_] = prepared_names();
    let mut policy_ = names::local("policy");
    policy_.set_span(place);
    // One span for all bounds of the cached type: of errors with one span, the compiler shows the first.
    let private = private_at(plan, place);
    let handle = quote_spanned!(place=> #private::#handle::new(#site_, #instance_, #policy_, #key_, #body_));
    // A function with a name is identified by it, so that the function and its companion share values.
    let known_by = nameable(plan).unwrap_or_else(|| body_.to_token_stream());
    // The body of a response is read before it is cached.
    let may_respond =
        types::may_be_response(&plan.signature.answer) && plan.signature.opaque.is_none() && plan.each.is_none();
    let completed = (may_respond && plan.signature.kind != Kind::Plain).then(|| {
        let completion = probe(plan, &quote!(.__cache_request_completion()));
        quote!(let #body_ = #completion.complete(#body_, #private::Completing::of(#site_, #instance_));)
    });
    let mut block = Group::new(
        Delimiter::Brace,
        quote! {
            #tags
            let #body_ = #body;
            let #instance_ = #private::Instance::of(&#known_by);
            #completed
            let #policy_ = #policy #tagged;
            #handle
        },
    );
    block.set_span(place);
    block.into_token_stream()
}

/// The body of a function that returns `impl IntoResponse`: it makes the response.
fn responding(plan: &Plan, body: TokenStream) -> TokenStream {
    let respond = match plan.signature.responds {
        None => return body,
        Some(Responds::Always) => "respond",
        Some(Responds::IfOk) => "respond_if_ok",
    };
    let place = place(&plan.signature);
    let (private, respond) = (private_at(plan, place), Ident::new(respond, place));
    quote_spanned!(place=> #private::#respond(#body))
}

/// The look-up in memory, before everything else: a hit makes no handle and no body.
///
/// ```text
/// // output
/// static DIRECT: Direct<R> = Direct::new(|| policy, &__f_cache_body);
/// if let Some(answer) = Direct::hit(&DIRECT, site, &key) {
///     return answer;
/// }
///
/// // output in an `impl`, or where a `static` cannot name the answer's type
/// if let Some(answer) = policy.hit(site, Instance::of(&__f_cache_body), &key) {
///     return answer;
/// }
/// ```
///
/// `None` if the function cannot be named as a value, or its answer's type has no name. Then the handle looks the value up.
pub(super) fn hit(plan: &Plan) -> Option<TokenStream> {
    let hidden = nameable(plan)?;
    let place = place(&plan.signature);
    let private = private_at(plan, place);
    let policy = answer_policy(plan)?;
    let answer_ = names::local("answer");
    let [site_, key_] = prepared_names();
    if plan.replacement == Replacement::Never {
        let hit = if plan.signature.has_static_answer() {
            let answer = &plan.signature.answer;
            // With the span for errors about the cached type.
            let checked = quote_spanned!(place=> .can_be_kept());
            quote! {
                {
                    #[allow(clippy::type_complexity)]
                    static DIRECT: #private::Direct<#answer> = #private::Direct::new(|| #policy #checked, &#hidden);
                    #private::Direct::hit(&DIRECT, #site_, &#key_)
                }
            }
        } else {
            let hit = quote_spanned!(place=> .can_be_kept().hit);
            quote!(#policy #hit (#site_, #private::Instance::of(&#hidden), &#key_))
        };
        return Some(quote! {
            if let ::core::option::Option::Some(#answer_) = #hit {
                return #answer_;
            }
        });
    }
    let hit = quote_spanned!(place=> .can_be_kept().hit_or_replace);
    let is_due_ = names::local("is_due");
    let replace = match plan.replacement {
        Replacement::Background => {
            let begin = replacing::begin(plan);
            quote!(#begin; return #answer_;)
        }
        _ => {
            let call = call_of(&plan.signature, &hidden, Some(prepared_names()));
            match plan.signature.kind {
                Kind::Plain => quote!(return #call.replace(#answer_);),
                _ => quote!(return ::core::pin::pin!(#call).replace(#answer_).await;),
            }
        }
    };
    Some(quote! {
        if let ::core::option::Option::Some((#answer_, #is_due_)) =
            #policy #hit (#site_, #private::Instance::of(&#hidden), &#key_)
        {
            if #is_due_ {
                #replace
            }
            return #answer_;
        }
    })
}

/// The hidden function as a value, if there is one. With an `impl Trait` argument it cannot be named, and with an `impl Trait`
/// answer there is no companion.
pub(super) fn nameable(plan: &Plan) -> Option<TokenStream> {
    let signature = &plan.signature;
    let unnamed = signature.arguments.iter().any(|argument| types::opaque(&argument.ty).is_some());
    (plan.companion && !unnamed).then(|| companion_path(signature, &hidden_name(signature)))
}

/// In a block of its own, as a `static` is not hygienic and the body may know another `SITE`.
pub(super) fn site(plan: &Plan) -> TokenStream {
    let private = private(plan);
    let args = &plan.args;
    let function = names::plain(&plan.signature.function.sig.ident);
    let (parts, pieces) = match &plan.key {
        KeyPlan::Parts { parts, pieces } => (parts.as_slice(), pieces.as_deref()),
        KeyPlan::Function { .. } => (&[][..], None),
    };
    let parts = parts.iter().map(|Part { name, cfg, .. }| quote!(#(#cfg)* #name));
    let texts = [("name", &args.name), ("version", &args.version), ("prefix", &args.prefix), ("cache", &args.cache)];
    let texts = texts.into_iter().filter_map(|(setter, slot)| {
        let text = &slot.as_ref()?.value;
        let setter = Ident::new(setter, Span::call_site());
        Some(quote!(.#setter(#text)))
    });
    let max_entries = args.max_entries.as_ref().map(|entries| {
        let entries = &entries.value;
        quote!(.max_entries(#entries))
    });
    let share = args.share.as_ref().map(|share| {
        let name = &share.value;
        let types = match &plan.key {
            KeyPlan::Parts { parts, .. } => parts.as_slice(),
            KeyPlan::Function { .. } => &[],
        };
        let types = types.iter().map(|Part { origin, cfg, .. }| {
            let ty = match origin {
                Origin::Argument(ty) => types::in_words(ty),
                _ => "_".to_owned(),
            };
            let named = match origin {
                Origin::Argument(ty) => types::named(ty),
                _ => Vec::new(),
            };
            let named = named.iter().map(|ty| match ty {
                Some(ty) => quote! {
                    ::core::option::Option::Some(#private::NamedType {
                        id: #private::id_of::<#ty>,
                        name: #private::name_of::<#ty>,
                    })
                },
                None => quote!(::core::option::Option::None),
            });
            quote!(#(#cfg)* #private::PartType { words: #ty, named: &[#(#named),*] })
        });
        quote!(.share(#name, &[#(#types),*]))
    });
    let template = pieces.map(|pieces| quote!(.template(&[#(#pieces),*])));
    let associated = plan.signature.associated.then(|| quote!(.associated()));
    let local = is_set(&args.local).then(|| quote!(.local()));
    let uncoalesced = args.coalesce.as_ref().filter(|coalesce| !coalesce.value).map(|_| quote!(.uncoalesced()));
    quote! {
        {
            static SITE: #private::Site = #private::Site::new(
                ::core::module_path!(), #function, &[#(#parts),*], ::core::file!(), ::core::line!(),
            ).column(::core::column!()) #(#texts)* #share #max_entries #template #associated #local #uncoalesced;
            &SITE
        }
    }
}

/// The part of the answer that is cached. Nothing if the answer's type has no name.
pub(super) fn answer_policy(plan: &Plan) -> Option<TokenStream> {
    let Plan { args, signature, .. } = plan;
    let answer = types::inferred(&signature.answer);
    // An error about the cached type points at the receiver of the method, so that has the span of the return type.
    let place = place(signature);
    let placed = private_at(plan, place);
    if let Some(each) = &plan.each {
        Some(each::answer_policy(plan, each))
    } else if let Type::Infer(_) = answer {
        None
    } else if is_set(&args.cache_err) || args.timeout_err.is_some() {
        Some(quote_spanned!(place=> #placed::Policy::<#answer, #answer>::whole_result()))
    } else {
        Some(probe(plan, &quote!(.__cache_request_policy())))
    }
}

/// Calls a method that the answer's type chooses.
fn probe(plan: &Plan, call: &TokenStream) -> TokenStream {
    let (private, answer) = (private(plan), types::inferred(&plan.signature.answer));
    // One reference for each level of the choice. An inferred type may be a response.
    let levels = if plan.signature.opaque.is_some() { quote!(&&) } else { quote!(&&&) };
    let mut probe = Group::new(
        Delimiter::Brace,
        quote! {
            use #private::{AnyAnswer as _, HandlerAnswer as _, ResultAnswer as _};
            (#levels #private::Probe::<#answer>::new())#call
        },
    );
    // Only the braces have the span: some imports are unused, and with the user's span the compiler would warn.
    probe.set_span(place(&plan.signature));
    probe.into_token_stream()
}

/// The part of the answer that is cached, and for how long.
fn policy(plan: &Plan) -> TokenStream {
    let place = place(&plan.signature);
    let start = answer_policy(plan).unwrap_or_else(|| {
        let placed = private_at(plan, place);
        let body = names::local("body");
        match plan.signature.kind {
            Kind::Plain => quote_spanned!(place=> #placed::Policy::of_body(&#body)),
            _ => quote_spanned!(place=> #placed::Policy::of_future(&#body)),
        }
    });
    policy_of(plan, &start)
}

/// What the attribute says of the values, after what says which part of an answer they are.
pub(super) fn policy_of(plan: &Plan, start: &TokenStream) -> TokenStream {
    let Plan { args, signature, .. } = plan;
    let place = place(signature);
    let kept = if is_set(&args.local) { None } else { Some(quote_spanned!(place=> .serialised())) };
    let timeout = args.timeout.as_ref().map(|timeout| {
        let duration = duration(plan, &timeout.value);
        match timeout.value {
            Timeout::Expression(_) => quote!(.timeout_by(|| #duration)),
            Timeout::Fixed(_) | Timeout::Never => quote!(.timeout(#duration)),
        }
    });
    let per_value = [("timeout_with", &args.timeout_with), ("when", &args.when), ("weight", &args.weight)];
    let per_value = per_value.into_iter().filter_map(|(setter, slot)| {
        let given = slot.as_ref()?;
        let setter_ = Ident::new(setter, given.name.ident.span());
        let closure = &given.value;
        let closure = match setter {
            "timeout_with" if args.timeout_err.is_some() => of_ok(plan, closure, &quote!(::core::time::Duration::ZERO)),
            "when" if args.timeout_err.is_some() => of_ok(plan, closure, &quote!(true)),
            _ => closure.to_token_stream(),
        };
        Some(quote!(.#setter_(#closure)))
    });
    let spans = spans(plan);
    let tags = tags::in_policy(plan);
    let skip_none = args.skip_none.as_ref().filter(|flag| flag.value).map(|flag| {
        let setter = Ident::new("skip_none", flag.name.ident.span());
        quote!(.#setter())
    });
    let share_err = if is_set(&args.share_err) { Some(quote_spanned!(place=> .share_err())) } else { None };
    let checked = quote_spanned!(place=> .can_be_kept());
    let status = args.status.as_ref().map(|status| {
        let (setter, codes) = (Ident::new("status", status.name.ident.span()), &status.value);
        quote!(.#setter(&[#(#codes),*]))
    });
    let fields = key::fields(plan);
    let fields = (!fields.is_empty()).then(|| quote!(.fields(&[#(#fields),*])));
    let policy = quote!(#start #checked #status #fields #share_err);
    let policy = if is_set(&args.local) && args.weight.is_none() { weighed(plan, &policy) } else { policy };
    quote!(#policy #kept #timeout #(#per_value)* #skip_none #spans #tags)
}

/// The same, for values whose weight serde tells, if they have `Serialize`.
fn weighed(plan: &Plan, policy: &TokenStream) -> TokenStream {
    let private = private(plan);
    let [policy_, weigh_] = ["policy", "weigh"].map(names::local);
    quote! {
        {
            use #private::{WeighAny as _, WeighSerialised as _};
            let #policy_ = #policy;
            let #weigh_ = (&#policy_).weigh();
            #policy_.weight(#weigh_)
        }
    }
}

/// A closure that sees only `Ok` values, for an answer that is cached as a whole.
fn of_ok(plan: &Plan, closure: &Expr, of_err: &TokenStream) -> TokenStream {
    let private = private_at(plan, closure.span());
    let answer_ = names::local("answer");
    quote_spanned!(closure.span()=> |#answer_| #private::of_ok(#answer_, #closure, #of_err))
}

/// How long values are of use beside their timeout.
fn spans(plan: &Plan) -> TokenStream {
    let args = &plan.args;
    let err = args.timeout_err.as_ref().map(|given| {
        let (setter, duration) = (Ident::new("timeout_err", given.name.ident.span()), duration(plan, &given.value));
        match given.value {
            Timeout::Expression(_) => quote!(.#setter(|| #duration)),
            Timeout::Fixed(_) | Timeout::Never => quote!(.#setter(|| ::core::option::Option::Some(#duration))),
        }
    });
    let times = [
        ("stale", &args.stale),
        ("stale_if_error", &args.stale_if_error),
        ("stale_after", &args.stale_after),
        ("idle", &args.idle),
        ("retry", &args.retry),
    ];
    let times = times.into_iter().filter_map(|(setter, slot)| {
        let (setter, duration) = (Ident::new(setter, Span::call_site()), duration(plan, &slot.as_ref()?.value));
        Some(quote!(.#setter(#duration)))
    });
    let shares = [("early", &args.early), ("jitter", &args.jitter)];
    let shares = shares.into_iter().filter_map(|(setter, slot)| {
        let (setter, share) = (Ident::new(setter, Span::call_site()), &slot.as_ref()?.value);
        Some(quote!(.#setter(#share)))
    });
    quote!(#err #(#times)* #(#shares)*)
}

/// A `Duration`. Of an expression it is an `Option`, without which it is negative.
fn duration(plan: &Plan, timeout: &Timeout) -> TokenStream {
    match timeout {
        Timeout::Fixed(fixed) => {
            let (seconds, nanos) = (fixed.as_secs(), fixed.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanos))
        }
        Timeout::Never => quote!(::core::time::Duration::MAX),
        // The call has the expression's span, so that an error about its type has it, too.
        Timeout::Expression(expression) => {
            let private = private_at(plan, expression.span());
            quote_spanned!(expression.span()=> #private::Timeout::into_duration(#expression))
        }
    }
}
