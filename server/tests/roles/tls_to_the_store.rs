//! TLS to a server of MongoDB's protocol, by its URI alone. The TLS ends in this test, which passes on what
//! comes to the server: it is the driver's side that is tested, and what a person is told.

use std::{process::Command, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{in_store, post, service, settings, started};

/// Speaks TLS on a free port, with a certificate that is its own authority, in front of the server that
/// `MONGODB_URI` names. The port, and the certificate as PEM.
async fn tls_in_front_of_the_store() -> (u16, String) {
    let uri = service("MONGODB_URI");
    let hosts = uri.strip_prefix("mongodb://").unwrap();
    let server = hosts.split(['/', '?']).next().unwrap().to_owned();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // A client that does not trust the certificate goes away here.
                let Ok(mut client) = acceptor.accept(client).await else {
                    return;
                };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, cert.pem())
}

/// Runs a command that ends by itself: its exit code, and what it wrote.
async fn run(command: &str, settings: &[String], arguments: &[&str]) -> (Option<i32>, String) {
    let mut tickcast = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    tickcast.arg(command).args(settings).args(arguments);
    let output = tokio::task::spawn_blocking(move || tickcast.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_tls_is_written_and_read_and_an_unknown_certificate_is_named() {
    let (port, certificate) = tls_in_front_of_the_store().await;
    let scratch = tempfile::tempdir().unwrap();
    let authority = scratch.path().join("authority.pem");
    std::fs::write(&authority, certificate).unwrap();
    let with_uri = |options: &str| {
        let mut settings = settings("tls");
        let uri = format!(
            "mongodb.uri=mongodb://127.0.0.1:{port}/?directConnection=true&tls=true\
             &serverSelectionTimeoutMS=3000{options}"
        );
        for setting in [uri, "mongodb.timeout_ms=3000".into()] {
            settings.extend(["--set".into(), setting]);
        }
        settings
    };
    let trusted = with_uri(&format!("&tlsCAFile={}", authority.display()));
    let (_server, address) = started("serve", &trusted).await;
    assert_eq!(in_store(&post(address.unwrap(), 0..8).await), 8);
    let file = scratch.path().join("ticks.csv");
    let arguments = [
        "--ticks",
        "--symbol",
        "ACME",
        "--output",
        file.to_str().unwrap(),
    ];
    let (code, said) = run("export", &trusted, &arguments).await;
    assert_eq!(code, Some(0), "{said}");
    let exported = std::fs::read_to_string(file).unwrap();
    assert_eq!(exported.lines().count(), 9, "{exported}");
    let (code, said) = run("web", &with_uri(""), &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("certificate"), "{said}");
}
