//! The company: its policy, its file of people, and what must have come of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sekisho::clock::Clock;
use sekisho::store::{Store, people};
use sekisho_demo_graph::{Description, StandIn};
use sekisho_test_harness::tokens::{self, Algorithm, KEY_ID, Signer, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::findings::Report;
use super::post::Told;
use crate::ChaosError;

const TENANT: &str = "8f3a1c52-6b7e-4d0f-9a21-5e6c7d8091ab";
const ISSUER: &str = "https://login.chaos.example/t/v2.0";
const AUDIENCE: &str = "api://sekisho";
/// The secret of the sidecar's application.
pub(super) const SECRET: &str = "hush";
/// The password of the sidecar at the mail server.
const MAIL_SECRET: &str = "correct horse";
/// Departments and their groups.
pub(super) const GROUPS: [(&str, &str); 2] = [
    ("sales", "11111111-1111-4111-a111-111111111111"),
    ("hr", "22222222-2222-4222-a222-222222222222"),
];
/// Names that break what is careless with text.
const NAMES: [&str; 6] = [
    "山田太郎",
    "髙橋 﨑",
    "葛\u{e0100}城",
    "O’Brien \"Q\", Zoë",
    "e\u{301}mile",
    "𠮷野家",
];
/// For one answer.
const ANSWER: Duration = Duration::from_secs(60);

pub(super) struct Company {
    folder: TempDir,
    rows: usize,
}

/// What the file of a round says of somebody.
struct Row {
    id: String,
    name: String,
    email: String,
    department: usize,
    active: bool,
}

fn row(n: usize, round: u64) -> Row {
    let turn = n + usize::try_from(round).unwrap_or_default();
    let name = NAMES.get(n % NAMES.len()).copied().unwrap_or_default();
    Row {
        id: format!("{n:05}"),
        name: format!("{name} {n}"),
        email: format!("p{n}@mail.example"),
        department: turn % GROUPS.len(),
        active: !turn.is_multiple_of(5),
    }
}

/// Microsoft's own description, where somebody has it and says where.
pub(super) fn description() -> Result<Option<Description>, ChaosError> {
    let Some(path) = std::env::var_os("SEKISHO_GRAPH_DESCRIPTION") else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path)?;
    Description::read(&text)
        .map(Some)
        .map_err(|error| ChaosError::Policy(error.to_string()))
}

