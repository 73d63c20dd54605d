//! How the layers stack, and that every fault is reported at once.

use std::path::Path;

use ::source::rest::Provider;
use market::Interval;

use super::*;

fn layers(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
    let mut layers = Layers::default();
    layers.add_file(Path::new("tickcast.toml"), file);
    layers.add_environment(env.iter().map(|(k, v)| (k.into(), v.into())));
    for (key, text) in flags {
        layers.add_flag(key, text, "--flag");
    }
    layers
}

#[test]
fn the_defaults_are_a_valid_configuration() {
    let config = Config::from_layers(Layers::default()).unwrap();
    assert_eq!(config.web.address.to_string(), "127.0.0.1:3000");
    assert_eq!(config.source, SourceConfig::Simulated);
    assert_eq!(config.bus.topic, "stock-data");
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let file = "[web]\nport = 1\nhost = \"0.0.0.0\"\nsite_root = \"a\"";
    let env = [
        ("TICKCAST_WEB_PORT", "2"),
        ("TICKCAST_WEB_HOST", "127.0.0.2"),
    ];
    let config = Config::from_layers(layers(file, &env, &[("web.port", "3")])).unwrap();
    assert_eq!(config.web.address.to_string(), "127.0.0.2:3");
    assert_eq!(config.web.site_root, PathBuf::from("a"));
}

#[test]
fn every_fault_is_reported_at_once_with_its_key_and_what_was_expected() {
    let file = "[web]\nport = 70000\n[store]\ndata_dri = \"x\"\n[forecast]\nmodels = [\"oracle\"]";
    let env = [("TICKCAST_SIMULATE_RATE", "0"), ("TICKCAST_NONSENSE", "1")];
    let error = Config::from_layers(layers(file, &env, &[]))
        .unwrap_err()
        .to_string();
    for part in [
        "5 faults",
        "web.port (from tickcast.toml): \"70000\" is not a port",
        "did you mean store.data_dir?",
        "forecast.models (from tickcast.toml): \"oracle\" is not a list of models",
        "simulate.rate (from TICKCAST_SIMULATE_RATE): \"0\" is not a number from 1 to 100000",
        "TICKCAST_NONSENSE",
    ] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
}

#[test]
fn a_list_of_models_keeps_the_commas_within_a_model_and_the_baselines_always_run() {
    let env = [("TICKCAST_FORECAST_MODELS", "theta, drift, arima(1,1,1)")];
    let config = Config::from_layers(layers("", &env, &[])).unwrap();
    let names: Vec<String> = config
        .forecast
        .models
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["naive", "drift", "snaive", "theta", "arima(1,1,1)"]);
}

#[test]
fn a_file_that_is_not_toml_is_told_by_its_line_without_what_stands_there() {
    let text = "[source]\napi_key = \"hunter2\n";
    let error = Config::from_layers(layers(text, &[], &[])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("at line 2") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_a_fault_only_where_it_is_ours() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = || std::ffi::OsString::from_vec(vec![b'4', 0xff]);
    let mut others = Layers::default();
    others.add_environment([("OTHER".into(), odd()), (odd(), odd())]);
    assert!(others.faults.is_empty());
    let mut ours = Layers::default();
    ours.add_environment([("TICKCAST_WEB_PORT".into(), odd())]);
    let error = Config::from_layers(ours).unwrap_err().to_string();
    assert!(
        error.contains("TICKCAST_WEB_PORT") && error.contains("UTF-8"),
        "{error}"
    );
}

#[test]
fn secrets_are_masked_when_printed_and_in_faults() {
    let printed = print(&layers("[source]\napi_key = \"hunter2\"", &[], &[]));
    assert!(printed.contains("api_key = \"********\"") && !printed.contains("hunter2"));
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let first = layers(
        "[web]\nport = 8080\n[ingest]\nsymbols = [\"A\", \"B\"]",
        &[],
        &[],
    );
    let printed = print(&first);
    let again = layers(&printed, &[], &[]);
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    for s in settings::all() {
        assert_eq!(first.raw(s.key).items, again.raw(s.key).items, "{}", s.key);
    }
}

#[test]
fn a_source_without_what_it_needs_is_a_fault() {
    let error = Config::from_layers(layers("[source]\nkind = \"replay\"", &[], &[])).unwrap_err();
    assert!(error.to_string().contains("needs the file to play"));
}

#[test]
fn kafka_and_mongodb_are_chosen_by_kind_and_their_security_settings_are_passed_on() {
    let file = "[bus]\nkind = \"kafka\"\n[store]\nkind = \"mongodb\"\n\
        [kafka]\nbrokers = \"a:1,b:2\"\nsasl_mechanism = \"PLAIN\"\nsasl_password = \"s3cret\"\n\
        extra = [\"socket.keepalive.enable=true\"]\n\
        [mongodb]\nuri = \"mongodb://me:s3cret@h/\"";
    let config = Config::from_layers(layers(file, &[], &[])).unwrap();
    let BusKind::Kafka(kafka) = &config.bus.kind else {
        panic!("not kafka: {config:?}");
    };
    assert_eq!(kafka.brokers, "a:1,b:2");
    assert_eq!(kafka.extra["sasl.mechanisms"], "PLAIN");
    assert_eq!(kafka.extra["socket.keepalive.enable"], "true");
    assert!(matches!(&config.store.kind, StoreKind::Mongo(m) if m.database == "stock_db"));
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!print(&layers(file, &[], &[])).contains("s3cret"));
}

