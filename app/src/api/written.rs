//! A page that the server writes and the browser only puts in place.
//!
//! Model: pieces of HTML that are replaced one by one where they have changed, so that what a reader types or has
//! opened in one of them stays while another one moves.

use serde::{Deserialize, Serialize};

/// A page as the server wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// What the browser's window is called.
    pub title: String,
    /// Its pieces, in their order.
    pub parts: Vec<String>,
}

impl Written {
    /// All of it, each piece in an element of its own.
    pub fn html(&self) -> String {
        let mut html = String::new();
        for part in &self.parts {
            html.push_str("<div class=\"board\">");
            html.push_str(part);
            html.push_str("</div>");
        }
        html
    }
}
