//! Views and texts without their types, so that the wasm has one copy of the code that each needs.
//!
//! Model: Leptos makes code for every type of view, and a view's type is the tree of everything in
//! it. [`Erase::erased`] ends that at a component's border, [`text`] and [`word`] for every bit of
//! text that changes. Leptos' own `into_any` also makes code to hydrate the view piece by piece as
//! lazily loaded routes arrive (a tenth of the first download); there are none here, and [`AtOnce`]
//! leaves it out.

use futures::future::BoxFuture;
use leptos::{
    attr::{Attribute, any_attribute::AnyAttribute},
    prelude::*,
    tachys::{
        hydration::Cursor,
        ssr::StreamBuilder,
        view::{Position, PositionState},
    },
};

/// A text that changes.
pub fn text(value: impl Fn() -> String + Send + Sync + 'static) -> Signal<String> {
    Signal::derive(value)
}

/// A word of a few that changes, or is absent.
pub fn word(
    value: impl Fn() -> Option<&'static str> + Send + Sync + 'static,
) -> Signal<Option<&'static str>> {
    Signal::derive(value)
}

/// A view that waits for data, with a line to show meanwhile.
pub fn later(
    meanwhile: &'static str,
    view: impl Fn() -> BoxFuture<'static, AnyView> + Send + Sync + 'static,
) -> AnyView {
    boxed_later(meanwhile, Box::new(view))
}

fn boxed_later(
    meanwhile: &'static str,
    view: Box<dyn Fn() -> BoxFuture<'static, AnyView> + Send + Sync>,
) -> AnyView {
    let fallback =
        move || (!meanwhile.is_empty()).then(|| view! { <p class="loading">{meanwhile}</p> });
    view! { <Suspense fallback=fallback>{move || Suspend::new(view())}</Suspense> }.erased()
}

/// Ends a view's type.
pub trait Erase: IntoView + Sized + 'static {
    /// The view without its type.
    fn erased(self) -> AnyView {
        AtOnce(self.into_view()).into_any()
    }
}

impl<V: IntoView + 'static> Erase for V {}

/// A view that is hydrated in one go.
struct AtOnce<V>(V);

impl<V: Render> Render for AtOnce<V> {
    type State = V::State;

    fn build(self) -> Self::State {
        self.0.build()
    }

    fn rebuild(self, state: &mut Self::State) {
        self.0.rebuild(state);
    }
}

impl<V: RenderHtml + 'static> AddAnyAttr for AtOnce<V> {
    type Output<A: Attribute> = Self;

    /// Nothing is spread onto the components of this app.
    fn add_any_attr<A: Attribute>(self, _attr: A) -> Self::Output<A> {
        self
    }
}

impl<V: RenderHtml + 'static> RenderHtml for AtOnce<V> {
    type AsyncOutput = V::AsyncOutput;
    type Owned = AtOnce<V::Owned>;

    const MIN_LENGTH: usize = V::MIN_LENGTH;
    const EXISTS: bool = V::EXISTS;

    fn dry_resolve(&mut self) {
        self.0.dry_resolve();
    }

    async fn resolve(self) -> Self::AsyncOutput {
        self.0.resolve().await
    }

    fn html_len(&self) -> usize {
        self.0.html_len()
    }

    fn to_html_with_buf(
        self,
        buf: &mut String,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        self.0
            .to_html_with_buf(buf, position, escape, mark_branches, extra_attrs);
    }

    fn to_html_async_with_buf<const OUT_OF_ORDER: bool>(
        self,
        buf: &mut StreamBuilder,
        position: &mut Position,
        escape: bool,
        mark_branches: bool,
        extra_attrs: Vec<AnyAttribute>,
    ) {
        self.0.to_html_async_with_buf::<OUT_OF_ORDER>(
            buf,
            position,
            escape,
            mark_branches,
            extra_attrs,
        );
    }

    fn hydrate<const FROM_SERVER: bool>(
        self,
        cursor: &Cursor,
        position: &PositionState,
    ) -> Self::State {
        self.0.hydrate::<FROM_SERVER>(cursor, position)
    }

    fn into_owned(self) -> Self::Owned {
        AtOnce(self.0.into_owned())
    }
}
