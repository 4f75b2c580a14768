//! The issuer's end of key sets: publishes what it is told to, and counts who comes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_domain::{IssuerKey, KeyMaterial};
use serde_json::{Value, json};

/// A server that lives as long as the process; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct KeyServer {
    address: SocketAddr,
    published: Arc<Mutex<String>>,
    fetches: Arc<AtomicU64>,
}

impl KeyServer {
    pub(super) fn start(keys: &[IssuerKey]) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = Self {
            address: listener.local_addr()?,
            published: Arc::default(),
            fetches: Arc::default(),
        };
        server.publish(keys);
        let serving = server.clone();
        std::thread::Builder::new()
            .name("key server".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that goes away is none of its concern.
                    let _ = serving.answer(stream);
                }
            })?;
        Ok(server)
    }

    pub(super) fn uri(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// These keys from now on, and no others.
    pub(super) fn publish(&self, keys: &[IssuerKey]) {
        let keys: Vec<Value> = keys.iter().map(jwk).collect();
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *published = json!({ "keys": keys }).to_string();
    }

    /// How often it was asked.
    pub(super) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut head = BufReader::new(&stream);
        let mut line = String::new();
        while head.read_line(&mut line)? > 2 {
            line.clear();
        }
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let body = published.clone();
        drop(published);
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    }
}

fn jwk(key: &IssuerKey) -> Value {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut jwk = match &key.material {
        KeyMaterial::Rsa { n, e } => json!({"kty": "RSA", "n": encode(n), "e": encode(e)}),
        KeyMaterial::P256 { x, y } => {
            json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
        }
    };
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".to_owned(), key.kid.clone().into());
        if let Some(algorithm) = key.algorithm {
            members.insert("alg".to_owned(), algorithm.as_str().into());
        }
    }
    jwk
}
