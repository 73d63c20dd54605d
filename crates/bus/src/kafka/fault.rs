//! What librdkafka and the broker say, in terms of [`BusError`], with what to do about it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    client::ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use crate::BusError;

/// How often one complaint is logged: while a broker is away, each of librdkafka's connections
/// repeats it many times a second.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Remembers what a client last complained of: the calls themselves often only say "timed out".
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: Mutex<Option<(Code, String)>>,
    /// By the codes' names.
    logged: Mutex<HashMap<String, Instant>>,
}

impl Complaints {
    pub(super) fn note(&self, error: &KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // "All brokers are down" follows each real reason and says less.
            if code != Code::AllBrokersDown || last.is_none() {
                *last = Some((code, reason.to_owned()));
            }
        }
    }

    /// Whether a complaint is to be logged for everybody, and not just for who debugs.
    fn is_news(&self, error: &KafkaError) -> bool {
        let Some(code) = error.rdkafka_error_code() else {
            return true;
        };
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let last = logged.entry(format!("{code:?}"));
        let mut news = false;
        let last = last.or_insert_with(|| {
            news = true;
            now
        });
        if now.duration_since(*last) >= LOG_EVERY {
            *last = now;
            news = true;
        }
        news
    }

    fn last(&self) -> Option<(Code, String)> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the broker has refused who we say we are: waiting longer will not help.
    pub(super) fn refused(&self) -> bool {
        matches!(
            self.last(),
            Some((Code::Authentication | Code::SaslAuthenticationFailed, _))
        )
    }
}

/// The context of clients that only ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking(pub(super) std::sync::Arc<Complaints>);

impl ClientContext for Asking {
    fn error(&self, error: KafkaError, reason: &str) {
        complain(&self.0, &error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }
}

impl rdkafka::consumer::ConsumerContext for Asking {}

pub(super) fn complain(complaints: &Complaints, error: &KafkaError, reason: &str) {
    complaints.note(error, reason);
    if complaints.is_news(error) {
        tracing::warn!(target: "bus::kafka", %error, reason, "kafka client");
    } else {
        tracing::debug!(target: "bus::kafka", %error, reason, "kafka client");
    }
}

/// librdkafka's log lines; what matters in them also comes as an error.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::debug!(target: "bus::kafka", facility, "{message}");
        }
        // A connection that failed: the error callback says so too, and is asked how often.
        _ if facility == "FAIL" || facility == "ERROR" => {
            tracing::debug!(target: "bus::kafka", facility, "{message}");
        }
        _ => tracing::warn!(target: "bus::kafka", facility, "{message}"),
    }
}

/// The error of a call, read together with what the client complained of before.
pub(super) fn fault(doing: &str, error: &KafkaError, complaints: &Complaints) -> BusError {
    if let KafkaError::ClientConfig(_, why, key, value) = error {
        // The value may be a password.
        let shown = if key.contains("password") {
            "***"
        } else {
            value
        };
        return BusError::Configuration {
            detail: format!("kafka setting {key}={shown}: {why}{}", tls_hint(why, value)),
        };
    }
    if let KafkaError::ClientCreation(why) = error {
        return BusError::Configuration {
            detail: format!("kafka client: {why}{}", tls_hint(why, "")),
        };
    }
    let code = error.rdkafka_error_code();
    let (code, reason) = match (code, complaints.last()) {
        // A time-out has a reason, and the client has told it.
        (
            None
            | Some(
                Code::OperationTimedOut
                | Code::MessageTimedOut
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown,
            ),
            Some((code, reason)),
        ) => (Some(code), reason),
        (code, _) => (code, error.to_string()),
    };
    let reason = format!("{doing}: {reason}");
    // Under which code the client tells of a certificate depends on how the handshake ended.
    let code = if reason.contains("certificate verify failed") {
        Some(Code::SSL)
    } else {
        code
    };
    match code {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => BusError::Invalid {
            detail: format!(
                "{reason}: the message is larger than message.max.bytes here or max.message.bytes of the topic allows; send fewer rows per message or raise both"
            ),
        },
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => BusError::Configuration {
            detail: format!(
                "{reason}: the broker refuses these credentials; check sasl.mechanisms, sasl.username and sasl.password"
            ),
        },
        Some(Code::SSL) => BusError::Configuration {
            detail: format!("{reason}: check security.protocol and ssl.ca.location"),
        },
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed,
        ) => BusError::Configuration {
            detail: format!(
                "{reason}: this user lacks the right; an administrator has to grant it"
            ),
        },
        Some(Code::Resolve | Code::BrokerTransportFailure | Code::AllBrokersDown) => {
            BusError::Unavailable {
                detail: format!(
                    "{reason}: check the brokers' addresses, and that one of them runs"
                ),
            }
        }
        _ => BusError::Unavailable { detail: reason },
    }
}

fn tls_hint(why: &str, value: &str) -> &'static str {
    let text = format!("{why} {value}").to_ascii_lowercase();
    if !cfg!(feature = "kafka-tls") && (text.contains("ssl") || text.contains("scram")) {
        "; TLS and SCRAM need a build with the feature kafka-tls"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_a_fault_of_the_configuration_under_every_code() {
        for code in [
            Code::SSL,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
        ] {
            let complaints = Complaints::default();
            let reason = "sasl_ssl://broker/bootstrap: SSL routines::certificate verify failed";
            complaints.note(&KafkaError::Global(code), reason);
            let asked = KafkaError::Global(Code::OperationTimedOut);
            let found = fault("connecting to kafka", &asked, &complaints);
            let BusError::Configuration { detail } = &found else {
                panic!("{found:?}");
            };
            assert!(detail.contains("ssl.ca.location"), "{detail}");
        }
    }
}
