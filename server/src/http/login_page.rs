//! The markup of the login page: a form, in the style of the other pages, without any script.

use leptos::prelude::*;

/// What it shows.
pub struct Shown {
    /// Where the browser goes on to.
    pub next: String,
    /// Why the token that was given is no good.
    pub refused: Option<String>,
    /// Who is logged in.
    pub holder: Option<String>,
    /// Whether no token has been made, so that there is nothing to log in with.
    pub no_tokens: bool,
}

/// Writes it out.
pub fn html(shown: &Shown) -> String {
    let page = view! {
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <title>"Log in · Tickcast"</title>
                <link rel="stylesheet" href="/main.css"/>
                <link rel="stylesheet" href="/chart.css"/>
                <link rel="stylesheet" href="/evaluation.css"/>
                <link rel="icon" href="/icon.svg" type="image/svg+xml"/>
            </head>
            <body>
                <main id="main">
                    <article class="problem" data-testid="login">
                        <h1>"Log in to Tickcast"</h1>
                        {body(shown)}
                    </article>
                </main>
            </body>
        </html>
    };
    format!("<!DOCTYPE html>{}", page.into_view().to_html())
}

fn body(shown: &Shown) -> AnyView {
    if let Some(holder) = shown.holder.clone() {
        return view! {
            <p>"You are logged in with the token "<strong>{holder}</strong>"."</p>
            <form method="post" action="/logout">
                <button type="submit" data-testid="logout">"Log out"</button>
            </form>
            <p><a href="/">"Go to the first chart"</a></p>
        }
        .into_any();
    }
    if shown.no_tokens {
        return view! {
            <p>
                "No token has been made, so there is nothing to log in with: everybody on this machine may do everything. "
                <code>"tickcast token new --role admin"</code>" makes one."
            </p>
            <p><a href="/">"Go to the first chart"</a></p>
        }
        .into_any();
    }
    let refused = shown
        .refused
        .clone()
        .map(|why| view! { <p class="warning" role="alert">{why}"."</p> });
    view! {
        {refused}
        <p>
            "Paste a token. "<code>"tickcast token new --role read"</code>
            " makes one; read is for looking, write for pushes and backtests too, admin for everything."
        </p>
        <form method="post" action="/login">
            <input type="hidden" name="next" value=shown.next.clone()/>
            <label>
                "Token "
                <input
                    type="password"
                    name="token"
                    autocomplete="current-password"
                    required
                    autofocus
                    data-testid="token"
                />
            </label>
            <button type="submit">"Log in"</button>
        </form>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_escaped_and_there_is_no_script() {
        let html = html(&Shown {
            next: "/s/A\"><script>alert(1)</script>".into(),
            refused: Some("<b>no</b>".into()),
            holder: None,
            no_tokens: false,
        });
        assert!(html.starts_with("<!DOCTYPE html><html"), "{html}");
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("<b>"), "{html}");
        assert!(html.contains("name=\"next\""), "{html}");
    }
}
