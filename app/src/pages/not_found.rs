//! The page of an address that leads nowhere.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{api, components::problem::Problem, erase::Erase};

/// Says so, with a way on.
#[component]
pub fn NotFoundPage() -> impl IntoView {
    api::page_not_found();
    view! {
        <Title text="Not found · Tickcast"/>
        <Problem title="This page does not exist" detail="The address leads nowhere."/>
    }
    .erased()
}
