//! Whom to ask for a token, and how: as the Azure SDKs find out, by environment variables.

use std::path::PathBuf;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use url::Url;
use url::form_urlencoded::Serializer;

/// Where a virtual machine of Azure asks.
const IMDS: &str = "http://169.254.169.254";
const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";
/// Where a pod's federated token is exchanged, if its environment does not say.
const AUTHORITY: &str = "https://login.microsoftonline.com/";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An environment variable that is not what it has to be.
    #[error("environment variable `{0}` is missing or no URL")]
    Variable(&'static str),
    /// An environment variable that has to be there.
    #[error("environment variable `{0}` is missing")]
    Missing(&'static str),
    /// A secret of the environment that cannot be sent.
    #[error("environment variable `{0}` has what no header can carry")]
    Unsendable(&'static str),
    /// The pod's own token is not there.
    #[error("the federated token `{}` cannot be read", path.display())]
    FederatedToken {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Whom to ask.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The instance metadata service of a virtual machine.
    Imds { at: Url, client_id: Option<String> },
    /// The endpoint of App Service, Functions or Container Apps, and its header.
    AppService {
        at: Url,
        header: HeaderValue,
        client_id: Option<String>,
    },
    /// Entra ID itself, with a token that Kubernetes has signed.
    Workload {
        at: Url,
        client_id: String,
        token_file: PathBuf,
    },
}

impl Source {
    pub(super) fn of(
        environment: &impl Fn(&str) -> Option<String>,
        client_id: Option<&str>,
    ) -> Result<Self, SourceError> {
        let given = |name| environment(name).filter(|value| !value.is_empty());
        let client_id = client_id.map(str::to_owned);
        if let Some(file) = given("AZURE_FEDERATED_TOKEN_FILE") {
            let tenant =
                given("AZURE_TENANT_ID").ok_or(SourceError::Variable("AZURE_TENANT_ID"))?;
            let host = given("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
            let host = url(&host, "AZURE_AUTHORITY_HOST")?;
            let at = host
                .join(&format!("/{tenant}/oauth2/v2.0/token"))
                .map_err(|_| SourceError::Variable("AZURE_TENANT_ID"))?;
            return Ok(Self::Workload {
                at,
                client_id: client_id
                    .or_else(|| given("AZURE_CLIENT_ID"))
                    .ok_or(SourceError::Variable("AZURE_CLIENT_ID"))?,
                token_file: file.into(),
            });
        }
        if let Some((at, header)) = given("IDENTITY_ENDPOINT").zip(given("IDENTITY_HEADER")) {
            let mut header = HeaderValue::try_from(header)
                .map_err(|_| SourceError::Unsendable("IDENTITY_HEADER"))?;
            header.set_sensitive(true);
            return Ok(Self::AppService {
                at: url(&at, "IDENTITY_ENDPOINT")?,
                header,
                client_id,
            });
        }
        let host = given("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| IMDS.to_owned());
        let at = url(&host, "AZURE_POD_IDENTITY_AUTHORITY_HOST")?
            .join(IMDS_PATH)
            .map_err(|_| SourceError::Variable("AZURE_POD_IDENTITY_AUTHORITY_HOST"))?;
        Ok(Self::Imds { at, client_id })
    }

    /// A workload whose token endpoint is known.
    pub(super) fn workload(
        at: Url,
        client_id: Option<String>,
        token_file: Option<PathBuf>,
        environment: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceError> {
        let given = |name| environment(name).filter(|value| !value.is_empty());
        let token_file = token_file
            .or_else(|| given("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from))
            .ok_or(SourceError::Missing("AZURE_FEDERATED_TOKEN_FILE"))?;
        let client_id = client_id
            .or_else(|| given("AZURE_CLIENT_ID"))
            .ok_or(SourceError::Missing("AZURE_CLIENT_ID"))?;
        Ok(Self::Workload {
            at,
            client_id,
            token_file,
        })
    }

    /// The request for a token for `resource`.
    pub(super) fn request(&self, resource: &str) -> Result<Request, SourceError> {
        let asking = |at: &Url, version: &str, client_id: &Option<String>| {
            let mut at = at.clone();
            at.query_pairs_mut()
                .append_pair("api-version", version)
                .append_pair("resource", resource);
            if let Some(client_id) = client_id {
                at.query_pairs_mut().append_pair("client_id", client_id);
            }
            at
        };
        Ok(match self {
            Self::Imds { at, client_id } => {
                let at = asking(at, IMDS_VERSION, client_id);
                let mut request = Request::new(Method::GET, at);
                // Which no forged request from elsewhere has.
                let headers = request.headers_mut();
                headers.insert("metadata", HeaderValue::from_static("true"));
                request
            }
            Self::AppService {
                at,
                header,
                client_id,
            } => {
                let at = asking(at, APP_SERVICE_VERSION, client_id);
                let mut request = Request::new(Method::GET, at);
                let name = HeaderName::from_static("x-identity-header");
                request.headers_mut().insert(name, header.clone());
                request
            }
            Self::Workload {
                at,
                client_id,
                token_file,
            } => {
                // Kubernetes replaces it now and then.
                let assertion = std::fs::read_to_string(token_file).map_err(|source| {
                    let path = token_file.clone();
                    SourceError::FederatedToken { path, source }
                })?;
                let scope = format!("{}/.default", resource.trim_end_matches('/'));
                let form = Serializer::new(String::new())
                    .append_pair("grant_type", "client_credentials")
                    .append_pair("client_id", client_id)
                    .append_pair("client_assertion_type", ASSERTION)
                    .append_pair("client_assertion", assertion.trim())
                    .append_pair("scope", &scope)
                    .finish();
                let mut request = Request::new(Method::POST, at.clone());
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, form_type);
                *request.body_mut() = Some(form.into());
                request
            }
        })
    }
}

fn url(text: &str, variable: &'static str) -> Result<Url, SourceError> {
    let url = Url::parse(text).map_err(|_| SourceError::Variable(variable))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(SourceError::Variable(variable)),
    }
}
