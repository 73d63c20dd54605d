//! The components: each draws one thing of a page.

pub mod browser_forecast;
pub mod chart_table;
pub mod chart_view;
pub mod connection_state;
pub mod controls;
pub mod explanation;
pub mod first_steps;
pub mod fit_panel;
pub mod header;
pub mod problem;
pub mod sample_card;
pub mod scoreboard;
pub mod symbol_heading;
pub mod theme_toggle;
pub mod watchlist;
