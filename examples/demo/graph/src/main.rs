//! Starts the stand-in for the demo.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use sekisho_demo_graph::{Description, Faults, Settings, StandIn};
use serde_json::json;
use tokio::net::TcpListener;

/// A stand-in for Microsoft Graph (under /v1.0) and the token endpoint of Entra ID (at
/// /TENANT/oauth2/v2.0/token). What was asked is at /stand-in/journal, what Graph would not have
/// taken at /stand-in/violations, who is there at /stand-in/users; PUT /stand-in/faults makes it
/// misbehave.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SEKISHO_GRAPH_ADDRESS",
        default_value = "127.0.0.1:8099"
    )]
    listen: SocketAddr,
    /// The secret of every application
    #[arg(
        long,
        env = "SEKISHO_GRAPH_SECRET",
        hide_env_values = true,
        default_value = "demo-graph-secret"
    )]
    secret: String,
    /// A domain that user names may have; several are given one after the other
    #[arg(long = "domain", value_name = "DOMAIN", default_value = "example.com")]
    domains: Vec<String>,
    /// A group of the tenant, as object id and name; several are given one after the other
    #[arg(long = "group", value_name = "ID=NAME", value_parser = pair)]
    groups: Vec<(String, String)>,
    /// How to misbehave, as JSON
    #[arg(long, value_name = "JSON", value_parser = faults, default_value = "{}")]
    faults: Faults,
    /// Microsoft's published description of Graph (OpenAPI), to hold every request to it as well
    #[arg(long, value_name = "FILE", env = "SEKISHO_GRAPH_DESCRIPTION")]
    description: Option<std::path::PathBuf>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (id, name) = text.split_once('=').ok_or("must be ID=NAME")?;
    Ok((id.to_owned(), name.to_owned()))
}

fn faults(text: &str) -> Result<Faults, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("sekisho-demo-graph: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let description = match &arguments.description {
        None => None,
        Some(path) => {
            let at = |why: String| format!("`{}`: {why}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
            Some(Description::read(&text).map_err(at)?)
        }
    };
    let settings = Settings {
        secret: arguments.secret,
        domains: arguments.domains,
    };
    let stand_in = StandIn::new(settings, description).map_err(|error| error.to_string())?;
    for (id, name) in &arguments.groups {
        stand_in.add_group(id, name, json!({}));
    }
    stand_in.misbehave(arguments.faults);
    let listener = TcpListener::bind(arguments.listen).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    println!(
        "Microsoft Graph, as it were, at http://{}/v1.0",
        arguments.listen
    );
    stand_in
        .serve(listener)
        .await
        .map_err(|error| error.to_string())
}
