//! Every side of the store against one suite. A new side adds a module that gives a
//! [`suite::StoreUnderTest`].

#[cfg(test)]
mod model;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod suite;
