use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, sound_policy};
use crate::render::{self, AccessLog, Bootstrap, LinkTarget, Modules, Tls};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The policy file
    #[arg(long, value_name = "FILE", default_value = "sekisho.yaml")]
    policy: PathBuf,
    /// Where the filters are: `gateway.wasm` and the others
    #[arg(long, value_name = "DIR", default_value = "target/filters")]
    filters: PathBuf,
    /// One filter that takes every decision, or one for each
    #[arg(long, value_enum, default_value_t = Modules::Gateway)]
    modules: Modules,
    /// Where clients connect without TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10000")]
    listen: SocketAddr,
    /// Where clients connect with TLS
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_cert", "tls_key"])]
    tls_listen: Option<SocketAddr>,
    /// The certificate chain shown to clients (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    tls_key: Option<PathBuf>,
    /// Envoy's admin interface; only a loopback address is accepted
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// The sidecar's Link; given once for each of several sidecars on one database, of which
    /// the gateway finds the active one by itself
    #[arg(
        long,
        value_name = "HOST:PORT|unix:PATH",
        default_value = "127.0.0.1:9902"
    )]
    link: Vec<LinkTarget>,
    /// Where `sekisho secrets write` puts provider credentials
    #[arg(long, value_name = "DIR", default_value = "secrets")]
    secrets: PathBuf,
    /// Certificate authorities that providers' certificates must come from (PEM)
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/ssl/certs/ca-certificates.crt"
    )]
    ca: PathBuf,
    /// Where Envoy's own access log goes: `stdout`, `none` or a file. It holds neither
    /// query strings nor credentials; the audit log does not depend on it
    #[arg(long, value_name = "WHERE", default_value = "stdout")]
    access_log: AccessLog,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.admin.ip().is_loopback() {
        return Err(Failure::because(format_args!(
            "`--admin {}` is not a loopback address: whoever reaches Envoy's admin interface owns the gateway",
            arguments.admin
        )));
    }
    let policy = sound_policy(&arguments.policy)?.policy;
    let tls = match (
        &arguments.tls_listen,
        &arguments.tls_cert,
        &arguments.tls_key,
    ) {
        (Some(listen), Some(certificate), Some(key)) => Some(Tls {
            listen: *listen,
            certificate: absolute(certificate)?,
            key: absolute(key)?,
        }),
        _ => None,
    };
    let bootstrap = Bootstrap {
        filters: absolute(&arguments.filters)?,
        modules: arguments.modules,
        listen: arguments.listen,
        tls,
        admin: arguments.admin,
        links: arguments.link.clone(),
        secrets: absolute(&arguments.secrets)?,
        ca: absolute(&arguments.ca)?,
        access_log: arguments.access_log.clone(),
    };
    let yaml = render::envoy(&policy, &bootstrap)?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(())
}

/// Envoy may be started in another directory.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}
