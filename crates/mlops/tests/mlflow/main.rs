//! Against a real MLflow: `scripts/services run mlflow -- cargo test -p mlops --features service-tests --test
//! mlflow`. Without a server the tests fail. What has arrived is read by plain requests of the tests' own,
//! not by the client that sent it. Each test has an experiment and models of its own.

#[cfg(test)]
#[path = "../support/closes.rs"]
mod closes;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod models;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod support;
#[cfg(test)]
#[path = "../support/years.rs"]
mod years;
