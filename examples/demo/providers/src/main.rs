//! Stand-ins for the providers of the demo. They speak the providers' published
//! wire formats, want the providers' kind of credentials, and keep account of what
//! they served, so that somebody other than the gateway knows what was used.

mod answer;
mod anthropic;
mod bedrock;
mod behaviour;
mod bench;
mod clock;
mod credential;
mod directions;
mod form;
mod gemini;
mod objects;
mod openai;
mod provider;
mod record;
mod served;
mod server;
mod shape;
mod usage;
mod vector;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::bedrock::signature::AccessKey;
use crate::credential::Credentials;
use crate::provider::Provider;
use crate::server::Providers;

/// Stand-ins for Azure OpenAI, OpenAI-compatible services, Anthropic, Amazon
/// Bedrock, Gemini and Vertex AI, on six ports in this order.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The first of the six ports
    #[arg(long, env = "SEKISHO_PROVIDERS_PORT", default_value_t = 8091)]
    base_port: u16,
    /// Milliseconds between the pieces of a streamed answer
    #[arg(long, default_value_t = 5)]
    chunk_delay_ms: u64,
    /// Serve one fixed chat completion on this port and nothing else
    #[arg(long, value_name = "PORT")]
    bench: Option<u16>,
    #[command(flatten)]
    keys: Keys,
}

#[derive(clap::Args)]
struct Keys {
    #[arg(
        long,
        env = "SEKISHO_DEMO_AZURE_OPENAI_KEY",
        default_value = "demo-azure-openai-key"
    )]
    azure_openai_key: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_OPENAI_KEY",
        default_value = "demo-openai-key"
    )]
    openai_key: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_ANTHROPIC_KEY",
        default_value = "demo-anthropic-key"
    )]
    anthropic_key: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_GEMINI_KEY",
        default_value = "demo-gemini-key"
    )]
    gemini_key: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_VERTEX_TOKEN",
        default_value = "demo-vertex-token"
    )]
    vertex_token: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_BEDROCK_ACCESS_KEY_ID",
        default_value = "AKIDDEMOSEKISHO"
    )]
    bedrock_access_key_id: String,
    #[arg(
        long,
        env = "SEKISHO_DEMO_BEDROCK_SECRET_ACCESS_KEY",
        default_value = "demo-bedrock-secret"
    )]
    bedrock_secret_access_key: String,
}

impl From<Keys> for Credentials {
    fn from(keys: Keys) -> Self {
        Self {
            azure_openai: keys.azure_openai_key,
            openai: keys.openai_key,
            anthropic: keys.anthropic_key,
            gemini: keys.gemini_key,
            vertex: keys.vertex_token,
            bedrock: AccessKey {
                id: keys.bedrock_access_key_id,
                secret: keys.bedrock_secret_access_key,
            },
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(
        "cannot listen on `{address}`: {source}; set SEKISHO_PROVIDERS_PORT to the first of six free ports"
    )]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("`{0}` leaves no room for six ports")]
    BasePort(u16),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sekisho-demo-providers: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), StartError> {
    if let Some(port) = arguments.bench {
        let listener = bind(SocketAddr::new(arguments.host, port)).await?;
        println!("bench  http://{}:{port}", arguments.host);
        bench::serve(listener).await;
        return Ok(());
    }
    let chunk_delay = Duration::from_millis(arguments.chunk_delay_ms);
    let providers = Arc::new(Providers::new(arguments.keys.into(), chunk_delay));
    let mut servers = tokio::task::JoinSet::new();
    for (provider, offset) in Provider::ALL.into_iter().zip(0_u16..) {
        let base = arguments.base_port;
        let port = base.checked_add(offset).ok_or(StartError::BasePort(base))?;
        let address = SocketAddr::new(arguments.host, port);
        let listener = bind(address).await?;
        println!("{:<18} http://{address}", provider.name());
        servers.spawn(server::serve(listener, provider, Arc::clone(&providers)));
    }
    servers.join_all().await;
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen { address, source })
}
