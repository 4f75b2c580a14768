//! How the policy file says who the sidecar is for Entra ID.

use std::path::PathBuf;

use schemars::JsonSchema;
use sekisho_domain::policy::SecretSource;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::forward::config::Checking;

/// How the sidecar gets tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredential {
    /// As an application, by its secret.
    ClientSecret {
        /// From where.
        token_url: Url,
        /// Which application.
        client_id: String,
        /// Where its secret is.
        secret: SecretSource,
    },
    /// As an application, by its certificate.
    Certificate {
        /// From where.
        token_url: Url,
        /// Which application.
        client_id: String,
        /// PEM file of the certificate and its private key.
        file: PathBuf,
    },
    /// As an application, by a token of the Kubernetes cluster or another issuer that the
    /// application trusts.
    Workload {
        /// From where.
        token_url: Url,
        /// Which application; default: `AZURE_CLIENT_ID`.
        client_id: Option<String>,
        /// Where the other issuer's token is; default: `AZURE_FEDERATED_TOKEN_FILE`.
        token_file: Option<PathBuf>,
    },
    /// As the managed identity of the machine or pod.
    ManagedIdentity {
        /// Which one, where there are several.
        client_id: Option<String>,
    },
}

/// A secret, in the environment or in a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSecret {
    /// Environment variable of the sidecar that holds the client secret. Exactly one of this and
    /// `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// File that the sidecar reads the client secret from, each time that it needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
}

/// The certificate of an application.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCertificate {
    /// PEM file of the certificate and its RSA private key, by its absolute path. It is read
    /// again for each token, so that it can be renewed at any time.
    pub file: String,
}

/// A workload whose issuer the application trusts (federated credential).
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkload {
    /// File of the token that the issuer gave, by its absolute path; default: what
    /// `AZURE_FEDERATED_TOKEN_FILE` says, as Azure's webhook for Kubernetes sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

/// A managed identity.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOwnIdentity {
    /// Which identity, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// The ways of an application, of which exactly one is to be there.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawWays {
    pub(crate) client_secret: Option<RawSecret>,
    pub(crate) certificate: Option<RawCertificate>,
    pub(crate) workload_identity: Option<RawWorkload>,
    pub(crate) managed_identity: Option<RawOwnIdentity>,
}

impl RawWays {
    /// The one way; every problem is noted. `token_url`, if it is one, and `client_id` are those
    /// of the application.
    pub(crate) fn check(
        self,
        checking: &mut Checking<'_>,
        path: &str,
        token_url: Option<Url>,
        client_id: Option<String>,
    ) -> Option<AzureCredential> {
        let named = |checking: &mut Checking<'_>| {
            let id = client_id.clone().filter(|id| !id.is_empty());
            if id.is_none() {
                let text = "is needed: the client (application) id";
                checking.problem(format!("{path}.client_id"), text);
            }
            id
        };
        match (
            self.client_secret,
            self.certificate,
            self.workload_identity,
            self.managed_identity,
        ) {
            (Some(raw), None, None, None) => {
                let at = format!("{path}.client_secret");
                let secret = checking.secret(&at, raw.secret_env, raw.secret_file);
                Some(AzureCredential::ClientSecret {
                    client_id: named(checking)?,
                    token_url: token_url?,
                    secret,
                })
            }
            (None, Some(raw), None, None) => {
                let file = checking.file(format!("{path}.certificate.file"), &raw.file);
                Some(AzureCredential::Certificate {
                    client_id: named(checking)?,
                    token_url: token_url?,
                    file,
                })
            }
            (None, None, Some(raw), None) => {
                let at = format!("{path}.workload_identity.token_file");
                let token_file = raw.token_file.map(|file| checking.file(at, &file));
                Some(AzureCredential::Workload {
                    token_url: token_url?,
                    client_id,
                    token_file,
                })
            }
            (None, None, None, Some(raw)) => Some(AzureCredential::ManagedIdentity {
                client_id: raw.client_id.or(client_id),
            }),
            _ => {
                let text = "needs exactly one of `client_secret`, `certificate`, `workload_identity` and `managed_identity`";
                checking.problem(path, text);
                None
            }
        }
    }
}