#[test]
fn what_kafka_and_mongodb_cannot_take_is_a_fault_with_its_key() {
    let file = "[bus]\nkind = \"rabbit\"\n[kafka]\nbrokers = \"nowhere\"\n\
        [mongodb]\nuri = \"http://me:s3cret@h\"\n[health]\nport = \"x\"";
    let faults = Config::from_layers(layers(file, &[], &[])).unwrap_err();
    let text = faults.to_string();
    for key in ["bus.kind", "kafka.brokers", "mongodb.uri", "health.port"] {
        assert!(text.contains(key), "{key} is missing in {text}");
    }
    assert!(!text.contains("s3cret"));
}

#[test]
fn ages_are_given_by_interval_and_nothing_is_removed_without_them() {
    assert_eq!(
        Config::from_layers(Layers::default()).unwrap().retention,
        RetentionConfig::default()
    );
    let file = "[retention]\nticks_days = 30\nbars_days = [\"1s=7\", \"1m = 365\"]";
    let ages = Config::from_layers(layers(file, &[], &[]))
        .unwrap()
        .retention;
    assert_eq!(ages.ticks_days, Some(30));
    let bars = [(Interval::S1, 7), (Interval::M1, 365)];
    assert_eq!(ages.bars_days, bars.into());
    let wrong = [
        ("retention.ticks_days", "0"),
        ("retention.bars_days", "2m=1"),
    ];
    let error = Config::from_layers(layers("", &[], &wrong)).unwrap_err();
    assert_eq!(error.0.len(), 2, "{error}");
}

/// Settings of a source that polls, and more.
fn rest(more: &[(&str, &str)]) -> Layers {
    let flags = [&[("source.kind", "rest")], more].concat();
    layers("", &[], &flags)
}

#[test]
fn every_preset_can_be_chosen_and_the_list_of_them_is_whole() {
    let expects = settings::find("source.preset").unwrap().expects;
    for preset in Provider::PRESETS {
        assert!(expects.contains(preset), "{preset} is missing in {expects}");
        let flags = [
            ("source.preset", preset),
            ("source.url", "http://127.0.0.1:9"),
            ("ingest.symbols", "AAPL"),
        ];
        let config = Config::from_layers(rest(&flags)).unwrap();
        let SourceConfig::Rest { name, .. } = &config.source else {
            panic!("{config:?}");
        };
        assert_eq!(name, preset);
        // Only the simulated exchange makes prices up.
        assert_eq!(config.source.is_simulated(), preset == "tickcast");
    }
    let error = Config::from_layers(rest(&[("source.preset", "alpaca")])).unwrap_err();
    assert!(error.to_string().contains("alpaca-trades"), "{error}");
}

#[test]
fn a_provider_asked_by_symbol_without_symbols_is_a_fault_among_the_others() {
    let flags = [("source.preset", "alpaca-trades"), ("web.port", "x")];
    let error = Config::from_layers(rest(&flags)).unwrap_err().to_string();
    for part in ["2 faults", "web.port", "ingest.symbols (from the default)"] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
}

/// The indented blocks of the README.
fn readme_blocks() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let mut blocks = vec![String::new()];
    for line in readme.lines() {
        let last = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            Some(code) => *last += &format!("{code}\n"),
            // An empty line between two lines of code belongs to them.
            None if line.is_empty() && !last.is_empty() => *last += "\n",
            None => blocks.push(String::new()),
        }
    }
    blocks
}

