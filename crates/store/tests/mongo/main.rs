//! The MongoDB side against a real server: the suite that every side must pass, and what only a
//! server can show. Run it through `scripts/services run mongo -- cargo test -p store --features
//! mongodb --test mongo` (SecantusDB) and `scripts/services run ferretdb -- …` (FerretDB); without a
//! server the tests fail.

#[cfg(test)]
mod cut_off;
#[cfg(test)]
mod killed;
#[cfg(test)]
#[path = "../contract/model/mod.rs"]
mod model;
#[cfg(test)]
mod server;
#[cfg(test)]
#[path = "../contract/suite/mod.rs"]
mod suite;
