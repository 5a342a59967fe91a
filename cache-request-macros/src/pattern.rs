//! The names that an argument's pattern binds.

use proc_macro2::Ident;
use syn::{
    Pat, PatIdent,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

/// All names that a pattern binds, in order.
pub(crate) fn bindings(pattern: &Pat) -> Vec<Ident> {
    struct Collect(Vec<Ident>);
    impl Visit<'_> for Collect {
        fn visit_pat_ident(&mut self, binding: &PatIdent) {
            self.0.push(binding.ident.clone());
            visit::visit_pat_ident(self, binding);
        }
    }
    let mut collect = Collect(Vec::new());
    collect.visit_pat(pattern);
    collect.0
}

/// A macro in the pattern. The names that it binds are not known here.
pub(crate) fn macro_in(pattern: &Pat) -> Option<syn::Macro> {
    struct Find(Option<syn::Macro>);
    impl Visit<'_> for Find {
        fn visit_macro(&mut self, found: &syn::Macro) {
            self.0.get_or_insert_with(|| found.clone());
        }
    }
    let mut find = Find(None);
    find.visit_pat(pattern);
    find.0
}

/// The pattern that binds the same names by reference, when it is matched against a reference to the argument.
///
/// All bindings of a matched reference are references, so `ref`, `mut` and `&` are removed.
pub(crate) fn by_reference(pattern: &Pat) -> Pat {
    struct Strip;
    impl VisitMut for Strip {
        fn visit_pat_mut(&mut self, pattern: &mut Pat) {
            while let Pat::Reference(reference) = pattern {
                *pattern = (*reference.pat).clone();
            }
            visit_mut::visit_pat_mut(self, pattern);
        }

        fn visit_pat_ident_mut(&mut self, binding: &mut PatIdent) {
            binding.by_ref = None;
            binding.mutability = None;
            visit_mut::visit_pat_ident_mut(self, binding);
        }
    }
    let mut pattern = pattern.clone();
    Strip.visit_pat_mut(&mut pattern);
    pattern
}