impl Company {
    pub(super) fn new(
        graph: SocketAddr,
        mail_port: u16,
        mail: &Path,
        rows: usize,
    ) -> Result<Self, ChaosError> {
        let folder = TempDir::with_prefix("sekisho-people-")?;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("graph-secret"), SECRET)?;
        std::fs::write(path("mail-secret"), MAIL_SECRET)?;
        let (n, e) = tokens::published()?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let at = format!("http://{graph}");
        let departments = GROUPS.map(|(id, _)| json!({"id": id, "name": id}));
        let places: Value = GROUPS
            .iter()
            .map(|(id, group)| ((*id).to_owned(), json!({"groups": [group]})))
            .collect();
        let ca = std::path::absolute(mail.join("tls/ca.pem"))?;
        let policy = json!({
            "version": 1, "organisation": "Chaos K.K.", "time_zone": "Asia/Tokyo", "currency": "JPY",
            "scopes": {"all_apis": null},
            "directory": "none",
            "issuers": [{
                "issuer": ISSUER, "tenant": TENANT, "audiences": [AUDIENCE],
                "department_claim": "department",
                "jwks": {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
                                   "n": encode(&n), "e": encode(&e)}]},
            }],
            "departments": departments,
            "upstreams": [{"name": "llm", "provider": "openai", "url": "https://llm.example"}],
            "apis": [{
                "name": "openai", "provider": "openai", "operations": ["chat_completions"],
                "scope": "all_apis", "models": [{"name": "gpt-4o", "upstream": "llm"}],
            }],
            "prices": [{"model": "gpt-4o", "from": "2024-10-01",
                        "input_per_million": 375, "output_per_million": 1500}],
            "entra": {"tenant": TENANT, "client_id": "sekisho", "authority": at, "graph": at,
                      "client_secret": {"secret_file": path("graph-secret")}},
            "mail": {"server": format!("localhost:{mail_port}"), "ca_file": ca, "user": "sekisho",
                     "secret_file": path("mail-secret"), "sender": "sekisho@example.com",
                     "language": "en"},
            "people": {"user_name": "{user_id}@example.com", "plain_csv": true,
                       "departments": places},
        });
        std::fs::write(path("sekisho.yaml"), serde_json::to_vec_pretty(&policy)?)?;
        Ok(Self { folder, rows })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn policy(&self) -> PathBuf {
        self.path("sekisho.yaml")
    }

    pub(super) fn database(&self) -> String {
        format!("sqlite:{}", self.path("sekisho.db").display())
    }

    pub(super) fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    fn file(&self, round: u64) -> String {
        let header =
            "user_id,name,email,department,job_title,phone,start_date,end_date,status\n".to_owned();
        (0..self.rows).fold(header, |mut file, n| {
            let Row {
                id,
                name,
                email,
                department,
                active,
            } = row(n, round);
            let name = name.replace('"', "\"\"");
            let department = GROUPS.get(department).map_or("", |(id, _)| id);
            let status = if active { "active" } else { "inactive" };
            file += &format!("{id},\"{name}\",{email},{department},,,2023/04/01,,{status}\n");
            file
        })
    }

    /// Uploads the file of a round to be carried out at once; the job's id.
    pub(super) async fn upload(&self, api: SocketAddr, round: u64) -> Result<String, ChaosError> {
        let path = "/v1/users/csv/upload?apply=true";
        let answer = self.call(api, "POST", path, self.file(round)).await?;
        let id = text(&answer, "id").map(str::to_owned);
        id.ok_or_else(|| ChaosError::Policy(format!("the file is not taken: {answer}")))
    }

    /// How many people of a job wait; `None`: it is done.
    pub(super) async fn waiting(
        &self,
        api: SocketAddr,
        job: &str,
    ) -> Result<Option<u64>, ChaosError> {
        let path = format!("/v1/provisioning/jobs/{job}");
        let answer = self.call(api, "GET", &path, String::new()).await?;
        if text(&answer, "state") == Some("done") {
            return Ok(None);
        }
        let waiting = answer.pointer("/progress/waiting").and_then(Value::as_u64);
        Ok(Some(waiting.unwrap_or_default()))
    }

    /// Asks until there is an answer: a sidecar that has just started may not answer yet.
    async fn call(
        &self,
        api: SocketAddr,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<Value, ChaosError> {
        let began = Instant::now();
        loop {
            match self.call_once(api, method, path, body.clone()).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) | Err(ChaosError::Io(_) | ChaosError::Http(_)) => {}
                Err(other) => return Err(other),
            }
            if began.elapsed() > ANSWER {
                return Err(ChaosError::Unfinished("the API"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn call_once(
        &self,
        api: SocketAddr,
        method: &str,
        path: &str,
        body: String,
    ) -> Result<Option<Value>, ChaosError> {
        let stream = TcpStream::connect(api).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", api.to_string())
            .header("authorization", format!("Bearer {}", token()?))
            .header("content-type", "text/csv")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| ChaosError::Policy(error.to_string()))?;
        let answer = sender.send_request(request).await?;
        if answer.status() == hyper::StatusCode::SERVICE_UNAVAILABLE {
            return Ok(None);
        }
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Some(serde_json::from_slice(&body)?))
    }

    /// Compares tenant, directory and mails with the file of the last round.
    pub(super) async fn compare(
        &self,
        graph: &StandIn,
        told: &Told,
        round: u64,
        report: &mut Report,
    ) -> Result<(), ChaosError> {
        let store = Store::open(&self.database()).await?;
        report.failed = sekisho::provisioning::jobs::standing(&store)
            .await?
            .failed
            .try_into()
            .unwrap_or(usize::MAX);
        let everybody = people::changed_after(&store, -1).await?;
        let directory: HashMap<&str, &sekisho::people::Person> = everybody
            .iter()
            .map(|person| (person.id.as_str(), person))
            .collect();
        let mut accounts: HashMap<String, Vec<Value>> = HashMap::new();
        for user in graph.users() {
            let employee = text(&user, "employeeId").unwrap_or_default().to_owned();
            accounts.entry(employee).or_default().push(user);
        }
        let total: usize = accounts.values().map(Vec::len).sum();
        let mut owned = 0;
        for n in 0..self.rows {
            let row = row(n, round);
            let found = accounts.get(&row.id).map_or(&[][..], Vec::as_slice);
            let (Some(account), Some(person)) = (found.first(), directory.get(row.id.as_str()))
            else {
                report.half_users += 1;
                continue;
            };
            owned += 1;
            let is_whole =
                is_as(account, &row) && text(account, "id") == Some(person.object_id.as_str());
            if !is_whole || person.enabled != row.active || person.email != row.email {
                report.half_users += 1;
            }
            let name = text(account, "displayName").unwrap_or_default();
            if name.as_bytes() != row.name.as_bytes()
                || person.name.as_bytes() != row.name.as_bytes()
            {
                report.names_differ += 1;
            }
            let password = graph.password(&person.object_id);
            if row.active && (password.is_none() || told.get(&row.email) != password.as_ref()) {
                report.without_password += 1;
            }
        }
        report.duplicates = total - owned;
        report.half_users += everybody.len().saturating_sub(self.rows);
        Ok(())
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}

/// Whether the account is as the file says.
fn is_as(account: &Value, row: &Row) -> bool {
    let (_, group) = GROUPS.get(row.department).copied().unwrap_or_default();
    let user_name = format!("{}@example.com", row.id);
    text(account, "userPrincipalName") == Some(&user_name)
        && account.get("accountEnabled") == Some(&json!(row.active))
        && account.get("groups") == Some(&json!([group]))
}

/// A token of an administrator.
fn token() -> Result<String, ChaosError> {
    let subject = Subject {
        issuer: ISSUER,
        tenant: TENANT,
        audience: AUDIENCE,
        object_id: "00000000-0000-4000-8000-000000000001",
        scopes: &["all_apis".to_owned()],
    };
    let mut claims = tokens::claims(&subject, Clock::system().now());
    claims.insert("department".to_owned(), json!("sales"));
    claims.insert("roles".to_owned(), json!(["Sekisho.Administrator"]));
    Ok(tokens::sign(
        &claims,
        Signer::Issuer,
        Algorithm::RS256,
        KEY_ID,
    )?)
}
