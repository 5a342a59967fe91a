//! Functions over a list, of which each element is a key.

use syn::{ReceiverKind, Type, spanned::Spanned};

use super::{all_names, has_companion, private, skips};
use crate::{
    args::Args,
    errors::Errors,
    names,
    signature::{Argument, Binding, Signature},
    template::{Placeholder, Template},
    types::{self, List},
};

/// What the expansion needs of a function over a list.
pub(crate) struct EachPlan {
    /// The function itself.
    pub(crate) whole: Signature,
    /// The list among its arguments.
    pub(crate) list: usize,
    pub(crate) takes: List,
}

/// Makes the signature that of a function over one element.
pub(super) fn join(args: &Args, signature: &mut Signature, errors: &mut Errors) -> Option<EachPlan> {
    let given = &args.each.as_ref()?.value;
    let name = names::plain(&given.list);
    if !has_companion(args, signature) && signature.async_trait {
        errors.at(
            &given.list,
            "with `each`, the function's body stands in a function of its own, which an `impl` of a trait cannot have; annotate a function \
             beside it, and call that",
        );
    }
    if skips(args, &name) {
        errors.at(&given.list, format!("each element of `{name}` is a key, so `{name}` cannot be skipped"));
    }
    more_than_once(signature, errors);
    let of_name = |argument: &Argument| argument.bindings.iter().any(|binding| binding.name == name);
    let Some(list) = signature.arguments.iter().position(of_name) else {
        let message = format!("there is no argument `{name}`; the arguments are {}", all_names(signature));
        errors.at(&given.list, message);
        return None;
    };
    let argument = &signature.arguments[list];
    if argument.pattern.is_some() {
        errors.at(
            &given.list,
            format!("`each` needs `{name}` as an argument of its own, and not as a part of a pattern"),
        );
        return None;
    }
    let Some((takes, element)) = types::list(&argument.ty) else {
        errors.at(&argument.ty, format!("`each` needs `{name}` to be a list: a `&[T]`, a `&Vec<T>` or a `Vec<T>`"));
        return None;
    };
    let whole = signature.clone();
    let ident = given.element.as_ref().unwrap_or(&argument.name);
    let element = element_of(argument, ident.clone(), element.clone());
    let place = signature.answer.span();
    let (private, answer) = (private(args, place), &signature.answer);
    let answer: Type = syn::parse_quote_spanned!(place=> <#answer as #private::EachAnswer>::One);
    (signature.written_answer, signature.answer) = (answer.clone(), answer);
    signature.arguments[list] = element;
    // The body is elsewhere.
    signature.arguments.iter_mut().for_each(|argument| argument.mutability = None);
    if let Some(syn::FnArg::Receiver(receiver)) = signature.function.sig.inputs.first_mut()
        && !matches!(receiver.kind, ReceiverKind::Reference(..))
    {
        receiver.mutability = None;
    }
    Some(EachPlan { whole, list, takes })
}

/// One element in place of the list. It is a reference where the key is made.
fn element_of(list: &Argument, ident: proc_macro2::Ident, ty: Type) -> Argument {
    let binding = Binding { name: names::plain(&ident), ident: ident.clone(), reference: true };
    Argument {
        cfg: list.cfg.clone(),
        attrs: list.attrs.clone(),
        name: ident,
        mutability: None,
        ty,
        pattern: None,
        bindings: vec![binding],
        writable: None,
    }
}

/// The body may run more than once in a call: for the elements that nothing else has, and then in place of another call's body.
fn more_than_once(signature: &Signature, errors: &mut Errors) {
    let message =
        "with `each`, the body may run more than once in a call, so it cannot have this for itself; take it by `&`";
    for argument in &signature.arguments {
        if let Some(reference) = &argument.writable {
            errors.at(reference, message);
        }
        if types::opaque(&argument.ty).is_some() {
            errors.at(&argument.ty, "`each` needs arguments whose types have names; use a type parameter");
        }
    }
    if let Some(receiver) = signature.receiver().filter(|receiver| types::is_writable_self(receiver)) {
        errors.at(receiver, message);
    }
}

/// All elements would have one key if the template left them out.
pub(super) fn is_in(template: &Template, element: &Argument, errors: &mut Errors) {
    let is_it = |placeholder: &Placeholder| element.bindings.iter().any(|binding| binding.name == placeholder.root);
    if !template.placeholders.iter().any(is_it) {
        let name = names::plain(&element.name);
        let message = format!("each element is a key of its own, so the template needs it: write `{{{name}}}` in it");
        errors.push(syn::Error::new(element.name.span(), message));
    }
}