#[test]
fn the_settings_in_the_readme_are_valid() {
    let mut tables = 0;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("prices.toml");
    for block in readme_blocks() {
        if block.starts_with("# prices.toml") {
            std::fs::write(&file, block).unwrap();
            continue;
        }
        let settings: Vec<&str> = block
            .split("\n\n")
            .filter(|part| part.starts_with('[') || part.starts_with("# tickcast.toml"))
            .collect();
        if settings.is_empty() {
            continue;
        }
        let settings = settings
            .join("\n")
            .replace("prices.toml", &file.display().to_string());
        tables += settings.matches("\n[").count() + 1;
        if let Err(error) = Config::from_layers(layers(&settings, &[], &[])) {
            panic!("{error}\n{settings}");
        }
    }
    assert!(tables >= 6, "only {tables} tables were found");
}

#[test]
fn the_mapping_in_the_readme_is_valid_in_toml_and_in_json() {
    let blocks = readme_blocks();
    let written = blocks.iter().find(|b| b.starts_with("# prices.toml"));
    let written = written.expect("the README shows a mapping");
    let scratch = tempfile::tempdir().unwrap();
    let value: toml::Value = toml::from_str(written).unwrap();
    let json = serde_json::to_string(&value).unwrap();
    let mut providers = Vec::new();
    for (name, text) in [("prices.toml", written), ("prices.json", &json)] {
        let file = scratch.path().join(name);
        std::fs::write(&file, text).unwrap();
        let flags = [
            ("source.mapping", &*file.display().to_string()),
            ("source.api_key", "hunter2"),
            ("ingest.symbols", "AAPL"),
        ];
        let config = Config::from_layers(rest(&flags)).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let SourceConfig::Rest { name, provider, .. } = config.source else {
            panic!("not rest");
        };
        assert_eq!(name, "prices");
        providers.push(provider);
    }
    assert_eq!(providers[0], providers[1]);
}

#[test]
fn a_fault_in_a_mapping_names_its_file_and_field() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("p.toml");
    let path = file.display().to_string();
    let told = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let flags = [("source.mapping", &*path), ("web.port", "x")];
        Config::from_layers(rest(&flags)).unwrap_err().to_string()
    };
    let top = "url = \"http://a/{symbol}\"\npage_limit = 10\n";
    let keyed = format!("{top}credentials = [{{ query = [\"k\", \"{{api_key}}\"] }}]\n");
    for (text, expected) in [
        ("url = ".to_owned(), "not TOML"),
        (
            "url = 1\npage_limit = 1".to_owned(),
            "p.toml: url: invalid type",
        ),
        (
            format!("{top}[mapping.fields]\npirce = \"p\""),
            "mapping.fields.pirce: unknown field `pirce`",
        ),
        (
            format!("{top}[mapping]\ntime_unit = \"weeks\""),
            "mapping.time_unit: unknown variant `weeks`",
        ),
        (
            format!("{top}[mapping.fields]\nprice = \"p\""),
            "p.toml: mapping.fields.time: expected",
        ),
        (
            format!("{keyed}[mapping.fields]\nprice = \"p\"\ntime = \"t\""),
            "source.api_key",
        ),
    ] {
        let error = told(&text);
        assert!(
            error.contains(expected),
            "{expected:?} is missing in {error}"
        );
        assert!(error.contains("web.port"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = Config::from_layers(rest(&[("source.mapping", &path)])).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_limit_that_cannot_be_right_is_a_fault_and_a_rate_of_0_is_none() {
    let file = "[limits]\nconnections = 0\nbody_timeout_ms = 5\npushes_per_s = -1\n\
        [predict]\nlong_in_flight = 0\n[live]\nqueue_bytes = 10\n[log]\naccess = 1.5";
    let error = Config::from_layers(layers(file, &[], &[])).unwrap_err();
    let text = error.to_string();
    for part in [
        "6 faults",
        "limits.connections",
        "limits.body_timeout_ms",
        "limits.pushes_per_s",
        "predict.long_in_flight",
        "live.queue_bytes",
        "log.access",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    let file = "[limits]\npushes_per_s = 0\nsockets_per_s = 7";
    let config = Config::from_layers(layers(file, &[], &[])).unwrap();
    assert_eq!(config.limits.pushes_per_s, None);
    assert_eq!(config.limits.sockets_per_s.map(u32::from), Some(7));
}
