//! An authority that certifies servers, made anew by each test, and rustls configurations that go by it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: rcgen::Certificate,
}

impl Default for Authority {
    fn default() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        // A name of its own, or what it certifies looks self-signed.
        params.distinguished_name.push(DnType::CommonName, format!("authority {:?}", key.public_key_raw()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), root }
    }
}

impl Authority {
    /// Trusts what this authority certifies.
    pub fn client(&self) -> ClientConfig {
        with_ring(ClientConfig::builder_with_provider)
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }

    /// A server of these names.
    pub fn server(&self, names: &[&str]) -> ServerConfig {
        let resolver = SingleCertAndKey::from(self.certified_key(names));
        with_ring(ServerConfig::builder_with_provider)
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver))
    }

    /// A server of these names that asks its clients for a certificate of this authority.
    pub fn asking_server(&self, names: &[&str]) -> ServerConfig {
        let resolver = SingleCertAndKey::from(self.certified_key(names));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots().into(), provider);
        with_ring(ServerConfig::builder_with_provider)
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_cert_resolver(Arc::new(resolver))
    }

    /// A client with a certificate, which comes with it.
    pub fn certified_client(&self, name: &str) -> (ClientConfig, CertificateDer<'static>) {
        let (certificate, key) = self.certify(&[name]);
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = with_ring(ClientConfig::builder_with_provider).with_root_certificates(self.roots());
        (config.with_client_auth_cert(vec![certificate.clone()], key).unwrap(), certificate)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        roots
    }

    pub fn certified_key(&self, names: &[&str]) -> Arc<CertifiedKey> {
        let (certificate, key) = self.certify(names);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
    }

    /// Trusts what this authority certifies, and nothing that the platform does.
    #[cfg(feature = "native-tls")]
    pub fn native_client(&self) -> native_tls::TlsConnector {
        let root = native_tls::Certificate::from_der(self.root.der()).unwrap();
        native_tls::TlsConnector::builder()
            .disable_built_in_roots(true)
            .add_root_certificate(root)
            .build()
            .unwrap()
    }

    /// A server of these names.
    #[cfg(feature = "native-tls")]
    pub fn native_server(&self, names: &[&str]) -> native_tls::TlsAcceptor {
        let (certificate, key) = self.certify(names);
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        let identity = native_tls::Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).unwrap();
        native_tls::TlsAcceptor::new(identity).unwrap()
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.root.pem()
    }

    fn certify(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// Never the provider of the process.
pub fn with_ring<S: rustls::ConfigSide>(
    builder: impl FnOnce(Arc<rustls::crypto::CryptoProvider>) -> ConfigBuilder<S, rustls::WantsVersions>,
) -> ConfigBuilder<S, rustls::WantsVerifier> {
    builder(Arc::new(rustls::crypto::ring::default_provider())).with_safe_default_protocol_versions().unwrap()
}
