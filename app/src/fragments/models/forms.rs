//! What can be done by hand: plain forms, so that they work without scripts.

use leptos::{prelude::*, server_fn::ServerFn};
use store::Version;

use super::Model;
use crate::{
    api::functions::{ArchiveVersion, MoveChampion},
    erase::Erase,
    format,
    fragments::parts,
};

/// Promote, roll back, archive.
pub fn panel(model: &Model) -> AnyView {
    if model.versions.is_empty() {
        return ().erased();
    }
    let champion = model.champion.as_ref().map(|version| version.version);
    let body = view! {
        {moving(model, champion)}
        {archiving(model, champion)}
    }
    .erased();
    parts::panel("by-hand-heading", "By hand", body)
}

fn option(version: &Version, mark: &str, selected: bool) -> AnyView {
    let text = format!(
        "{}: {}, made {}{mark}",
        version.version,
        version.reference,
        format::date(version.created_at)
    );
    view! { <option value=version.version.to_string() selected=selected>{text}</option> }.erased()
}

fn moving(model: &Model, champion: Option<u32>) -> AnyView {
    // What is most likely wanted: the one that was champion before.
    let before = model
        .moves
        .iter()
        .rev()
        .find_map(|moved| moved.from.filter(|version| Some(*version) != champion));
    let options: Vec<_> = model
        .versions
        .iter()
        .filter(|version| version.archived.is_none() && Some(version.version) != champion)
        .map(|version| option(version, "", Some(version.version) == before))
        .collect();
    let nobody = champion.map(|_| view! { <option value="">"none: naive is served"</option> });
    let now = champion.map_or_else(|| "none".to_owned(), |version| format!("version {version}"));
    view! {
        <form class="fields by-hand" method="post" action=MoveChampion::PATH>
            <input type="hidden" name="name" value=model.summary.name.clone()/>
            <input type="hidden" name="expected" value=champion.map(|v| v.to_string()).unwrap_or_default()/>
            <label>
                <span>{format!("Champion, in the place of {now}")}</span>
                <select name="version" data-testid="champion-version">{options} {nobody}</select>
            </label>
            <label class="long">
                <span>"Why (it is kept)"</span>
                <input type="text" name="why" required=true maxlength="500" data-testid="champion-why"/>
            </label>
            <button type="submit" data-testid="move-champion">"Promote or roll back"</button>
        </form>
        <p class="note">
            "The version is loaded and its files are held to their hashes before anything is changed. Every process \
            serves it within two seconds. A later training judges it like any champion."
        </p>
    }
    .erased()
}

fn archiving(model: &Model, champion: Option<u32>) -> AnyView {
    let form = |back: bool, label: &'static str, id: &'static str| {
        let versions = model.versions.iter().filter(|version| {
            version.archived.is_some() == back
                && Some(version.version) != champion
                && version.aliases.is_empty()
        });
        let options: Vec<_> = versions.map(|version| option(version, "", false)).collect();
        if options.is_empty() {
            return ().erased();
        }
        view! {
            <form class="fields by-hand" method="post" action=ArchiveVersion::PATH>
                <input type="hidden" name="name" value=model.summary.name.clone()/>
                {back.then(|| view! { <input type="hidden" name="back" value="true"/> })}
                <label><span>"Version"</span><select name="version">{options}</select></label>
                <label class="long">
                    <span>"Why"</span>
                    <input type="text" name="why" required=true maxlength="500" data-testid=format!("{id}-why")/>
                </label>
                <button type="submit" data-testid=id>{label}</button>
            </form>
        }
        .erased()
    };
    view! {
        {form(false, "Archive", "archive")}
        {form(true, "Take back from the archive", "take-back")}
    }
    .erased()
}
