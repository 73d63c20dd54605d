//! Models as people write them.

/// `ARIMA(1,1,1) with drift` of `arima(1,1,1)+drift`, `ETS(A,N,N)` of `ets(A,N,N)`.
pub fn long(name: &str) -> String {
    let members = name
        .strip_prefix("combo[")
        .and_then(|m| m.strip_suffix(']'));
    if let Some(members) = members {
        let members: Vec<String> = members.split(", ").map(long).collect();
        return format!("Mean of {}", members.join(", "));
    }
    let (name, constant) = match name.split_once('+') {
        Some((name, constant @ ("drift" | "mean"))) => (name, Some(constant)),
        _ => (name, None),
    };
    let mut text = match name {
        "naive" => "Naive".to_owned(),
        "snaive" => "Seasonal naive".to_owned(),
        "drift" => "Random walk with drift".to_owned(),
        "mean" => "Mean".to_owned(),
        "theta" => "Theta (optimised)".to_owned(),
        "theta(2)" => "Theta (standard)".to_owned(),
        "garch" => "Random walk with drift, GARCH(1,1) with normal errors".to_owned(),
        "garch(t)" => "Random walk with drift, GARCH(1,1) with Student-t errors".to_owned(),
        _ => ["arima", "ets"]
            .into_iter()
            .find_map(|family| {
                let orders = name.strip_prefix(family)?;
                orders
                    .starts_with('(')
                    .then(|| family.to_ascii_uppercase() + orders)
            })
            .unwrap_or_else(|| name.to_owned()),
    };
    if let Some(constant) = constant {
        text.push_str(" with ");
        text.push_str(constant);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_as_people_write_them() {
        assert_eq!(long("arima(1,1,1)+drift"), "ARIMA(1,1,1) with drift");
        assert_eq!(long("arima(0,1,1)(0,1,1)[12]"), "ARIMA(0,1,1)(0,1,1)[12]");
        assert_eq!(long("ets(M,Ad,N)"), "ETS(M,Ad,N)");
        assert_eq!(long("snaive"), "Seasonal naive");
        assert_eq!(
            long("combo[arima(0,1,0)+drift, ets(A,N,N), theta, theta(2)]"),
            "Mean of ARIMA(0,1,0) with drift, ETS(A,N,N), Theta (optimised), Theta (standard)"
        );
    }
}
